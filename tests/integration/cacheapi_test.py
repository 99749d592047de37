#!/usr/bin/env python3
"""The cache-aside API as a process, on a real Redis and PostgreSQL: how it starts, what it answers, what a rate limiter does to
it, how it ends. What others do to it: cacheapi_bad_input_test.py; its document: cacheapi_openapi_test.py."""

import json
import os
import signal
import socket
import subprocess
import threading
import unittest

from cacheapi_fixture import ARABIC, ServiceTest
from cacheapi import CacheApi, parse_answer, read_all
from processes import RateLimiter, free_port, wait_until


class Starting(unittest.TestCase):
    def run_it(self, *arguments):
        return subprocess.run([CacheApi.BINARY, *arguments], capture_output=True, text=True, timeout=20)

    def test_help_names_purpose_flags_and_every_field(self):
        done = self.run_it("--help")
        self.assertEqual(done.returncode, 0)
        for word in ("cache-aside API", "--print-config-schema", "postgres.host", "grpc.port", "ratelimit.target", "write.pattern"):
            self.assertIn(word, done.stdout)

    def test_the_schema_is_complete(self):
        done = self.run_it("--print-config-schema")
        self.assertEqual(done.returncode, 0)
        fields = {field["path"]: field for field in json.loads(done.stdout)}
        for path in ("postgres.host", "postgres.port", "redis.host", "redis.port", "grpc.port", "http.port", "http.max_connections",
                     "ratelimit.on_failure", "ratelimit.deadline", "l1.enabled", "fill"):
            self.assertIn(path, fields)
        for field in fields.values():
            self.assertTrue(field["doc"], field)
        self.assertEqual(fields["ratelimit.on_failure"]["names"], ["allow", "deny"])
        self.assertFalse([path for path in fields if path.startswith("pg.")])

    def test_everything_wrong_is_said_at_once_and_nothing_starts(self):
        done = self.run_it("--set", "ratelimit.on_failure=perhaps", "--set", "grpc.port=70000", "--set", "postgres.hots=x")
        self.assertEqual(done.returncode, 64)
        for word in ("ratelimit.on_failure", "grpc.port", "postgres.host"):
            self.assertIn(word, done.stderr)


