"""The command as a person uses it: exit statuses, files, what is left behind.

Runs the built runner in the checkout, with runs and state in a folder of its own (LAB_STATE).
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from processes import BUILD, ROOT, wait_until

LAB = os.path.join(BUILD, "bench", "cli", "lab")
LABS = sorted(name for name in os.listdir(os.path.join(ROOT, "labs")) if os.path.exists(os.path.join(ROOT, "labs", name, "lab.yaml")))
BROKEN = {"rate-limit-outage": "no-deadline", "rate-limit-algorithms": "counts-rejected"}
SHORT = 180  # seconds that any --quick run must end in, with room for a busy host


def descendants_of_state(state):
    """Processes that run out of a state folder: their command line or working folder names it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace")
            folder = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if int(pid) != os.getpid() and (state in command or folder.startswith(state)):
            found.append((int(pid), command.strip()))
    return found


class LabTest(unittest.TestCase):
    def setUp(self):
        self.state = tempfile.mkdtemp(prefix="lab-e2e-")
        self.addCleanup(shutil.rmtree, self.state, ignore_errors=True)
        self.env = dict(os.environ, LAB_ROOT=ROOT, LAB_STATE=self.state, NO_COLOR="1")

    def lab(self, *arguments, timeout=SHORT):
        return subprocess.run([LAB, *arguments], env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=timeout)

    def run_lab(self, *arguments):
        """A quick run. Inconclusive is a busy host's answer: said, and tried once more."""
        command = ("run", *arguments, "--quick", "--plain")
        done = self.lab(*command)
        if done.returncode == 2:
            print(f"{' '.join(command)}: inconclusive, tried once more:\n{done.stdout[-1500:]}", file=sys.stderr)
            done = self.lab(*command)
        return done

    def assert_status(self, done, status):
        self.assertEqual(done.returncode, status, f"\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")

    def assert_nothing_runs(self):
        self.assertEqual(descendants_of_state(self.state), [])

    def run_folder(self, lab):
        runs = os.path.join(self.state, "runs", lab)
        newest = sorted(name for name in os.listdir(runs) if name != "latest")[-1]
        return os.path.join(runs, newest)


class QuickRuns(LabTest):
    def quick(self, lab):
        self.assert_status(self.run_lab(lab), 0)
        folder = self.run_folder(lab)
        for name in ("result.json", "report.md", "report.html", "card.md"):
            self.assertGreater(os.path.getsize(os.path.join(folder, name)), 200, name)
        with open(os.path.join(folder, "result.json")) as file:
            result = json.load(file)
        self.assertEqual(result["verdict"]["state"], "pass")
        self.assert_nothing_runs()

    def test_rate_limit_outage(self):
        self.quick("rate-limit-outage")

    def test_rate_limit_algorithms(self):
        self.quick("rate-limit-algorithms")


class Verdicts(LabTest):
    def test_broken_variant_alone_fails(self):
        for lab in LABS:
            with self.subTest(lab=lab):
                self.assert_status(self.run_lab(lab, "--variants", BROKEN[lab]), 1)

    def test_starved_generator_is_inconclusive(self):
        done = self.lab("run", "rate-limit-outage", "--quick", "--plain", "--variants", "deny", "--starve-load", "0.9")
        self.assert_status(done, 2)
        self.assertRegex(done.stdout, r"(?i)generator")

    def edited_lab(self, before, after):
        folder = os.path.join(self.state, "labs", "rate-limit-outage")
        os.makedirs(folder)
        with open(os.path.join(ROOT, "labs", "rate-limit-outage", "lab.yaml")) as file:
            text = file.read()
        self.assertIn(before, text)
        line = text[: text.index(before)].count("\n") + 1
        path = os.path.join(folder, "lab.yaml")
        with open(path, "w") as file:
            file.write(text.replace(before, after, 1))
        return path, line

    def test_typo_in_a_lab_file_names_line_and_right_name(self):
        for before, after, named in (("  redis: {}", "  reddis: {}", "redis"), ("phase=steady", "phase=stedy", "steady"),
                                     ("rate: 4000/s", "rate: 4000", "/s"), ("caught_by:", "caught_bye:", "caught_by")):
            with self.subTest(typo=after):
                shutil.rmtree(os.path.join(self.state, "labs"), ignore_errors=True)
                path, line = self.edited_lab(before, after)
                done = self.lab("run", path, "--quick")
                self.assert_status(done, 64)
                self.assertRegex(done.stderr, rf"lab\.yaml:{line}:")
                self.assertIn(named, done.stderr)

    def test_swapped_names_the_judge_follows_the_evidence(self):
        """The correct configuration under the broken name gets away, so the run fails; run alone it passes."""
        path, _ = self.edited_lab("redis.deadline: 0s", "redis.deadline: 5ms")
        self.assert_status(self.run_lab(path, "--variants", "no-deadline"), 0)
        done = self.run_lab(path, "--variants", "no-deadline,deny")
        self.assert_status(done, 1)
        self.assertIn("no-deadline", done.stdout)

    def test_swapped_names_the_broken_configuration_fails_under_a_correct_name(self):
        path, _ = self.edited_lab("deny:  {ratelimit: {rules.on_store_failure: deny}",
                                  "deny:  {ratelimit: {redis.deadline: 0s, redis.max_outstanding: 100000, grpc.max_in_flight: 100000, rules.on_store_failure: deny}")
        self.assert_status(self.run_lab(path, "--variants", "deny"), 1)


