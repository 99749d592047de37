#!/usr/bin/env python3
"""What clients do to the gRPC edge of the cache-aside API: far more of them than there may be, and some that are slow."""

import resource
import socket
import unittest

from cacheapi_fixture import ServiceTest
from cacheapi import read_all
from http2 import PREFACE, Closed, Connection, frame, HEADERS
from processes import wait_until

GET = "/lab.cacheapi.v1.InsightsService/GetInsights"
ACME = b"\x0a\x04acme"  # GetInsightsRequest{brand: "acme"}


class Clients(ServiceTest):
    def connect(self, service):
        connection = socket.create_connection(("127.0.0.1", service.grpc_port), 10)
        connection.settimeout(10)
        self.addCleanup(connection.close)
        return connection

    def client(self, service, **options):
        client = Connection(service.grpc_port, **options)
        self.addCleanup(client.close)
        return client

    def assert_served(self, client):
        self.assertIn(b"acme", client.call(GET, ACME))

    def test_ten_times_more_idle_connections_than_the_bound(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        bound = min(1000, (hard - 200) // 12)
        service = self.start(f"grpc.max_connections={bound}")
        working = self.client(service)
        self.assert_served(working)
        clients = []
        for i in range(10 * bound):
            clients.append(self.connect(service))
            if i % bound == 0:
                self.assert_served(working)
        refused = "rpc_server_refused_connections_total"
        wait_until("they are refused", lambda: service.metric(refused) >= 9 * bound)
        self.assertLessEqual(service.metric("rpc_server_connections"), bound)
        for client in clients[bound:]:
            self.assertEqual(read_all(client), b"", "closed in order, not reset, before HTTP/2 begins")
        with self.assertRaises(Closed):
            self.client(service).call(GET, ACME)
        self.assert_served(working)
        self.assertEqual(service.insights("acme")[0], 200, "HTTP has places of its own")
        for client in clients:
            client.close()
        wait_until("there is room", lambda: service.metric("rpc_server_connections") <= 1)
        self.assert_served(self.client(service))

    def test_who_does_not_take_its_replies_slows_nobody_and_is_given_up(self):
        service = self.start("grpc.reply_timeout=1s", "grpc.max_in_flight=500")
        working = self.client(service)
        self.assert_served(working)
        slow = [self.client(service, window=0) for _ in range(4)]
        for client in slow:
            for _ in range(100):
                client.send(GET, ACME)
        wait_until("they are answered", lambda: service.metric('rpc_server_calls_total{code="OK"}') >= 401)
        self.assert_served(working)
        self.assertLess(service.metric("process_resident_memory_bytes"), 256 << 20)
        wait_until("they are given up", lambda: service.metric("rpc_server_unread_replies_total") == 400, 20)
        wait_until("nothing is in flight", lambda: service.metric("rpc_server_in_flight") == 0, 20)
        self.assert_served(working)

    def test_who_stops_in_the_middle_of_a_request_slows_nobody(self):
        service = self.start("grpc.max_connections=64")
        working = self.client(service)
        for begun in (b"", PREFACE[:10], PREFACE, PREFACE + frame(4, 0, 0)[:5], PREFACE + frame(4, 0, 0) + frame(HEADERS, 0, 1, b"\0")):
            for _ in range(10):
                self.connect(service).sendall(begun)
        for _ in range(20):
            self.assert_served(working)
        other = self.connect(service)
        other.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        read_all(other)  # not HTTP/2: closed
        self.assert_served(self.client(service))
        wait_until("nothing is in flight", lambda: service.metric("rpc_server_in_flight") == 0)


class Gate(ServiceTest):
    def test_that_it_is_there_is_said_at_the_start(self):
        self.assertIn('"cacheapi_gate_enabled"', self.start("gate.enabled=true").log())
        self.assertNotIn('"cacheapi_gate_enabled"', self.start().log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
