"""What counts as undecided, and what stays a failure: on pieces of recorded results, without a lab."""

import copy
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import verdicts

STOLEN = "the hypervisor took 5.3 % of the host's CPU time away"
NEIGHBOUR = "a busy neighbour: processes that are not of this run took 0.7 of the host's 2 cores"
DIED = "redis ended unasked: signal 11"
# A result as small as it can be; recorded_busy_host.json is a whole one, but for the keys that are not asked for here.
FAULT = {"id": "redis.pause#1", "fault": "redis.pause", "part": "redis", "phase": "pause", "asked_s": 2.0, "applied_s": 2.0002,
         "seen_s": 2.0221, "evidence": "PING unanswered for 20 ms", "heal_asked_s": 4.0, "healed_s": 4.0013, "error": ""}
TRIAL = {"variant": "deny", "repeat": 1, "complete": True, "problems": [STOLEN], "host_problems": [STOLEN], "faults": [FAULT]}
FINDING = {"rule": "bounded-latency", "variant": "deny", "state": "inconclusive", "why": STOLEN, "control": False}
BUSY = {"exit_status": 2, "trials": [TRIAL],
        "verdict": {"state": "inconclusive", "findings": [FINDING, {**FINDING, "state": "not asked", "why": "not in this run"}],
                    "catches": []}}


def changed(**changes):
    """BUSY with changes of its only trial."""
    result = copy.deepcopy(BUSY)
    result["trials"][0].update(copy.deepcopy(changes))
    return result


class WhyUndecided(unittest.TestCase):
    def test_the_host_alone(self):
        self.assertEqual(verdicts.why_undecided(BUSY), STOLEN)
        both = changed(problems=[STOLEN, NEIGHBOUR], host_problems=[STOLEN, NEIGHBOUR])
        self.assertEqual(verdicts.why_undecided(both), f"{NEIGHBOUR}; {STOLEN}")

    def test_a_fault_without_its_receipt(self):
        for fault in ({"seen_s": None}, {"applied_s": None}, {"healed_s": None}, {"error": "redis does not answer"}):
            with self.subTest(fault=fault):
                self.assertIsNone(verdicts.why_undecided(changed(faults=[{**FAULT, **fault}])))

    def test_a_fault_that_lasts_to_the_end_is_not_healed(self):
        self.assertEqual(verdicts.why_undecided(changed(faults=[{**FAULT, "heal_asked_s": None, "healed_s": None}])), STOLEN)

    def test_a_problem_that_is_not_the_hosts(self):
        self.assertIsNone(verdicts.why_undecided(changed(problems=[DIED], host_problems=[])))
        self.assertIsNone(verdicts.why_undecided(changed(problems=[STOLEN, DIED])), "both")

    def test_a_trial_that_was_broken_off(self):
        self.assertIsNone(verdicts.why_undecided(changed(complete=False)))

    def test_a_narrow_miss_beside_what_asks_for_caution(self):
        result = changed(problems=[], host_problems=[], cautions=[STOLEN])
        result["verdict"]["findings"][0]["why"] = f"9 ms > 7 ms, but {STOLEN}: only a miss by a factor of ten would count"
        self.assertEqual(verdicts.why_undecided(result), STOLEN)
        result["verdict"]["findings"][0]["why"] = "fewer than 300 samples"
        self.assertIsNone(verdicts.why_undecided(result), "caution does not explain that")

    def test_an_earlier_result_without_the_mark(self):
        result = changed()
        del result["trials"][0]["host_problems"]
        self.assertIsNone(verdicts.why_undecided(result))

    def test_a_check_without_evidence_for_another_reason(self):
        few = {**FINDING, "rule": "recovers", "why": "12 samples are too few"}
        result = copy.deepcopy(BUSY)
        result["verdict"]["findings"].append(few)
        self.assertIsNone(verdicts.why_undecided(result))
        few["control"] = True  # of a broken variant: counted through its catch only
        self.assertEqual(verdicts.why_undecided(result), STOLEN)

    def test_a_disturbed_trial_of_another_variant_explains_nothing(self):
        result = copy.deepcopy(BUSY)
        result["verdict"]["findings"][0]["variant"] = "allow"
        result["trials"].append({**TRIAL, "variant": "allow", "problems": [], "host_problems": []})
        self.assertIsNone(verdicts.why_undecided(result))

    def test_catches_count_too(self):
        result = copy.deepcopy(BUSY)
        caught = {"variant": "deny", "rule": "x", "state": "inconclusive", "text": f"whether x catches deny cannot be said: {STOLEN}"}
        result["verdict"].update(findings=[], catches=[caught])
        self.assertEqual(verdicts.why_undecided(result), STOLEN)
        caught["text"] = "deny: x was not judged"
        self.assertIsNone(verdicts.why_undecided(result))

    def test_the_host_kept_it_from_a_knee(self):
        knee = {"per_s": None, "why": f"while it was looked for: {STOLEN}", "host_problems": [STOLEN]}
        result = {**BUSY, "trials": [], "knee": knee}
        self.assertEqual(verdicts.why_undecided(result), STOLEN)
        self.assertIsNone(verdicts.why_undecided({**result, "knee": {**knee, "host_problems": []}}), "there is none")
        self.assertIsNone(verdicts.why_undecided({**result, "knee": None}))

    def test_nothing_was_asked_or_it_is_a_verdict(self):
        result = copy.deepcopy(BUSY)
        result["verdict"]["findings"] = []
        self.assertIsNone(verdicts.why_undecided(result))
        result = copy.deepcopy(BUSY)
        result["verdict"]["state"], result["exit_status"] = "fail", 1
        self.assertIsNone(verdicts.why_undecided(result))