class Usage(LabTest):
    def test_unknown_names_are_told_with_the_nearest(self):
        for arguments, named in ((("run", "rate-limit-outgae"), "rate-limit-outage"), (("rnu",), "run"),
                                 (("run", "rate-limit-outage", "--variants", "denny"), "deny"),
                                 (("run", "rate-limit-outage", "--set", "ratelimit.redis.dedline=5ms"), "redis.deadline"),
                                 (("run", "rate-limit-outage", "--set", "ratelimit.redis.deadline=5parsecs"), "ms"),
                                 (("run", "rate-limit-outage", "--predict", "p99-dney=5"), "p99-deny")):
            with self.subTest(arguments=arguments):
                done = self.lab(*arguments, timeout=30)
                self.assert_status(done, 64)
                self.assertIn(named, done.stderr)

    def test_help_list_and_doctor(self):
        self.assertIn("run", self.lab("--help").stdout)
        listed = self.lab("list")
        self.assert_status(listed, 0)
        for lab in LABS:
            self.assertIn(lab, listed.stdout)
        self.assertIn("redis", self.lab("doctor").stdout)


class Leftovers(LabTest):
    def start(self, *arguments):
        return subprocess.Popen([LAB, "run", "rate-limit-outage", "--quick", "--plain", *arguments], env=self.env, cwd=ROOT,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                start_new_session=True)

    def test_killed_runner_leaves_nothing(self):
        seed = int(os.environ.get("LAB_TEST_SEED", random.randrange(1 << 30)))
        print(f"seed {seed}", file=sys.stderr)
        moments = random.Random(seed)
        for _ in range(int(os.environ.get("LAB_TEST_KILLS", 4))):
            runner = self.start()
            after = moments.uniform(0.1, 12)
            time.sleep(after)
            runner.kill()
            runner.communicate()
            with self.subTest(killed_after_s=round(after, 2)):
                done = self.lab("list", timeout=30)  # any next start cleans up
                self.assert_status(done, 0)
                wait_until("no process remains", lambda: not descendants_of_state(self.state), 5)
                self.assertEqual(os.listdir(os.path.join(self.state, "state")) if os.path.isdir(os.path.join(self.state, "state")) else [], [])

    def test_interrupt_heals_and_stops(self):
        for after in (0.3, 3, 6):
            runner = self.start("--variants", "deny")
            time.sleep(after)
            os.kill(runner.pid, signal.SIGINT)
            output, _ = runner.communicate(timeout=20)
            with self.subTest(interrupted_after_s=after):
                self.assertEqual(runner.returncode, 70, output[-2000:])
                self.assert_nothing_runs()


class DiskFull(LabTest):
    def test_unwritable_state_is_a_clear_error(self):
        path = os.path.join(self.state, "file")
        with open(path, "w"):
            pass
        self.env["LAB_STATE"] = path
        done = self.lab("run", "rate-limit-outage", "--quick", "--plain")
        self.assertIn(done.returncode, (69, 70))
        self.assertIn(path, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
