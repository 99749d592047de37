""".ci/run on a stub of `./lab test`: what it makes of tests that were skipped or stayed undecided."""

import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from script_test import ROOT, Script, executable


class Ci(Script):
    SKIPPED = " 2/9 Test #70: e2e_x ....................***Skipped  12.30 sec"

    def setUp(self):
        super().setUp()
        for tool in ("git", "timeout", "tee"):
            os.symlink(shutil.which(tool), os.path.join(self.bin, tool))
        for tool in ("chromium", "zsh", "fish", "nft", "node", "npm"):
            executable(os.path.join(self.bin, tool), "#!/usr/bin/env bash\n")
        os.makedirs(os.path.join(self.root, ".ci"))
        shutil.copy2(os.path.join(ROOT, ".ci", "run"), os.path.join(self.root, ".ci"))
        executable(os.path.join(self.root, "lab"), """#!/usr/bin/env bash
echo "lab $*" >>"$JOURNAL"
mkdir -p .lab/tests
printf '%s' "$VERDICTS" >.lab/tests/verdicts
echo "$OUTPUT"
exit "${STATUS:-0}"
""")

    def ci(self, output="", *verdicts, status="0"):
        return subprocess.run([os.path.join(self.root, ".ci", "run")], text=True, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=60, env={**self.env, "OUTPUT": output, "STATUS": status,
                                               "VERDICTS": "".join(line + "\n" for line in verdicts)})

    def assert_ci(self, done, status, text):
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertIn(text, done.stdout)

    def test_all_decided(self):
        self.assert_ci(self.ci("9/9 passed", "DECIDED e2e_x run a: pass"), 0, "ci: done")
        self.assert_ci(self.ci("9/9 passed"), 0, "ci: done")

    def test_a_failure(self):
        self.assert_ci(self.ci("failed", "DECIDED e2e_x run a: pass", status="1"), 1, "exit 1")

    def test_a_skipped_test_fails(self):
        self.assert_ci(self.ci(self.SKIPPED, "SKIPPED e2e_x Page.test: no Chromium"), 1, "was skipped:\n" + self.SKIPPED)
        self.assert_ci(self.ci(self.SKIPPED), 1, "was skipped:\n" + self.SKIPPED)
        self.assert_ci(self.ci("SKIPPED fuzz  (see above)"), 1, "was skipped:\nSKIPPED fuzz")

    def test_an_undecided_one_is_told(self):
        done = self.ci(self.SKIPPED, "UNDECIDED e2e_x Verdicts.test: stolen", "DECIDED e2e_y run a: pass")
        self.assert_ci(done, 0, "ci: undecided, for the host was too busy:\nUNDECIDED e2e_x Verdicts.test: stolen\n")

    def test_undecided_does_not_hide_what_is_skipped(self):
        decided, undecided = "DECIDED e2e_y run a: pass", "UNDECIDED e2e_x Verdicts.test: stolen"
        self.assert_ci(self.ci(self.SKIPPED, decided, undecided, "SKIPPED e2e_x Page.test: no Chromium"), 1, "was skipped:")
        self.assert_ci(self.ci(self.SKIPPED, decided, "UNDECIDED e2e_xy Verdicts.test: stolen"), 1, "was skipped:")
        also = self.SKIPPED + "\n" + self.SKIPPED.replace("e2e_x", "envoy_test")
        self.assert_ci(self.ci(also, decided, undecided), 1, "envoy_test")

    def test_no_verdict_at_all_proves_nothing(self):
        self.assert_ci(self.ci(self.SKIPPED, "UNDECIDED e2e_x Verdicts.test: stolen"), 1, "too busy for any verdict")


if __name__ == "__main__":
    unittest.main(verbosity=2)
