#!/usr/bin/python3
"""A rate limiter of somebody's own, for labs that name it with `binary:` or --set ratelimit.binary=…

All that the bench asks of such a program: it tells its configuration (--print-config-schema; without it, it is given and
checked like our own), reads it (--config FILE, a `path: value` a line), and answers on http.port: GET /readyz and /healthz
with 200, GET /metrics, and the API. Here: so many requests of a key a second, one after the other, `work_ms` each.
"""

import http.server
import json
import sys
import threading
import time

SCHEMA = [
    {"path": "http.port", "type": "int", "default": "8080", "range": "0 … 65535", "names": [], "doc": "Port"},
    {"path": "limit", "type": "int", "default": "5", "range": "1 … 1000000", "names": [], "doc": "Requests of a key a second"},
    {"path": "work_ms", "type": "number", "default": "0", "range": "0 … 1000", "names": [], "doc": "What a request takes"},
    {"path": "ready", "type": "bool", "default": "true", "range": "", "names": [], "doc": "Whether it ever is"},
]


class Limiter:
    def __init__(self, limit, work_s):
        self.limit, self.work_s = limit, work_s
        self.lock, self.window, self.used = threading.Lock(), 0, {}

    def admits(self, key):
        with self.lock:
            if self.work_s:
                time.sleep(self.work_s)
            now = int(time.time())
            if now != self.window:
                self.window, self.used = now, {}
            self.used[key] = self.used.get(key, 0) + 1
            return self.used[key] <= self.limit


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        missing = self.path == "/readyz" and config["ready"] == "false"
        self.reply(503 if missing else 200, b"" if self.path == "/metrics" else b"ok\n")

    def do_POST(self):
        key = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply(200 if limiter.admits(key) else 429, b"{}")

    def log_message(self, *_):
        pass


if "--print-config-schema" in sys.argv:
    print(json.dumps(SCHEMA))
    sys.exit(0)

config = {field["path"]: field["default"] for field in SCHEMA}
with open(sys.argv[sys.argv.index("--config") + 1]) as file:
    config.update(line.rstrip("\n").split(": ", 1) for line in file)
limiter = Limiter(int(config["limit"]), float(config["work_ms"]) / 1000)
http.server.ThreadingHTTPServer.request_queue_size = 1024
http.server.ThreadingHTTPServer(("127.0.0.1", int(config["http.port"])), Handler).serve_forever()
