"""Knobs as a person turns them: a sweep, a program of one's own, rates that are shares of a knee."""

import json
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab_test import LAB, ROOT, Running
import verdicts
from verdicts import run_to_a_verdict

OWN = os.path.join(ROOT, "tests", "e2e", "own_limiter.py")

# Our limiter and one of somebody's own, behind the same load.
OWN_LAB = """
lab: own-limiter
title: A limiter of one's own
budget: {{run: 3m, quick: 90s}}
system:
  ratelimit:
    set: {{{set}}}
reference: mine
variants:
  mine: {{{mine}}}
{knee}
load:
  - {{target: ratelimit.http, rate: {rate}, keys: uniform(4), request: {{domain: own, key: tenant}}}}
phases: {{steady: 4s}}
quick: {{steady: 4s}}
values:
  p99: {{is: "latency_p99{{phase=steady}}", show: p99}}
  admitted: {{is: "admitted{{phase=steady}}", show: admitted}}
expect:
  answers: each.p99 <= 1s
  limits: each.admitted <= 4 * 5 * 5
invariants: [every-arrival-accounted]
"""


class KnobsTest(Running):
    def own_lab(self, set="", mine="", rate="200/s", knee=""):
        folder = os.path.join(self.state, "labs", "own-limiter")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "lab.yaml")
        with open(path, "w") as file:
            file.write(OWN_LAB.format(set=set, mine=mine, rate=rate, knee=knee))
        return path

    def twice(self, *command, needed=True):
        """Once more where a busy host left it inconclusive (support/verdicts.py)."""
        return run_to_a_verdict(lambda: self.lab(*command), self.state, " ".join(command), needed)

    def result(self, lab="own-limiter", name="result.json"):
        with open(os.path.join(self.run_folder(lab), name)) as file:
            return json.load(file)


class Sweep(KnobsTest):
    DEADLINE = "ratelimit.redis.deadline"

    def sweep_folder(self):
        runs = os.path.join(self.state, "runs", "rate-limit-outage")
        return os.path.join(runs, sorted(name for name in os.listdir(runs) if name.endswith("-sweep"))[-1])

    def test_a_curve_over_one_knob(self):
        done = self.twice("sweep", "rate-limit-outage", "--quick", "--plain", "--set", f"{self.DEADLINE}=3ms,12ms")
        self.assert_status(done, 0)
        self.assertRegex(done.stdout, r"2 trials \(2 values x 1 variant x 1 block\) of \d+ s: about")
        self.assertIn("p99 in the worst fault", done.stdout)
        folder = self.sweep_folder()
        with open(os.path.join(folder, "sweep.json")) as file:
            sweep = json.load(file)
        self.assertEqual([point["knob"] for point in sweep["points"]], ["3ms", "12ms"])
        fault = [next(value for value in point["values"] if value["value"] == "p99_fault")["median"] for point in sweep["points"]]
        self.assertGreater(fault[1], fault[0], "a longer deadline is a longer wait while the store is away")
        with open(os.path.join(folder, "sweep.html")) as file:
            page = file.read()
        self.assertIn("<svg", page)
        self.assertGreater(os.path.getsize(os.path.join(folder, "sweep.md")), 200)
        # It is no run: what reads runs does not see it.
        self.assert_status(self.lab("card"), 69)
        self.assert_nothing_runs()

    def test_an_interrupt_keeps_what_there_is(self):
        runner = subprocess.Popen([LAB, "sweep", "rate-limit-outage", "--quick", "--plain", "--repeat", "2", "--set",
                                   f"{self.DEADLINE}=3ms,12ms"], env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.read_until(runner, r"trial 2 of 4")
        os.kill(runner.pid, signal.SIGINT)
        output = runner.communicate(timeout=60)[0]
        self.assertEqual(runner.returncode, 70, output[-2000:])
        self.assertIn("INTERRUPTED", output)
        with open(os.path.join(self.sweep_folder(), "sweep.json")) as file:
            self.assertTrue(json.load(file)["interrupted"])
        self.assert_nothing_runs()

    def test_wrong_knobs_are_told_before_anything_starts(self):
        for value, named in ((f"{self.DEADLINE}=3ms", "nothing to sweep"), (f"{self.DEADLINE}=3ms,9parsecs", "parsecs"),
                             ("ratelimit.redis.dedline=3ms,5ms", "redis.deadline"), ("redes.x=1,2", "redis")):
            with self.subTest(value=value):
                done = self.lab("sweep", "rate-limit-outage", "--set", value, timeout=30)
                self.assert_status(done, 64)
                self.assertIn(named, done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.state, "runs")))


