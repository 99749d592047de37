#!/usr/bin/python3
"""A stand-in for a service, for the tests of the runner: the same command line, ports and pages, and no mind of its own."""

import http.server
import json
import os
import socket
import sys

FIELDS = ["http.port", "grpc.port", "redis.host", "redis.port", "rules.path", "trace.file", "die.after", "answer", "metrics.extra"]


def die():
    print("out of luck", flush=True)
    os._exit(7)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one write
    disable_nagle_algorithm = True
    answered = 0

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        extra = config.get("metrics.extra", "").encode()
        metrics = b"stub_answers_total %d\n%s\n" % (Handler.answered, extra)
        self.reply(200, metrics if self.path == "/metrics" else b"ok\n")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Handler.answered += 1
        if str(Handler.answered) == config.get("die.after"):
            die()
        self.reply(int(config.get("answer", 200)), b"{}")

    def log_message(self, *_):
        pass


if "--print-config-schema" in sys.argv:
    print(json.dumps([{"path": path, "type": "string", "default": "", "range": "", "names": [], "doc": ""} for path in FIELDS]))
    sys.exit(0)

with open(sys.argv[sys.argv.index("--config") + 1]) as file:
    config = dict(line.rstrip("\n").split(": ", 1) for line in file)
config = {key: json.loads(value) if value.startswith('"') else value for key, value in config.items()}
print("config", json.dumps(config), flush=True)
if "rules.path" in config:
    print("rules", open(config["rules.path"]).read(), flush=True)
if "trace.file" in config:
    open(config["trace.file"], "a").write("{}\n")
if config.get("die.after") == "0":
    die()
grpc = socket.create_server(("127.0.0.1", int(config["grpc.port"])))
http.server.ThreadingHTTPServer.request_queue_size = 1024
http.server.ThreadingHTTPServer(("127.0.0.1", int(config["http.port"])), Handler).serve_forever()
