"""Every `./lab` command in a fenced block of any README runs and exits as it should.

Long commands run in their short form (`--quick`); `./lab test` and `./lab bench` are what runs this test, or a stage of
their own, so they are only checked to be known.
"""

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import verdicts
from processes import BUILD, ROOT
from verdicts import run_to_a_verdict

LAB = os.path.join(BUILD, "bench", "cli", "lab")
ELSEWHERE = {"test", "bench"}
PROMPT = re.compile(r"^\s*(?:\$ )?(\./lab\b[^#\n]*)(#.*exit (\d+).*)?", re.M)


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


class ReadmeCommands(unittest.TestCase):
    def test_every_command_runs(self):
        state = tempfile.mkdtemp(prefix="lab-readme-")
        self.addCleanup(shutil.rmtree, state, ignore_errors=True)
        env = dict(os.environ, LAB_ROOT=ROOT, LAB_STATE=state, NO_COLOR="1")
        # What a README keeps up it also takes down; in case it does not.
        self.addCleanup(subprocess.run, [LAB, "down", "--all"], env=env, cwd=ROOT, capture_output=True, timeout=60)
        all_commands = commands()
        self.assertGreater(len(all_commands), 5)
        done = set()
        for readme, command, expected in sorted(all_commands, key=lambda item: " run " not in item[1]):
            words = shlex.split(command)[1:]
            if words and words[0] in ELSEWHERE:
                continue
            if words and words[0] == "run" and "--quick" not in words:
                words.append("--quick")
            if tuple(words) in done:
                continue
            done.add(tuple(words))
            with self.subTest(readme=readme, command=command):
                def run():
                    return subprocess.run([LAB, *words], env=env, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                                          capture_output=True, timeout=240)

                ran = run() if expected == verdicts.INCONCLUSIVE else run_to_a_verdict(run, state, command)
                self.assertEqual(ran.returncode, expected, ran.stdout[-2000:] + ran.stderr[-2000:])


if __name__ == "__main__":
    verdicts.main()
