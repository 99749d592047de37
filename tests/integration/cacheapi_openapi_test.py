#!/usr/bin/env python3
"""The OpenAPI document of the cache-aside API against the answers of the running service, in all the configurations that it
speaks of: each answer is one that the document promises, and each path, status, header and property of it has been seen, with
every value of a header that it names."""

import json
import os
import threading
import unittest

from cacheapi_fixture import ServiceTest
from openapi import Contract
from processes import ROOT, RateLimiter, wait_until

DOCUMENT = os.path.join(ROOT, "services", "cacheapi", "edge", "openapi.json")
RULES = """
domain: cacheapi
descriptors:
  - {key: tenant, rate_limit: {unit: day, requests_per_unit: 100000}}
  - {key: tenant, value: poor, rate_limit: {unit: day, requests_per_unit: 1}}
"""
GET, PUT, WRITE, BRANDS = "/v1/brands/acme/insights", "PUT", "/v1/brands/acme/correction", "/v1/brands"
CORRECTION = json.dumps({"posts": 3, "note": "an outage of the crawler"}).encode()


def brand(brand_id, **more):
    return json.dumps({"id": brand_id, **more}).encode()


class Document(ServiceTest):
    def setUp(self):
        super().setUp()
        self.limiter = RateLimiter(self.folder, self.redis.port, RULES, ["redis.deadline=19ms", "http.port=0", "grpc.port=0"])
        self.addCleanup(self.limiter.close)
        with open(DOCUMENT) as file:
            self.contract = Contract(json.load(file))

    def serve(self, *settings):
        self.service = self.start(f"ratelimit.target=127.0.0.1:{self.limiter.grpc_port}", "ratelimit.deadline=2s",
                                  "origin.deadline=1s", "writes.deadline=1s", *settings)

    def ask(self, method, path, status, body=None, headers=None):
        answer = self.service.request(method, path, body, headers)
        self.contract.answer(method, path, *answer)
        self.assertEqual(answer[0], status, answer)
        return answer

    def test_what_is_promised_is_answered_and_what_is_answered_is_promised(self):
        self.serve("stale.while_revalidate=true", "l2.stale=60s", "l1.ttl=1s")
        self.healthy()
        self.brands()
        self.refused()
        self.away()
        self.serve("l1.enabled=false", "bloom.enabled=true", "origin.delay=300ms")
        self.without_l1_with_a_filter()
        self.serve("write.pattern=write_behind")
        self.behind()
        self.assertEqual(self.contract.unseen(), [])

    def healthy(self):
        for path in ("/openapi.json", "/healthz", "/readyz", "/metrics"):
            self.ask("GET", path, 200)
        tag = self.ask("GET", GET, 200)[1]["etag"]
        self.ask("GET", GET + "?window=24h", 304, headers={"If-None-Match": tag})
        hit = self.ask("GET", GET, 200)
        self.assertEqual(hit[1].get("x-cache-tier"), "l1")
        wait_until("it is stale", lambda: self.ask("GET", GET, 200)[1]["x-cache"] == "stale")
        self.contract.request(PUT, WRITE, CORRECTION)
        for _ in range(2):
            self.ask(PUT, WRITE, 200, CORRECTION, {"Idempotency-Key": f"once {os.getpid()}"})
            self.ask("DELETE", WRITE, 200, headers={"Idempotency-Key": f"gone {os.getpid()}"})
        for method in (PUT, "DELETE"):
            self.ask(method, "/v1/brands/other/correction", 409, CORRECTION, {"Idempotency-Key": f"once {os.getpid()}"})
            self.ask(method, "/v1/brands/nobody/correction", 404, CORRECTION)
        for _ in range(2):
            self.ask("GET", "/v1/brands/nobody/insights", 404)

    def brands(self):
        new = brand("new", name="New")
        self.contract.request("POST", BRANDS, new)
        made = self.ask("POST", BRANDS, 201, new)
        self.assertEqual(self.ask("GET", made[1]["location"], 200)[1]["x-version"], made[1]["x-version"])
        self.ask("POST", BRANDS, 200, new)
        self.ask("POST", BRANDS, 409, brand("new", name="Old"))
        for wrong in (b"", b"[]", brand("a b"), brand("n", name="n" * 201), brand("n", name="a\0b"), brand("n", more="1"), b'{"name": "x"}'):
            self.ask("POST", BRANDS, 400, wrong)
        self.ask("POST", BRANDS, 413, b"x" * 70_000)
        self.assertIn("send it again", json.loads(self.ask("POST", BRANDS, 504, brand("slow-one"))[2])["detail"])
        wait_until("it has been made", lambda: self.service.request("POST", BRANDS, brand("slow-one"))[0] == 200, 20)

    def refused(self):
        self.ask("GET", GET + "?window=2h", 400)
        self.ask(PUT, WRITE, 400, b"{}")
        self.ask("DELETE", "/v1/brands/a%20b/correction", 400)
        self.ask(PUT, WRITE, 413, b"x" * 70_000)
        poor = {"X-Tenant": "poor"}
        self.ask("GET", GET, 200, headers=poor)
        self.ask("GET", GET, 429, headers=poor)
        self.ask(PUT, WRITE, 429, CORRECTION, poor)
        self.ask("DELETE", WRITE, 429, headers=poor)
        self.ask("POST", BRANDS, 429, brand("never"), poor)

    def away(self):
        self.postgres.pause()
        try:
            self.ask("GET", "/v1/brands/b0/insights", 504)
            self.ask(PUT, WRITE, 504, CORRECTION)
            self.ask("DELETE", WRITE, 504)
        finally:
            self.postgres.resume()
        self.postgres.stop()
        try:
            wait_until("it is seen", lambda: self.service.get("/readyz")[0] == 503)
            self.ask("GET", "/readyz", 503)
            self.ask("GET", "/v1/brands/b1/insights", 503)
            self.ask(PUT, WRITE, 503, CORRECTION)
            self.ask("DELETE", WRITE, 503)
            self.ask("POST", BRANDS, 503, brand("never"))
        finally:
            self.postgres.start()

    def without_l1_with_a_filter(self):
        wait_until("the filter is built", lambda: self.service.metric("cacheapi_bloom_whole") == 1)
        denied = self.ask("GET", "/v1/brands/none-such/insights", 404)
        self.assertEqual((denied[1]["x-cache"], denied[1]["x-cache-tier"]), ("hit", "bloom"))
        self.assertEqual(denied[1]["cache-control"], "max-age=0")
        path = "/v1/brands/b7/insights"
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.service.get(path))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for answer in answers:
            self.contract.answer("GET", path, *answer)
        self.assertIn("coalesced", [answer[1]["x-cache"] for answer in answers])
        wait_until("it is in Redis", lambda: self.ask("GET", path, 200)[1].get("x-cache-tier") == "l2")

    def behind(self):
        for name, value in (("appendonly", "yes"), ("appendfsync", "always")):
            self.redis.command("CONFIG", "SET", name, value)
            self.addCleanup(self.redis.command, "CONFIG", "SET", name, {"yes": "no", "always": "everysec"}[value])
        wait_until("Redis keeps what it acknowledges", lambda: self.service.put("acme", 1)[0] == 202, 20)
        queued = self.ask(PUT, WRITE, 202, CORRECTION)
        self.assertEqual(json.loads(queued[2]), {"brand": "acme", "applied": False})
        self.ask("DELETE", WRITE, 202)
        wait_until("they are applied", lambda: json.loads(self.service.insights("acme")[2])["correction"] == 0)

    def test_it_is_the_one_of_the_sources(self):
        self.serve()
        with open(DOCUMENT, "rb") as file:
            self.assertEqual(self.service.get("/openapi.json")[2], file.read())


if __name__ == "__main__":
    unittest.main(verbosity=2)
