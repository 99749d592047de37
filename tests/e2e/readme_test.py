"""Every `./lab` command in a fenced block of any README runs and exits as it should.

Long commands run in their short form (`--quick`); `./lab test` and `./lab bench` are what runs this test, or a stage of
their own, so they are only checked to be known. Among the commands are the quick run of every lab and a run of its broken
variant alone, here and nowhere else: what they leave is checked too. These and the commands of the root's README are
`ReadmeCommands`; `FurtherCommands`, those with which a lab is explored further, have a stage of their own.
"""

import glob
import json
import os
import re
import shlex
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab_test import LAB, LABS, ROOT, LabTest
import verdicts
from verdicts import run_to_a_verdict

ELSEWHERE = {"test", "bench"}
PROMPT = re.compile(r"^\s*(?:\$ )?(\./lab\b[^#\n]*)(#.*exit (\d+).*)?", re.M)
QUICK_BUDGET = 45  # seconds, as each lab file says
BROKEN = {"rate-limit-outage": "no-deadline", "rate-limit-slow-store": "no-deadline",
          "rate-limit-algorithms": "counts-rejected", "rate-limit-distributed": "full-limit", "cache-stampede": "plain",
          "cache-consistency": "delete-before-update", "cache-aside-basics": "shared-key",
          "cache-penetration": "no-negative", "cache-outage": "unprotected"}


def commands():
    """(README, command, expected exit status) of every fenced ./lab command."""
    found = []
    for path in sorted(glob.glob(os.path.join(ROOT, "**", "README.md"), recursive=True)):
        relative = os.path.relpath(path, ROOT)
        if relative.startswith((".lab", "build")):
            continue
        with open(path) as file:
            for block in re.findall(r"^```sh\n(.*?)^```", file.read(), re.M | re.S):
                for match in PROMPT.finditer(block):
                    found.append((relative, match.group(1).strip(), int(match.group(3) or 0)))
    return found


def different_commands():
    """The words of each command that is run here -> (README, command, expected exit status); runs come first."""
    different = {}
    for readme, command, expected in sorted(commands(), key=lambda item: " run " not in item[1]):
        words = shlex.split(command)[1:]
        if words and words[0] in ELSEWHERE:
            continue
        if words and words[0] == "run" and "--quick" not in words:
            words.append("--quick")
        different.setdefault(tuple(words), (readme, command, expected))
    return different


def further(words, readme):
    """Whether it explores a lab beyond its quick run and its broken variant, outside the root's README."""
    alone = [("run", lab, "--variants", BROKEN[lab], "--quick") for lab in LABS]
    return readme != "README.md" and words[0] in ("run", "sweep") and len(words) > 3 and words not in alone


class Commands(LabTest):
    def setUp(self):
        super().setUp()
        # What a README keeps up it also takes down; in case it does not.
        self.addCleanup(self.lab, "down", "--all", timeout=60)

    def run_commands(self, are_further):
        different = {words: told for words, told in different_commands().items() if further(words, told[0]) == are_further}
        self.assertGreater(len(different), 5)
        for words, (readme, command, expected) in different.items():
            with self.subTest(readme=readme, command=command):
                def run():
                    return self.lab(*words, timeout=240)

                ran = run() if expected == verdicts.INCONCLUSIVE else run_to_a_verdict(run, self.state, command)
                self.assert_status(ran, expected)
                if "--starve-load" in words:
                    self.assertRegex(ran.stdout, r"(?i)generator")
                if len(words) == 3 and words[0] == "run" and words[1] in LABS:
                    self.check_quick_run(words[1])

    def check_quick_run(self, lab):
        """What a quick run of a whole lab leaves: its files, within its budget, a trace of every replica, no process."""
        folder = self.run_folder(lab)
        for name in ("result.json", "report.md", "report.html", "card.md"):
            self.assertGreater(os.path.getsize(os.path.join(folder, name)), 200, name)
        with open(os.path.join(folder, "result.json")) as file:
            result = json.load(file)
        self.assertEqual(result["verdict"]["state"], "pass")
        # Its length is that of its phases and starts, not a speed; with the trials that the host made it run twice.
        again = sum(1 for trial in result["trials"] if trial.get("disturbed"))
        self.assertLessEqual(result["duration_s"], QUICK_BUDGET * (1 + again / len(result["trials"])))
        if any(not trial.get("exploration") for trial in result["trials"]):
            self.check_spans(folder, "ratelimit" if lab.startswith("rate-limit") else "cacheapi")
        self.assert_nothing_runs()

    def check_spans(self, folder, service):
        """Of one request in a thousand, so not in each trial of a small load."""
        spans = []
        for path in glob.glob(os.path.join(folder, "trials", "*", "traces", service + "*.jsonl")):  # one a replica
            with open(path) as file:
                spans += [json.loads(line) for line in file]
        self.assertTrue(spans, folder)
        self.assertEqual({span["service"] for span in spans}, {service})


class ReadmeCommands(Commands):
    def test_every_lab_is_run_whole_and_its_broken_variant_alone(self):
        statuses = {words: expected for words, (_, _, expected) in different_commands().items()}
        for lab in LABS:
            self.assertEqual(statuses.get(("run", lab, "--quick")), 0, lab)
            self.assertEqual(statuses.get(("run", lab, "--variants", BROKEN[lab], "--quick")), 1, lab)
        self.assertIn(2, [status for words, status in statuses.items() if "--starve-load" in words])

    def test_every_command_runs(self):
        self.run_commands(are_further=False)


class FurtherCommands(Commands):
    def test_every_command_runs(self):
        self.run_commands(are_further=True)


if __name__ == "__main__":
    verdicts.main()