class OwnBinary(KnobsTest):
    def test_it_takes_the_place_of_ours(self):
        path = self.own_lab()
        done = self.twice("run", path, "--quick", "--plain", "--set", f"ratelimit.binary={OWN}", "--set", "ratelimit.limit=4")
        self.assert_status(done, 0)
        result = self.result()
        part = result["trials"][0]["parts"][0]
        self.assertRegex(part["version"], r"^own_limiter\.py as ratelimit \(sha256 [0-9a-f]{12}\)$")
        self.assertNotIn("grpc", part["ports"], "it has no such port")
        self.assertEqual(result["changed"]["ratelimit.limit"], "4")
        with open(os.path.join(self.run_folder("own-limiter"), "report.html")) as file:
            self.assertIn("own_limiter.py as ratelimit", file.read())
        with open(os.path.join(self.run_folder("own-limiter"), "card.md")) as file:
            self.assertIn("ratelimit.limit=4", file.read())
        self.assert_nothing_runs()

    def test_a_variant_names_it_from_the_folder_of_its_lab(self):
        path = self.own_lab(mine="ratelimit: {binary: ./mine.py, limit: 4}")
        os.symlink(OWN, os.path.join(os.path.dirname(path), "mine.py"))
        self.assert_status(self.twice("run", path, "--quick", "--plain"), 0)

    def test_its_own_schema_checks_its_knobs(self):
        path = self.own_lab(mine=f"ratelimit: {{binary: {OWN}, limt: 4}}")
        done = self.lab("run", path, "--quick", timeout=30)
        self.assert_status(done, 64)
        self.assertIn('unknown key "limt" of own_limiter.py; did you mean "limit"?', done.stderr)
        path = self.own_lab()
        done = self.lab("run", path, "--quick", "--set", f"ratelimit.binary={OWN}", "--set", "ratelimit.redis.deadline=5ms",
                        timeout=30)
        self.assert_status(done, 64)
        self.assertIn('unknown key "redis.deadline" of own_limiter.py', done.stderr)

    def test_what_cannot_be_run_is_told_before_anything_starts(self):
        path = self.own_lab()
        plain = os.path.join(self.state, "plain")
        with open(plain, "w") as file:
            file.write("#!/bin/sh\n")
        for binary, named in ((plain, "chmod +x"), (os.path.join(self.state, "gone"), "there is no program"),
                              (self.state, "is no program")):
            with self.subTest(binary=binary):
                done = self.lab("run", path, "--quick", "--set", f"ratelimit.binary={binary}", timeout=30)
                self.assert_status(done, 64)
                self.assertIn(named, done.stderr)

    def test_one_that_never_gets_ready_says_what_was_waited_for(self):
        path = self.own_lab()
        done = self.lab("run", path, "--quick", "--plain", "--set", f"ratelimit.binary={OWN}", "--set", "ratelimit.ready=false")
        self.assert_status(done, 70)
        self.assertRegex(done.stderr, r"not ready within 15 s; it is when GET http://127\.0\.0\.1:\d+/readyz")
        self.assert_nothing_runs()


class Knee(KnobsTest):
    """One request at a time, 2 ms each: 500/s at most, and p99 <= 40 ms somewhat below."""

    def test_rates_are_shares_of_what_was_found_and_kept(self):
        path = self.own_lab(set=f"binary: {OWN}, limit: 5, work_ms: 2", rate="50% of knee",
                            knee="knee: {p99: 40ms, errors: 1%}")
        done = self.twice("run", path, "--quick", "--plain")
        self.assert_status(done, 0)
        knee = self.result()["knee"]
        self.assertEqual(knee["source"], "measured")
        self.assertTrue(50 <= knee["per_s"] <= 520, knee)
        self.assertLessEqual(knee["took_s"], 30)
        confirmed = [probe for probe in knee["probes"] if probe["purpose"] == "confirm" and probe["meets"]]
        self.assertGreaterEqual(len(confirmed), 2)
        offered = self.result()["trials"][0]["streams"][0]["offered_per_s"]
        self.assertAlmostEqual(offered / knee["per_s"], 0.5, delta=0.01)
        with open(os.path.join(self.run_folder("own-limiter"), "report.md")) as file:
            self.assertIn("## Knee", file.read())

        again = self.twice("run", path, "--quick", "--plain", needed=False)
        self.assertIn("kept from", again.stdout)
        self.assertEqual(self.result()["knee"]["source"], "kept")
        self.assertEqual(self.result()["knee"]["per_s"], knee["per_s"])
        self.assert_nothing_runs()

    def test_without_a_knee_nothing_is_guessed(self):
        path = self.own_lab(set=f"binary: {OWN}, limit: 5, work_ms: 60", rate="50% of knee",
                            knee="knee: {p99: 40ms, errors: 1%}")
        done = self.lab("run", path, "--quick", "--plain")
        self.assert_status(done, 2)
        self.assertIn("no knee: not even", done.stdout)
        self.assertEqual(self.result()["trials"], [])
        self.assert_nothing_runs()

    def test_a_quick_run_takes_what_is_declared(self):
        path = self.own_lab(set=f"binary: {OWN}, limit: 5", rate="50% of knee", knee="knee: {p99: 40ms, quick: 300/s}")
        self.assert_status(self.twice("run", path, "--quick", "--plain"), 0)
        self.assertEqual(self.result()["knee"]["source"], "declared")
        self.assertEqual(self.result()["trials"][0]["streams"][0]["offered_per_s"], 150)


if __name__ == "__main__":
    verdicts.main()
