"""The stock toxiproxy-cli drives our fault proxy, and prints what it prints of Toxiproxy's own server.

The cli is the one that LAB_TOXIPROXY_CLI names, or is built by `go install` below .lab/. Skipped, with the reason, where
there is neither; the same requests are held against the same answers in bench/proxy/api_test.cc without it.
"""

import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from processes import BUILD, ROOT, STATE, Process, Redis, free_port, http, temporary_folder, wait_until

MODULE = "github.com/Shopify/toxiproxy/v2/cmd/cli@v2.12.0"
TRANSCRIPT = os.path.join(ROOT, "bench", "proxy", "testing", "toxiproxy-2.12.0.jsonl")


def stock_cli():
    """The path of the cli, or the reason why there is none."""
    given = os.environ.get("LAB_TOXIPROXY_CLI")
    if given:
        return given, None
    folder = os.path.join(STATE, "toxiproxy")
    binary = os.path.join(folder, "cli")
    if os.path.exists(binary):
        return binary, None
    if not shutil.which("go"):
        return None, "no go on this host, and no LAB_TOXIPROXY_CLI"
    os.makedirs(folder, exist_ok=True)
    made = subprocess.run(["go", "install", MODULE], env=dict(os.environ, GOBIN=folder), capture_output=True, text=True,
                          timeout=600)
    if made.returncode != 0:
        return None, "go install: " + made.stderr.strip()[-200:]
    return binary, None


class FaultProxy(Process):
    def __init__(self, folder):
        super().__init__([os.path.join(BUILD, "bench", "proxy", "fault_proxy"), "--port", "0"], folder, "fault_proxy")
        self.port = wait_until("fault_proxy is ready", self._ready)

    def _ready(self):
        for line in self.log().splitlines():
            if '"service_ready"' in line:
                return json.loads(line)["http_port"]
        if not self.alive():
            raise AssertionError("fault_proxy ended: " + self.log())
        return None


class StockCli(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cli, reason = stock_cli()
        if reason:
            raise unittest.SkipTest(reason)

    def setUp(self):
        folder = temporary_folder()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.proxy = FaultProxy(folder)
        self.addCleanup(self.proxy.close)
        self.folder = folder

    def run_cli(self, *words):
        return subprocess.run([self.cli, "-h", f"http://127.0.0.1:{self.proxy.port}", *words], capture_output=True,
                              text=True, timeout=20)

    def test_prints_what_it_prints_of_toxiproxys_server(self):
        port = str(free_port())
        with open(TRANSCRIPT) as file:
            steps = [json.loads(line.replace("{port}", port)) for line in file]
        commands = [step for step in steps if step["command"]]
        self.assertGreater(len(commands), 40)
        for step in commands:
            done = self.run_cli(*step["command"].split())
            with self.subTest(command=step["command"]):
                self.assertEqual((done.stdout, done.stderr, done.returncode), (step["out"], step["err"], step["status"]))

    def test_breaks_a_redis(self):
        redis = Redis(self.folder)
        self.addCleanup(redis.close)
        port = free_port()
        self.assertEqual(self.run_cli("create", "-l", f"127.0.0.1:{port}", "-u", f"127.0.0.1:{redis.port}", "r").returncode, 0)
        redis.port = port  # through the proxy from here on
        self.assertTrue(redis.ping())
        self.run_cli("toxic", "add", "-t", "timeout", "-a", "timeout=0", "r")
        self.assertFalse(redis.ping())
        self.run_cli("toxic", "remove", "-n", "timeout_downstream", "r")
        self.assertTrue(redis.ping())
        self.run_cli("toggle", "r")
        self.assertFalse(redis.ping())
        self.assertEqual(http(self.proxy.port, "/reset", "POST", b"")[0], 204)
        self.assertTrue(redis.ping())


if __name__ == "__main__":
    unittest.main(verbosity=2)
