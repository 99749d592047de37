#!/usr/bin/env python3
"""The OpenAPI document of the cache-aside API against the answers of the running service: each answer is one that the
document promises, and each path, status, header and property of it has been seen."""

import json
import os
import unittest

from cacheapi_fixture import ServiceTest
from openapi import Contract
from processes import ROOT, RateLimiter, wait_until

RULES = """
domain: cacheapi
descriptors:
  - {key: tenant, rate_limit: {unit: day, requests_per_unit: 100000}}
  - {key: tenant, value: poor, rate_limit: {unit: day, requests_per_unit: 1}}
"""
GET, PUT, WRITE = "/v1/brands/acme/insights", "PUT", "/v1/brands/acme/correction"
CORRECTION = json.dumps({"posts": 3, "note": "an outage of the crawler"}).encode()


class Document(ServiceTest):
    def setUp(self):
        super().setUp()
        self.limiter = RateLimiter(self.folder, self.redis.port, RULES, ["redis.deadline=19ms", "http.port=0", "grpc.port=0"])
        self.addCleanup(self.limiter.close)
        self.service = self.start(f"ratelimit.target=127.0.0.1:{self.limiter.grpc_port}", "ratelimit.deadline=2s",
                                  "stale.while_revalidate=true", "l2.stale=60s", "l1.ttl=1s", "origin.deadline=1s",
                                  "writes.deadline=1s")
        self.contract = Contract(json.loads(self.service.get("/openapi.json")[2]))

    def ask(self, method, path, status, body=None, headers=None):
        answer = self.service.request(method, path, body, headers)
        self.contract.answer(method, path, *answer)
        self.assertEqual(answer[0], status, answer)
        return answer

    def test_what_is_promised_is_answered_and_what_is_answered_is_promised(self):
        self.healthy()
        self.refused()
        self.away()
        self.assertEqual(self.contract.unseen(), [])

    def healthy(self):
        for path in ("/openapi.json", "/healthz", "/readyz", "/metrics"):
            self.ask("GET", path, 200)
        tag = self.ask("GET", GET, 200)[1]["etag"]
        self.ask("GET", GET + "?window=24h", 304, headers={"If-None-Match": tag})
        hit = self.ask("GET", GET, 200)
        self.assertEqual(hit[1].get("x-cache-tier"), "l1")
        wait_until("it is stale", lambda: self.ask("GET", GET, 200)[1]["x-cache"] in ("stale", "miss"))
        self.contract.request(PUT, WRITE, CORRECTION)
        for _ in range(2):
            self.ask(PUT, WRITE, 200, CORRECTION, {"Idempotency-Key": f"once {os.getpid()}"})
            self.ask("DELETE", WRITE, 200, headers={"Idempotency-Key": f"gone {os.getpid()}"})
        for method in (PUT, "DELETE"):
            self.ask(method, "/v1/brands/other/correction", 409, CORRECTION, {"Idempotency-Key": f"once {os.getpid()}"})
            self.ask(method, "/v1/brands/nobody/correction", 404, CORRECTION)
        for _ in range(2):
            self.ask("GET", "/v1/brands/nobody/insights", 404)

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
        finally:
            self.postgres.start()

    def test_it_is_the_one_of_the_sources(self):
        with open(os.path.join(ROOT, "services", "cacheapi", "openapi.json"), "rb") as file:
            self.assertEqual(self.service.get("/openapi.json")[2], file.read())


if __name__ == "__main__":
    unittest.main(verbosity=2)