class Answers(ServiceTest):
    def test_an_insight_and_how_it_came(self):
        service = self.start()
        status, headers, body = service.insights("acme", "7d")
        self.assertEqual(status, 200, body)
        insight = json.loads(body)
        self.assertEqual((insight["brand"], insight["window"], insight["authors"]), ("acme", "7d", 3))
        self.assertEqual(headers["x-version"], str(insight["version"]))
        self.assertEqual((headers["x-cache"], "x-cache-tier" in headers), ("miss", False))
        for _ in range(100):  # L1 holds it once Redis has taken it
            _, headers, again = service.insights("acme", "7d")
            self.assertEqual((headers["x-cache"], again), ("hit", body))
            if headers["x-cache-tier"] == "l1":
                break
        self.assertEqual(headers["x-cache-tier"], "l1")
        second = self.start()
        _, headers, again = second.insights("acme", "7d")
        self.assertEqual((headers["x-cache"], headers["x-cache-tier"], again), ("hit", "l2", body))
        wait_until("it gets older", lambda: int(second.insights("acme", "7d")[1]["age"]) >= 1)

    def test_a_brand_in_another_script(self):
        quoted = "".join(f"%{byte:02x}" for byte in ARABIC.encode())
        status, _, body = self.start().insights(quoted)
        self.assertEqual((status, json.loads(body)["brand"]), (200, ARABIC))

    def test_if_none_match(self):
        service = self.start()
        _, headers, _ = service.insights("acme")
        tag = headers["etag"]
        self.assertRegex(tag, r'^W/"v\d+-24h-[0-9a-f]{8}"$')
        for known in (tag, tag[2:], "*", f'"other", {tag}', f'W/"v0-24h" ,\t{tag} '):
            status, headers, body = service.insights("acme", if_none_match=known)
            self.assertEqual((status, body), (304, b""), known)
            self.assertEqual(headers["etag"], tag)
            for name in ("cache-control", "age", "date", "x-version"):
                self.assertIn(name, headers, "what a cache must bring up to date (RFC 9110, 15.4.5)")
            self.assertNotIn("content-length", headers)
        for other in ('"v999-24h"', tag.replace("24h", "7d"), tag.strip('W/"'), "", ",,,"):
            self.assertEqual(service.insights("acme", if_none_match=other)[0], 200, other)
        self.assertEqual(service.put("acme", 1)[0], 200)
        status, headers, _ = service.insights("acme", if_none_match=tag)
        self.assertEqual(status, 200, "the version is another")
        self.assertNotEqual(headers["etag"], tag)

    def test_head_is_get_without_a_body(self):
        service = self.start()
        status, headers, body = service.request("HEAD", "/v1/brands/acme/insights")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["content-length"]), 0)

    def test_a_write_shows_at_once_in_every_window_and_is_applied_once_by_its_key(self):
        service = self.start()
        windows = ("1h", "6h", "24h", "7d", "30d")
        service.request("DELETE", "/v1/brands/other/correction")
        before = {window: json.loads(service.insights("other", window)[2]) for window in windows}
        status, headers, body = service.put("other", 40, key="once")
        version = json.loads(body)["version"]
        self.assertEqual((status, headers["x-version"]), (200, str(version)))
        for window in windows:
            insight = json.loads(service.insights("other", window)[2])
            self.assertEqual((insight["version"], insight["correction"]), (version, 40))
            self.assertEqual(insight["posts"], before[window]["posts"] + 40)
        for _ in range(3):
            self.assertEqual(json.loads(service.put("other", 40, key="once")[2])["version"], version)
        self.assertEqual(json.loads(service.put("other", 40, key="twice")[2])["version"], version + 1)
        self.assert_problem(service.put("acme", 40, key="once"), 409, "another write")
        self.assertEqual(service.request("DELETE", "/v1/brands/other/correction")[0], 200)
        self.assertEqual(json.loads(service.insights("other", "1h")[2])["correction"], 0)

    def test_there_is_none_is_cached_and_counted(self):
        service = self.start()
        for _ in range(3):
            self.assert_problem(service.insights("nobody"), 404, "no brand")
        self.assertEqual(service.metric('cacheapi_origin_reads_total{outcome="unknown"}'), 1)
        self.assert_problem(service.put("nobody", 1), 404)

    def test_one_load_for_many_who_ask_at_once_of_two_processes(self):
        services = [self.start("origin.delay=300ms"), self.start("origin.delay=300ms")]
        got = []
        threads = [threading.Thread(target=lambda s=services[i % 2]: got.append(s.insights("acme")[0])) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(got, [200] * 20)
        self.assertEqual(sum(s.metric('cacheapi_origin_reads_total{outcome="found"}') for s in services), 1)


class Limited(ServiceTest):
    RULES = """
domain: cacheapi
descriptors:
  - {key: tenant, rate_limit: {unit: day, requests_per_unit: 3, name: per-tenant}}
"""

    def start_limiter(self, *settings):
        limiter = RateLimiter(self.folder, self.redis.port, self.RULES, ["redis.deadline=19ms", "http.port=0", *settings])
        self.addCleanup(limiter.close)
        return limiter

    def test_three_a_day_for_each_tenant_by_our_own_limiter(self):
        limiter = self.start_limiter("grpc.port=0")
        service = self.start(f"ratelimit.target=127.0.0.1:{limiter.grpc_port}", "ratelimit.deadline=2s")
        for tenant in ({"X-Tenant": "one"}, {"X-Tenant": "two"}, {}):
            left = []
            for _ in range(3):
                status, headers, _ = service.get("/v1/brands/acme/insights", tenant)
                self.assertEqual(status, 200)
                self.assertIn("q=3", headers["ratelimit-policy"])
                left.append(headers["ratelimit"].split(";")[1])
            self.assertEqual(left, ["r=2", "r=1", "r=0"])
            answer = service.get("/v1/brands/acme/insights", tenant)
            self.assert_problem(answer, 429, "tenant")
            self.assertGreater(int(answer[1]["retry-after"]), 0)
            self.assertIn("r=0", answer[1]["ratelimit"])
        self.assert_problem(service.put("acme", 1, X_Tenant="one"), 429)
        self.assertEqual(service.get("/healthz")[0], 200, "what is not of a tenant is not limited")
        self.assertEqual(service.metric('cacheapi_limiter_decisions_total{outcome="over_limit"}'), 4)

    def policy(self, policy, while_away):
        port = free_port()
        limiter = self.start_limiter(f"grpc.port={port}")
        service = self.start(f"ratelimit.target=127.0.0.1:{port}", f"ratelimit.on_failure={policy}", "ratelimit.deadline=500ms",
                             "ratelimit.breaker.failures=3", "ratelimit.breaker.open_for=100ms")
        wait_until("healthy", lambda: "ratelimit" in service.insights("acme", X_Tenant="before")[1])
        limiter.close()
        for _ in range(8):
            self.assertEqual(service.insights("acme", X_Tenant="away")[0], while_away)
        self.assertGreater(service.metric('cacheapi_limiter_failures_total{why="unavailable"}'), 0)
        self.assertGreater(service.metric('cacheapi_limiter_failures_total{why="breaker_open"}'), 0)
        self.start_limiter(f"grpc.port={port}")
        wait_until("it counts again", lambda: service.insights("acme", X_Tenant="after")[0] == 429, 20)

    def test_limiter_gone_and_back_allow(self):
        self.policy("allow", 200)

    def test_limiter_gone_and_back_deny(self):
        self.policy("deny", 503)

    def test_a_limiter_that_hangs_costs_its_deadline_only(self):
        limiter = self.start_limiter("grpc.port=0")
        service = self.start(f"ratelimit.target=127.0.0.1:{limiter.grpc_port}", "ratelimit.deadline=50ms")
        wait_until("healthy", lambda: "ratelimit" in service.insights("acme", X_Tenant="x")[1])
        limiter.signal(signal.SIGSTOP)
        self.assertEqual(service.insights("acme", X_Tenant="y")[0], 200)
        self.assertGreater(service.metric('cacheapi_limiter_failures_total{why="timeout"}'), 0)
        limiter.signal(signal.SIGCONT)
        wait_until("it is asked again", lambda: "ratelimit" in service.insights("acme", X_Tenant="z")[1], 20)


class Ending(ServiceTest):
    def begin(self, service, path):
        connection = socket.create_connection(("127.0.0.1", service.http_port), 10)
        self.addCleanup(connection.close)
        connection.settimeout(10)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        return connection

    def test_sigterm_answers_what_is_under_way_and_closes_what_is_idle(self):
        service = self.start("origin.delay=700ms", "stop.deadline=10s")
        idle = socket.create_connection(("127.0.0.1", service.http_port), 10)
        self.addCleanup(idle.close)
        idle.settimeout(10)
        busy = self.begin(service, "/v1/brands/acme/insights")
        wait_until("the database is asked", lambda: service.metric('pg_outstanding{pool="pg_read"}') == 1)
        service.signal(signal.SIGTERM)
        self.assertEqual(parse_answer(read_all(busy))[0], 200)
        self.assertEqual(read_all(idle), b"")
        self.assertEqual(service.popen.wait(20), 0)
        self.assertIn('"service_stopped"', service.log())
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", service.http_port), 1)

    def test_kill_9_leaves_nothing_that_holds_up_the_next_one(self):
        ports = [f"http.port={free_port()}", f"grpc.port={free_port()}"]
        service = self.start(*ports, "origin.delay=1s", "l2.lease=500ms")
        files = set(os.listdir(self.folder))
        busy = self.begin(service, "/v1/brands/b7/insights")
        wait_until("it has the lease", lambda: self.redis.command("EXISTS", "lease:insights:{b7}:w=24h"))
        with open(f"/proc/{service.popen.pid}/task/{service.popen.pid}/children") as file:
            self.assertEqual(file.read(), "", "it has no children that could be left")
        service.kill()
        try:
            self.assertEqual(read_all(busy), b"")
        except ConnectionResetError:
            pass
        self.assertEqual(set(os.listdir(self.folder)), files, "no file of its own")
        again = self.start(*ports, "l2.lease=500ms")
        self.assertEqual(again.insights("b7")[0], 200, "the lease of the dead has an end")
        wait_until("and it ends", lambda: self.redis.command("EXISTS", "lease:insights:{b7}:w=24h") == 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