class Recorded(unittest.TestCase):
    """The slow-store lab, beside a compiler: three of its four designs were disturbed, the broken one was caught."""

    def setUp(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded_busy_host.json")) as file:
            self.result = json.load(file)

    def test_is_the_hosts_doing(self):
        self.assertRegex(verdicts.why_undecided(self.result), "a busy neighbour: .*; the load generator was starved: ")

    def test_not_with_a_receipt_missing_anywhere(self):
        for trial in self.result["trials"]:
            for fault in trial["faults"]:
                seen, fault["seen_s"] = fault["seen_s"], None
                self.assertIsNone(verdicts.why_undecided(self.result), f"{trial['variant']}: {fault['id']}")
                fault["seen_s"] = seen

    def test_not_without_the_marks(self):
        for trial in self.result["trials"]:
            trial["host_problems"] = []
        self.assertIsNone(verdicts.why_undecided(self.result))


class WhyPointsLackEvidence(unittest.TestCase):
    def sweep(self, problems=(STOLEN,), host_problems=(STOLEN,), why=STOLEN):
        return {"exit_status": 2, "points": [
            {"problems": [f"deny (1): {problem}" for problem in problems],
             "host_problems": [f"deny (1): {problem}" for problem in host_problems],
             "values": [{"blocks": [{"value": None, "why": why}, {"value": 0.1, "why": ""}]}]}]}

    def test_the_host_alone_and_others(self):
        self.assertEqual(verdicts.why_undecided(self.sweep()), STOLEN)
        self.assertIsNone(verdicts.why_undecided(self.sweep(problems=[STOLEN, DIED])))
        self.assertIsNone(verdicts.why_undecided(self.sweep(problems=[DIED], host_problems=[], why=DIED)))
        self.assertIsNone(verdicts.why_undecided(self.sweep(problems=[], host_problems=[], why="was never seen to have an effect")))
        self.assertIsNone(verdicts.why_undecided(self.sweep(why="was never seen to have an effect")))
        self.assertIsNone(verdicts.why_undecided({**self.sweep(), "exit_status": 70}))


class Calm(unittest.TestCase):
    """Ticks (all, idle, stolen) as of /proc/stat; no time passes."""

    def setUp(self):
        self.slept = 0
        patch = mock.patch.object(verdicts, "_waited", 0.0)
        patch.start()
        self.addCleanup(patch.stop)

    def waits(self, *looks):
        """wait_until_calm() over these (idle, stolen) per cent; the last of them goes on for ever."""
        ticks, waiting = [0, 0, 0], list(looks)

        def sleep(seconds):
            self.slept += seconds
            idle, stolen = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            ticks[:] = ticks[0] + 1000, ticks[1] + idle * 10, ticks[2] + stolen * 10

        return verdicts.wait_until_calm(lambda: tuple(ticks), sleep)

    def test_a_calm_host_is_looked_at_once(self):
        self.assertTrue(self.waits((97, 0.5)))
        self.assertEqual(self.slept, 3)

    def test_stolen_time_and_strangers_are_waited_for(self):
        self.assertTrue(self.waits((90, 5), (60, 0), (98, 0)))
        self.assertEqual(self.slept, 9)

    def test_the_wait_is_bounded_for_one_retry_and_in_all(self):
        for _ in range(5):
            self.assertFalse(self.waits((50, 0)))
        self.assertEqual(self.slept, 300)
        self.assertFalse(self.waits((100, 0)), "no time is left")
        self.assertEqual(self.slept, 300)

    def test_reads_this_host(self):
        total, idle, stolen = verdicts.cpu_times()
        self.assertGreater(total, idle)
        self.assertGreaterEqual(stolen, 0)


class RunToAVerdict(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.state, self.runs = folder.name, 0
        self.told = os.path.join(folder.name, "told")
        for patch in (mock.patch.object(verdicts, "wait_until_calm", lambda: True), mock.patch("sys.stderr", io.StringIO()),
                      mock.patch.dict(os.environ, LAB_VERDICTS=self.told, LAB_ENTRY="e2e_x")):
            patch.start()
            self.addCleanup(patch.stop)

    def ends(self, *results, needed=True):
        """What comes of runs that end so: an exit status, or a result that is written."""
        waiting = list(results)

        def run():
            result, self.runs = waiting.pop(0), self.runs + 1
            if isinstance(result, int):
                return subprocess.CompletedProcess([], result, "", "")
            folder = os.path.join(self.state, "runs", "lab", str(self.runs))
            os.makedirs(folder)
            with open(os.path.join(folder, "result.json"), "w") as file:
                json.dump(result, file)
            return subprocess.CompletedProcess([], result["exit_status"], "", "")

        return verdicts.run_to_a_verdict(run, self.state, "run lab", needed).returncode

    def lines(self):
        if not os.path.exists(self.told):
            return []
        with open(self.told) as file:
            return file.read().splitlines()

    def test_a_verdict_is_one_whatever_it_is(self):
        for status in (0, 1):
            self.assertEqual(self.ends(status), status)
        self.assertEqual(self.lines(), ["DECIDED e2e_x run lab: pass", "DECIDED e2e_x run lab: fail"])
        self.assertEqual(self.ends(70), 70)
        self.assertEqual((self.runs, len(self.lines())), (3, 2))

    def test_a_second_run_may_decide(self):
        self.assertEqual(self.ends(BUSY, 0), 0)
        self.assertEqual(self.lines(), ["DECIDED e2e_x run lab: pass"])

    def test_twice_the_host_is_undecided(self):
        with self.assertRaisesRegex(verdicts.Undecided, "run lab: the hypervisor"):
            self.ends(BUSY, BUSY)
        self.assertEqual(self.lines(), [])
        self.assertEqual(self.ends(BUSY, BUSY, needed=False), 2)

    def test_a_missing_receipt_stays_a_failure(self):
        self.assertEqual(self.ends(BUSY, changed(faults=[{**FAULT, "seen_s": None}])), 2)

    def test_a_run_without_a_result_stays_a_failure(self):
        past = os.path.join(self.state, "runs", "lab", "0")
        os.makedirs(past)
        with open(os.path.join(past, "result.json"), "w") as file:
            json.dump(BUSY, file)
        os.utime(os.path.join(past, "result.json"), (1, 1))
        self.assertEqual(self.ends(2, 2), 2)


SUITE = """
import sys
import unittest
sys.path.insert(0, {support!r})
import verdicts

class Tests(unittest.TestCase):
    def test_labs(self):
        for lab in ("a", "b"):
            with self.subTest(lab=lab):
                raise verdicts.Undecided("the hypervisor")
    def test_passes(self):
        pass
    def test_skipped(self):
        self.skipTest("no Node here")
    def test_fails(self):
        self.fail("no")

verdicts.main()
"""


class Main(unittest.TestCase):
    def run_suite(self, *names):
        with tempfile.TemporaryDirectory() as folder:
            path, told = os.path.join(folder, "suite.py"), os.path.join(folder, "told")
            with open(path, "w") as file:
                file.write(SUITE.format(support=os.path.dirname(os.path.abspath(__file__))))
            done = subprocess.run([sys.executable, path, *("Tests." + name for name in names)], text=True, capture_output=True,
                                  env=dict(os.environ, LAB_VERDICTS=told, LAB_ENTRY="e2e_y"))
            lines = []
            if os.path.exists(told):
                with open(told) as file:
                    lines = file.read().splitlines()
        return done.returncode, done.stderr, lines

    def test_undecided_is_told_and_no_failure(self):
        status, output, lines = self.run_suite("test_labs", "test_passes")
        self.assertEqual(status, 0, output)
        self.assertIn("OK (undecided=2)", output)
        self.assertNotIn("OK (skipped", output)
        self.assertIn("UNDECIDED Tests.test_labs (lab='a'): the hypervisor", output)
        self.assertEqual(lines, [f"UNDECIDED e2e_y Tests.test_labs (lab='{lab}'): the hypervisor" for lab in "ab"])

    def test_what_is_skipped_is_told_apart(self):
        status, output, lines = self.run_suite("test_labs", "test_skipped")
        self.assertEqual(status, 0, output)
        self.assertIn("OK (skipped=1)", output)
        self.assertIn("SKIPPED e2e_y Tests.test_skipped: no Node here", lines)
        self.assertEqual(self.run_suite("test_passes")[2], [])

    def test_a_failure_beside_it_stays_one(self):
        status, output, _ = self.run_suite("test_labs", "test_fails")
        self.assertEqual(status, 1)
        self.assertNotIn("OK (", output, "CTest would show it as skipped")


if __name__ == "__main__":
    unittest.main(verbosity=2)
