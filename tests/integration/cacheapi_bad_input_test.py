#!/usr/bin/env python3
"""What the world does to the cache-aside API: requests that are none, a cache with other things in it, stores that are away,
full, read-only or of another time, clients that do not read or do not ask."""

import json
import resource
import socket
import struct
import time
import unittest

from cacheapi_fixture import ServiceTest
from cacheapi import parse_answer, read_all
from processes import free_port, wait_until

KEY = "insights:{acme}:w=24h"


def crc32c(data):
    """Castagnoli, reflected (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def entry(key=KEY, version=1, written=0, fresh=0, stale=0, body=b'{"posts": 1}', magic=b"LC\x01"):
    """As services/cacheapi/shared/entry.h has it."""
    head = magic + struct.pack("<BQqqqIII", 0, version, written, fresh, stale, 1000, len(key), len(body))
    return (sealed := head + key.encode() + body) + struct.pack("<I", crc32c(sealed))


class Requests(ServiceTest):
    def setUp(self):
        super().setUp()
        self.service = self.start()

    def tearDown(self):
        self.assertEqual(self.service.insights("acme")[0], 200, "and it goes on")
        self.assertTrue(self.service.alive())

    def test_brands(self):
        bad = ["x" * 65, "x" * 4000, "a%20b", "a:b", "%7Bacme%7D", "%ff", "%c0%af", "%ed%a0%80", "%f5%80%80%80", "a%0d%0ab",
               "%e2%80%ae" + "a", "%ef%bb%bf" + "a", "%f0%9f%98"]
        for brand in bad:
            with self.subTest(brand[:40]):
                self.assert_problem(self.service.insights(brand), 400, "brand")
                self.assert_problem(self.service.put(brand, 1), 400, "brand")
        self.assert_problem(self.service.insights("%00"), 400)
        self.assert_problem(self.service.insights("%zz"), 400)
        self.assert_problem(self.service.insights("x" * 9000), 431)
        self.assert_problem(self.service.insights("\xff\xfe"), 400)
        for path in ("/v1/brands//insights", "/v1/brands/acme", "/v1/brands/acme/", "/v1/brands/acme/other", "/v1/brands/a%2Fb/insights", "/v2"):
            self.assert_problem(self.service.get(path), 404)
        self.assertEqual(self.service.metric('cacheapi_origin_reads_total{outcome="unknown"}'), 0, "none got to the database")

    def test_windows(self):
        for window in ("1", "25h", "24H", "+24h", "%2024h", "24h%20", "1h%00", "-1h", "9" * 400, "%ff"):
            with self.subTest(window[:40]):
                self.assert_problem(self.service.insights("acme", window), 400)
        self.assert_problem(self.service.get("/v1/brands/acme/insights?window="), 400, "window")
        self.assert_problem(self.service.get("/v1/brands/acme/insights?windw=1h"), 400, "window")

    def test_bodies(self):
        bad = [b"", b"5", b"[]", b"{", b"null", b"{}", b'{"note": "x"}', b'{"posts": "5"}', b'{"posts": 1.5}', b'{"posts": 1e3}',
               b'{"posts": null}', b'{"posts": 18446744073709551615}', b'{"posts": -9223372036854775809}',
               b'{"posts": 1000000000001}', b'{"posts": -1000000000001}', b'{"posts": 1, "note": 7}', b'{"posts": 1, "posts": 2}', b'{"posts": 1, "more": 7}',
               b'{"posts": 1, "note": "a\\u0000b"}', b'{"posts": 1, "note": "\xff"}', b'{"posts": 1, "note": "\\ud800"}',
               b'{"posts": 1, "note": "' + b"n" * 1001 + b'"}', b"[" * 30000, b'{"posts":' * 6000, b'{"' + b"k" * 5000 + b'": 1}']
        version = json.loads(self.service.insights("acme")[2])["version"]
        for body in bad:
            with self.subTest(body[:60]):
                answer = self.service.request("PUT", "/v1/brands/acme/correction", body)
                self.assert_problem(answer, 400)
                self.assertLess(len(answer[2]), 1000)
        self.assert_problem(self.service.request("PUT", "/v1/brands/acme/correction", b"x" * 70_000), 413)
        self.assertEqual(json.loads(self.service.insights("acme")[2])["version"], version, "nothing was written")
        for posts in (10**12, -(10**12), 0):
            self.assertEqual(self.service.put("acme", posts)[0], 200)
            self.assertEqual(json.loads(self.service.insights("acme")[2])["correction"], posts)

    def test_headers_and_methods(self):
        for key in ("", "k" * 129, "a\x01b", "caf\xe9"):
            self.assert_problem(self.service.put("acme", 1, key=key), 400)
        for tenant in ("t" * 129, "\xff"):
            self.assert_problem(self.service.insights("acme", X_Tenant=tenant), 400, "tenant")
        for method, path in (("POST", "/v1/brands/acme/insights"), ("PATCH", "/v1/brands/acme/correction"), ("PUT", "/openapi.json")):
            answer = self.service.request(method, path, b"")
            self.assert_problem(answer, 405)
            self.assertIn("GET", answer[1]["allow"])
        self.assert_problem(self.service.request("PUT", "/v1/brands/acme/insights", b'{"posts": 1}'), 404)
        self.assertEqual(self.service.insights("acme", traceparent="00-nonsense")[0], 200)


class OtherThingsInTheCache(ServiceTest):
    """Whatever stands under our keys: a right answer from the database, a count by its name, and a good entry afterwards."""

    def torn(self):
        now = int(time.time() * 1000)
        good = entry(written=now, fresh=now + 600_000, stale=now + 600_000)
        flipped = bytearray(good)
        flipped[60] ^= 1
        times = dict(written=now, fresh=now + 600_000, stale=now + 600_000)
        return {
            "foreign": [b"hello", b"\x00" * 100, b"x" * 5_000_000, entry(magic=b"LC\x02", **times)],
            "truncated": [good[:-1], good[:48], good[:20], b"LC", good + b"more"],
            "corrupt": [bytes(flipped), good[:-4] + b"\0\0\0\0"],
            "invalid": [entry(version=2**53, **times), entry(written=now, fresh=2**62, stale=2**62), entry(written=now, fresh=now - 1, stale=now)],
            "wrong_key": [entry(key="insights:{other}:w=24h", **times), entry(key="insights:{acme}:w=1h", **times)],
        }

    def check(self, service, why, put):
        series = f'cacheapi_shared_unreadable_total{{why="{why}"}}'
        before = service.metric(series)
        self.redis.command("DEL", KEY, "lease:" + KEY)
        put()
        status, headers, body = service.insights("acme")
        self.assertEqual((status, headers["x-cache"]), (200, "miss"), body)
        self.assertEqual(json.loads(body)["authors"], 3)
        self.assertGreater(service.metric(series), before)
        wait_until("a good entry is there", lambda: service.insights("acme")[1].get("x-cache-tier") == "l2")

    def all_of_it(self, *settings):
        service = self.start("l1.enabled=false", *settings)
        for why, values in self.torn().items():
            for value in values:
                with self.subTest(why, value=value[:60]):
                    self.check(service, why, lambda v=value: self.redis.command("SET", KEY, v))
        for words in (("LPUSH", KEY, "a"), ("HSET", KEY, "a", "b"), ("SADD", KEY, "a"), ("XADD", KEY, "*", "a", "b")):
            with self.subTest("wrong_type", words=words):
                self.check(service, "wrong_type", lambda w=words: self.redis.command(*w))

    def test_with_a_lease(self):
        self.all_of_it("fill=both")

    def test_without_a_lease(self):
        self.all_of_it("fill=plain")

    def test_a_lease_of_another_program_holds_nobody_back(self):
        service = self.start("l1.enabled=false")
        for words in (("SET", "lease:" + KEY, "somebody's"), ("LPUSH", "lease:" + KEY, "a")):
            self.redis.command("DEL", KEY, "lease:" + KEY)
            self.redis.command(*words)
            self.assertEqual(service.insights("acme")[1]["x-cache"], "miss")

    def test_entries_from_before_a_jump_of_the_clock(self):
        """What is stored carries the time of Redis: after a jump it is of the future, or long over."""
        now, hour = int(time.time() * 1000), 3_600_000
        for fill in ("both", "plain"):
            service = self.start("l1.enabled=false", f"fill={fill}")
            for written in (now + hour, now + 20 * 365 * 24 * hour, now - 2 * hour, 0):
                with self.subTest(fill, written=written):
                    self.redis.command("DEL", KEY, "lease:" + KEY)
                    self.redis.command("SET", KEY, entry(written=written, fresh=written + hour, stale=written + hour))
                    status, headers, body = service.insights("acme")
                    self.assertEqual((status, headers["x-cache"]), (200, "miss"))
                    self.assertEqual(json.loads(body)["authors"], 3)
                    wait_until("it is of now", lambda: service.insights("acme")[1]["x-cache"] == "hit")
                    self.assertLess(int(service.insights("acme")[1]["age"]), 3000)

    def test_of_the_future_and_served_stale_it_is_fresh_for_nobody(self):
        now, hour = int(time.time() * 1000), 3_600_000
        service = self.start("l1.enabled=false", "stale.while_revalidate=true", "l2.stale=60s")
        body = json.dumps({"brand": "acme"}).encode()
        self.redis.command("SET", KEY, entry(written=now + hour, fresh=now + 2 * hour, stale=now + 3 * hour, body=body))
        status, headers, got = service.insights("acme")
        self.assertEqual((status, headers["x-cache"], got), (200, "stale", body))
        self.assertEqual((headers["age"], headers["cache-control"].split(",")[0]), ("0", "max-age=0"))
        wait_until("it has been refreshed", lambda: service.insights("acme")[1]["x-cache"] == "hit")


class RedisIsOfNoUse(ServiceTest):
    def tearDown(self):
        self.redis.command("CONFIG", "SET", "maxmemory", "0")
        self.redis.command("REPLICAOF", "NO", "ONE")

    def test_full(self):
        service = self.start("l1.enabled=false", "redis.breaker.open_for=50ms")
        self.redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.assertEqual(service.insights("acme")[0], 200)
        wait_until("healthy", lambda: service.insights("acme")[1]["x-cache"] == "hit")
        self.redis.command("CONFIG", "SET", "maxmemory", "1")
        for i in range(40):
            status, headers, _ = service.insights(f"b{i}")
            self.assertEqual((status, headers["x-cache"]), (200, "miss"))
        self.assertGreater(service.metric('cacheapi_shared_reads_total{outcome="error"}'), 0)
        for _ in range(3):
            status, _, body = service.put("acme", 11)
            self.assertEqual(status, 200, "a full cache is no reason to refuse a write")
        version = json.loads(body)["version"]
        self.redis.command("CONFIG", "SET", "maxmemory", "0")
        wait_until("it is used again", lambda: service.insights("b200")[1]["x-cache"] == "hit")
        wait_until("and right", lambda: json.loads(service.insights("acme")[2])["version"] == version)

    def test_read_only(self):
        service = self.start("l1.enabled=false", "redis.breaker.open_for=50ms")
        service.insights("acme")
        wait_until("healthy", lambda: service.insights("acme")[1]["x-cache"] == "hit")
        self.redis.command("REPLICAOF", "127.0.0.1", free_port())
        for i in range(40):
            self.assertEqual(service.insights(f"b{i}")[0], 200)
        status, _, body = service.put("acme", 12)
        self.assertEqual(status, 200, "committed, and the cache is told once it can be")
        version = json.loads(body)["version"]
        self.assertGreater(service.metric('cacheapi_invalidations_total{outcome="retried"}'), 0)
        self.redis.command("REPLICAOF", "NO", "ONE")
        wait_until("told", lambda: json.loads(service.insights("acme")[2])["version"] == version, 20)
        self.assertEqual(service.metric('cacheapi_invalidations_total{outcome="given_up"}'), 0)

    def test_not_there_at_the_start_and_there_later(self):
        port = free_port()
        service = self.start("l1.enabled=false", redis_port=port)
        self.assertIn('"redis_absent"', service.log())
        self.assertEqual(service.insights("acme")[1]["x-cache"], "miss")
        self.assertEqual(service.put("acme", 1)[0], 200)
        redis = type(self.redis)(self.folder, port)
        self.addCleanup(redis.close)
        wait_until("it fills", lambda: service.insights("b9") and redis.command("EXISTS", "insights:{b9}:w=24h"), 20)


class PostgresIsAway(ServiceTest):
    def tearDown(self):
        if not self.postgres.popen or self.postgres.popen.poll() is not None:
            self.postgres.start()

    def test_at_the_start(self):
        self.postgres.stop()
        service = self.start(wait_ready=False)
        self.assertEqual(service.get("/healthz")[0], 200)
        self.assertEqual(service.get("/readyz")[0], 503)
        answer = service.insights("acme")
        self.assert_problem(answer, 503)
        self.assertEqual(answer[1]["x-cache"], "error")
        self.assert_problem(service.put("acme", 1), 503)
        self.postgres.start()
        wait_until("ready", lambda: service.get("/readyz")[0] == 200, 20)
        wait_until("it answers", lambda: service.insights("acme")[0] == 200, 20)

    def test_later(self):
        service = self.start("l1.ttl=300ms", "l2.ttl=300ms", "l2.stale=60s", "stale.if_error=true")
        self.assertEqual(service.insights("acme")[0], 200)
        wait_until("it is in Redis", lambda: self.redis.command("EXISTS", KEY))
        self.postgres.stop()
        self.assertEqual(service.insights("acme")[0], 200, "what is cached is served")
        wait_until("and later it is stale", lambda: service.insights("acme")[1]["x-cache"] == "stale")
        self.assert_problem(service.insights("b1"), 503)
        status = service.put("acme", 77, key="through the outage")[0]
        self.assertIn(status, (503, 504))
        self.postgres.start()
        wait_until("it answers", lambda: service.insights("b1")[0] == 200, 20)
        version = json.loads(wait_until("written", lambda: (lambda a: a[0] == 200 and a)(
            service.put("acme", 77, key="through the outage")), 20)[2])["version"]
        self.assertEqual(json.loads(service.put("acme", 77, key="through the outage")[2])["version"], version)
        wait_until("read", lambda: json.loads(service.insights("acme")[2])["version"] == version)

    def test_it_hangs(self):
        service = self.start("origin.deadline=300ms", "writes.deadline=300ms")
        self.assertEqual(service.insights("acme")[0], 200)
        self.postgres.pause()
        try:
            self.assertIn(service.insights("b2")[0], (503, 504))
            self.assert_problem(service.put("acme", 5, key="hanging"), 504, "same key")
            self.assertEqual(service.insights("b3")[0] in (503, 504), True)
        finally:
            self.postgres.resume()
        wait_until("it answers", lambda: service.insights("b2")[0] == 200, 20)
        wait_until("the write too", lambda: service.put("acme", 5, key="hanging")[0] == 200, 20)


class Clients(ServiceTest):
    def connect(self, service):
        connection = socket.create_connection(("127.0.0.1", service.http_port), 10)
        connection.settimeout(10)
        self.addCleanup(connection.close)
        return connection

    def test_who_does_not_read_slows_nobody_else_and_is_closed(self):
        service = self.start("http.idle_timeout=1s")
        request = b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n" * 2000
        clients = []
        for _ in range(20):
            client = self.connect(service)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            try:
                client.send(request)
            except BlockingIOError:
                pass
            clients.append(client)
        for _ in range(20):
            self.assertEqual(service.insights("acme")[0], 200)
        self.assertLess(service.metric("process_resident_memory_bytes"), 256 << 20)
        wait_until("they are closed", lambda: service.metric("http_open_connections") <= 1, 30)

    def test_ten_times_more_idle_connections_than_the_bound(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        bound = min(1000, (hard - 200) // 11)
        service = self.start(f"http.max_connections={bound}", "http.header_timeout=2m")
        clients = []
        for i in range(10 * bound):
            clients.append(self.connect(service))
            if i % bound == 0:
                self.assertEqual(service.insights("acme")[0], 200, "a new one with a request is served")
        self.assertLessEqual(service.metric("http_open_connections"), bound + 64)
        self.assertGreaterEqual(service.metric("http_shed_connections_total"), 9 * bound)
        closed = [client for client in clients[: 8 * bound]]
        for client in closed:
            self.assertEqual(read_all(client), b"", "closed in order, not reset")
        for client in clients:
            client.close()
        wait_until("nothing is left", lambda: service.metric("http_open_connections") <= 1)

    def test_ten_times_more_requests_under_way_than_the_bound(self):
        service = self.start("http.max_connections=20", "origin.delay=1s", "origin.max_connections=20")
        clients = []
        for i in range(200):
            client = self.connect(service)
            client.sendall(f"GET /v1/brands/b{i}/insights HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
            clients.append(client)
        answers = [parse_answer(read_all(client)) for client in clients]
        self.assertGreaterEqual(sum(answer[0] == 200 for answer in answers), 20)
        for answer in answers:
            if answer[0] != 200:
                self.assert_problem(answer, 503, "connections")
        self.assertEqual(service.insights("acme")[0], 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
