#!/usr/bin/env python3
"""The short form of the soak: a minute in which Redis, PostgreSQL and the API are killed at random, and then nothing stale
anywhere. `./lab test --stage soak` runs the ten minutes."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import verdicts  # noqa: E402
from processes import BUILD, ROOT  # noqa: E402

LAB = os.path.join(BUILD, "bench", "cli", "lab")
FILE = os.path.join("tests", "chaos", "cache-soak", "lab.yaml")
SEED = 27    # six kills, of everything there is
SHORT = 240  # seconds: its phases, two starts, the reading at rest, a busy host


class Soak(unittest.TestCase):
    def setUp(self):
        self.state = tempfile.mkdtemp(prefix="lab-soak-")
        self.addCleanup(shutil.rmtree, self.state, ignore_errors=True)

    def run_short(self, variant, seed):
        command = ["run", FILE, "--quick", "--plain", "--no-predict", "--variants", variant, "--seed", str(seed)]
        environment = dict(os.environ, LAB_ROOT=ROOT, LAB_STATE=self.state, NO_COLOR="1")
        return verdicts.run_to_a_verdict(
            lambda: subprocess.run([LAB, *command], env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                                   capture_output=True, timeout=SHORT),
            self.state, " ".join(command))

    def test_a_minute_of_kills_leaves_nothing_stale(self):
        done = self.run_short("outbox", SEED)
        self.assertEqual(done.returncode, 0, f"\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
        result = verdicts.newest_result(self.state, 0)
        trial = result["trials"][0]
        self.assertEqual({fault["fault"] for fault in trial["faults"]}, {"redis.kill", "postgres.kill", "cacheapi.kill"})
        for fault in trial["faults"]:
            self.assertIsNotNone(fault["seen_s"], fault)
            self.assertIsNotNone(fault["healed_s"], fault)
        rest = next(one for one in result["verdict"]["findings"] if one["rule"] == "no-stale-at-rest")
        self.assertEqual(rest["state"], "pass", json.dumps(rest))
        print(rest["measured"])


if __name__ == "__main__":
    verdicts.main(sys.argv)
