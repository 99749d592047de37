#!/usr/bin/python3
"""A stand-in for a service, for the tests of the runner: the same command line, ports and pages, and no mind of its own."""

import http.server
import json
import os
import socket
import sys

POINTS = {"redis.script.before": ["crash", "delay", "error"], "redis.script.after": ["crash", "delay", "apply-then-timeout"]}
FIELDS = ["http.port", "grpc.port", "redis.host", "redis.port", "rules.path", "trace.file", "die.after", "answer", "metrics.extra", "failpoints.enabled"]


def die():
    print("out of luck", flush=True)
    os._exit(7)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one write
    disable_nagle_algorithm = True
    answered = 0
    armed = {}  # point → options
    hits = {}  # (point, action) → operations that met it

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def points(self):
        return [{"name": name, "actions": actions, "armed": Handler.armed.get(name, {}).get("action"),
                 "evidence": {"error": "stub_operations_total{outcome=\"rejected\"}", "timeout": "stub_operations_total{outcome=\"timeout\"}",
                              "duration": "stub_seconds"}} for name, actions in POINTS.items()]

    # The effect of what is armed on one operation.
    def meet_failpoints(self):
        for name, options in list(Handler.armed.items()):
            action = options["action"]
            Handler.hits[name, action] = Handler.hits.get((name, action), 0) + 1
            if action == "crash":
                os._exit(137)

    def do_PUT(self):
        path, _, query = self.path.partition("?")
        Handler.armed[path.removeprefix("/failpoints/")] = dict(pair.split("=") for pair in query.split("&"))
        self.reply(200, b"{}")

    def do_DELETE(self):
        Handler.armed.pop(self.path.removeprefix("/failpoints/"), None)
        self.reply(200, b"{}")

    def metrics(self):
        lines = ["stub_answers_total %d" % Handler.answered, config.get("metrics.extra", "")]
        totals = {"error": 0, "apply-then-timeout": 0, "delay": 0, "crash": 0}
        for (name, action), count in Handler.hits.items():
            lines.append('failpoint_hits_total{action="%s",point="%s"} %d' % (action, name, count))
            totals[action] += count
        lines.append('stub_operations_total{outcome="rejected"} %d' % totals["error"])
        lines.append('stub_operations_total{outcome="timeout"} %d' % totals["apply-then-timeout"])
        lines.append('stub_seconds_bucket{le="0.01"} %d' % Handler.answered)
        lines.append('stub_seconds_bucket{le="0.1"} %d' % (Handler.answered + totals["delay"]))
        lines.append("stub_seconds_count %d" % (Handler.answered + totals["delay"]))
        return "\n".join(lines + [""]).encode()

    def do_GET(self):
        if self.path == "/failpoints":
            enabled = config.get("failpoints.enabled") == "true"
            return self.reply(200 if enabled else 404, json.dumps(self.points()).encode())
        self.reply(200, self.metrics() if self.path == "/metrics" else b"ok\n")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Handler.answered += 1
        self.meet_failpoints()
        if str(Handler.answered) == config.get("die.after"):
            die()
        self.reply(int(config.get("answer", 200)), b"{}")

    def log_message(self, *_):
        pass


if "--print-failpoints" in sys.argv:
    print(json.dumps([{"name": name, "actions": actions} for name, actions in POINTS.items()]))
    sys.exit(0)
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
