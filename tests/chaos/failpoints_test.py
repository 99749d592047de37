#!/usr/bin/env python3
"""The limiter crashes at a failpoint while callers are at it, on a real Redis: healthy, crashed, right again. A crash is
the one fault of which nobody is told anything, so what is asserted is what Redis must still know."""

import json
import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from processes import RateLimiter, Redis, free_port, http, temporary_folder, wait_until  # noqa: E402
import shutil  # noqa: E402

LIMIT = 300
CALLERS = 8  # each has one request out at a time
CRASH_STATUS = 137
RULES = f"""
domain: shop
descriptors:
  - {{key: tenant, rate_limit: {{unit: day, requests_per_unit: {LIMIT}, on_store_failure: deny}}}}
"""


class Load:
    """Callers that ask one after the other, `count` times or until the process has ended; counts what they were told."""

    def __init__(self, limiter, tenant, count=None):
        self.limiter, self.count, self.stopping = limiter, count, False
        self.body = json.dumps({"domain": "shop", "descriptors": [{"entries": [{"key": "tenant", "value": tenant}]}]}).encode()
        self.admitted = self.denied = self.unknown = self.unanswered = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._call, daemon=True) for _ in range(CALLERS)]
        for thread in self.threads:
            thread.start()

    def _call(self):
        asked = 0
        while not self.stopping and asked != self.count:
            asked += 1
            status, _, _ = http(self.limiter.http_port, "/json", "POST", self.body, timeout=5)
            with self.lock:
                self.admitted += status == 200
                self.denied += status == 429
                self.unknown += status == 503  # denied by policy: a busy host missed the deadline, Redis may have counted it
                self.unanswered += status == 0
            if status == 0 and not self.limiter.alive():
                return

    def join(self):
        for thread in self.threads:
            thread.join()

    def stop(self):
        self.stopping = True
        self.join()


class Crash(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_folder()
        self.redis = Redis(self.folder)
        self.ports = [f"http.port={free_port()}", f"grpc.port={free_port()}"]
        self.limiter = self.start("failpoints.enabled=true")

    def tearDown(self):
        self.limiter.close()
        self.redis.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *settings):
        return RateLimiter(self.folder, self.redis.port, RULES, [*self.ports, "redis.deadline=19ms", *settings])

    def points(self):
        status, _, body = http(self.limiter.http_port, "/failpoints")
        self.assertEqual(status, 200)
        return json.loads(body)

    def arm(self, point, query):
        status, _, body = http(self.limiter.http_port, f"/failpoints/{point}?{query}", "PUT")
        self.assertEqual(status, 200, body)

    def crash_under_load(self, point):
        # Healthy.
        before = Load(self.limiter, point, count=5)
        before.join()
        self.assertEqual(before.admitted + before.unknown, 5 * CALLERS)
        # One in some requests crashes it, in the middle of the load.
        self.arm(point, "action=crash&share=0.2")
        load = Load(self.limiter, point)
        wait_until("the limiter ends", lambda: not self.limiter.alive())
        load.stop()
        self.assertEqual(self.limiter.popen.returncode, CRASH_STATUS)
        self.assertIn('"failpoint_crash"', self.limiter.log())
        # Right again: a new process on the same ports, which has nothing armed.
        self.limiter.close()
        self.limiter = self.start("failpoints.enabled=true")
        self.assertTrue(all(one["armed"] is None for one in self.points()))
        again = Load(self.limiter, point)
        wait_until("the limit is used up", lambda: again.denied >= 3 * CALLERS)
        again.stop()
        self.assertEqual(again.unanswered, 0)
        return before, load, again

    def test_every_point_of_the_limiter_that_a_request_comes_by(self):
        points = [one["name"] for one in self.points() if one["name"].startswith("redis.script.")]
        self.assertEqual(points, ["redis.script.after", "redis.script.before"])
        for point in points:
            with self.subTest(point):
                acts = self.crash_under_load(point)
                admitted = sum(act.admitted for act in acts)
                self.assertLessEqual(admitted, LIMIT, "what passed before the crash is still counted after it")
                # Counted without having passed: at most what each caller had out, and what was late on a busy host.
                self.assertGreaterEqual(admitted, LIMIT - CALLERS - sum(act.unknown for act in acts))

    def test_a_point_that_nobody_comes_by_ends_nothing(self):
        self.arm("redis.command.before", "action=crash")
        load = Load(self.limiter, "other", count=10)
        load.join()
        self.assertTrue(self.limiter.alive())
        self.assertEqual(load.unanswered, 0)

    def test_a_configured_failpoint_ends_by_itself_when_its_time_is_over(self):
        self.limiter.close()
        self.limiter = self.start("failpoints.enabled=true", "failpoints.redis.script.before=error for=1500ms")
        load = Load(self.limiter, "configured")
        wait_until("it is over, and nobody disarmed it", lambda: load.admitted >= 20)
        load.stop()
        self.assertGreater(load.unknown, 0, "until then the policy denied")
        state = next(one for one in self.points() if one["name"] == "redis.script.before")
        self.assertIsNone(state["armed"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
