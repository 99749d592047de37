#!/usr/bin/env python3
"""Records what toxiproxy-cli says to a server, and what both print.

  record.py CLI URL [FREE_PORT]     writes the transcript to standard output, as JSON lines

Each line is a command of the cli with its output and exit status, and the HTTP requests that it made with their
answers. The listening port and the cli's host become {port} and {url}. toxiproxy-2.12.0.jsonl beside this file is what

  server -port 18474 & record.py cli http://127.0.0.1:18474

wrote for cmd/cli and cmd/server of github.com/Shopify/toxiproxy/v2 at v2.12.0 (`go install`).
"""
import http.client
import http.server
import json
import socket
import subprocess
import sys
import threading
import urllib.parse

COMMANDS = [
    "list",
    "inspect nowhere",
    "create redis",
    "create -l 127.0.0.1:{port} redis",
    "create -l 127.0.0.1:{port} -u 127.0.0.1:9 redis",
    "create -l 127.0.0.1:{port} -u 127.0.0.1:9 redis",
    "create -l 127.0.0.1:{port} -u 127.0.0.1:9 other",
    "create -l nonsense -u 127.0.0.1:9 other",
    "list",
    "inspect redis",
    "toggle redis",
    "list",
    "toggle redis",
    "toggle nowhere",
    "toxic add -t latency -a latency=100 -a jitter=50 redis",
    "toxic add -t latency -a latency=100 redis",
    "toxic add -t latency -n slow -a latency=20 --upstream --toxicity 0.3 redis",
    "toxic add -t bandwidth -a rate=64 redis",
    "toxic add -t slow_close -a delay=30 redis",
    "toxic add -t timeout -a timeout=0 --toxicity 0.5 --upstream redis",
    "toxic add -t reset_peer -a timeout=2000 --toxicity 0 redis",
    "toxic add -t slicer -a average_size=64 -a size_variation=32 -a delay=10 redis",
    "toxic add -t limit_data -a bytes=1024 --upstream redis",
    "toxic add -t noop redis",
    "toxic add -t earthquake redis",
    "toxic add -t latency -n bad -a latency=soon redis",
    "toxic add -t latency -n bad -a latency=1.5 redis",
    "toxic add -t latency --toxicity 2 redis",
    "toxic add -t latency --upstream --downstream redis",
    "toxic add -t latency nowhere",
    "inspect redis",
    "toxic update -n latency_downstream -a jitter=25 redis",
    "toxic update -n slow -a latency=200 --toxicity 0.75 redis",
    "toxic update -n slow -a latency=never redis",
    "toxic update -n nothing -a latency=1 redis",
    "inspect redis",
    "toxic remove -n slow redis",
    "toxic remove -n slow redis",
    "toxic delete -n latency_downstream redis",
    "list",
    "inspect redis",
    "delete redis",
    "delete redis",
    "list",
]

# Requests that the cli does not make.
REQUESTS = [
    ("GET", "/nothing", ""), ("PUT", "/proxies", ""), ("GET", "/proxies/", ""), ("POST", "/proxies", ""),
    ("POST", "/populate", ""), ("GET", "/proxies/x", ""), ("GET", "/proxies/x/toxics", ""), ("DELETE", "/proxies/x", ""),
    ("PATCH", "/proxies/x", "{}"), ("POST", "/proxies/x/toxics", "{}"), ("GET", "/proxies/x/toxics/y", ""),
    ("POST", "/populate", '[{"name": "a"}]'), ("POST", "/populate", '[{"upstream": "127.0.0.1:9"}]'),
    ("POST", "/populate", '[{"name": "a", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:{port}"},'
                          ' {"name": "b", "upstream": "x:1", "listen": "127.0.0.1:{port}", "enabled": false}]'),
    ("POST", "/populate", '[{"name": "a", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:{port}"}]'),
    ("POST", "/populate", '[{"name": "c", "upstream": "127.0.0.1:9", "listen": "127.0.0.1:{port}"}]'),
    ("GET", "/proxies", ""),
    ("POST", "/proxies", '{"name": "q", "upstream": 1}'),
    ("POST", "/proxies", '{"name": "q", "upstream": "u:1", "enabled": "x"}'),
    ("POST", "/proxies", '[]'), ("POST", "/proxies", 'null'),
    ("POST", "/proxies", '{"name": "q", "upstream": "u:1", "enabled": false} trailing'),
    ("POST", "/proxies/a/toxics", '{"type": "latency", "stream": "UPSTREAM", "toxicity": 7}'),
    ("POST", "/proxies/a/toxics", '{"type": "latency", "stream": "sideways"}'),
    ("POST", "/proxies/a/toxics", '{"type": "latency", "toxicity": "x"}'),
    ("POST", "/proxies/a/toxics", '{"type": "latency", "name": ["k"]}'),
    ("POST", "/proxies/a/toxics", '{"TYPE": "latency", "name": "k<>&", "attributes": {"Latency": 3, "other": 1}}'),
    ("GET", "/proxies/a/toxics", ""), ("GET", "/proxies/a/toxics/latency_UPSTREAM", ""),
    ("POST", "/proxies/a/toxics/latency_UPSTREAM", '{"toxicity": 0.1}'),
    ("PATCH", "/proxies/a/toxics/latency_UPSTREAM", '{"attributes": {"jitter": 4}, "name": "z", "stream": "downstream"}'),
    ("PATCH", "/proxies/a/toxics/latency_UPSTREAM", ''),
    ("PATCH", "/proxies/a", '{"enabled": false}'), ("GET", "/proxies/a", ""),
    ("PATCH", "/proxies/a", '{"upstream": "127.0.0.1:10"}'), ("PATCH", "/proxies/a", '{"enabled": 1}'),
    ("PATCH", "/proxies/b", '{"listen": "nonsense"}'),
    ("DELETE", "/proxies/b", ""), ("DELETE", "/proxies/q", ""),
    ("POST", "/reset", ""), ("GET", "/reset", ""), ("GET", "/proxies", ""), ("DELETE", "/proxies/a", ""),
    ("DELETE", "/proxies/a", ""),
]


def ask(upstream, method, path, body):
    """One request of our own, in the form of a recorded one."""
    client = http.client.HTTPConnection(upstream.hostname, upstream.port)
    client.request(method, path, body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    return {"method": method, "path": path, "body": body, "headers": {"Content-Type": "application/json"},
            "status": answer.status, "type": answer.headers.get("Content-Type", ""),
            "answer": answer.read().decode()}


def main():
    cli, url = sys.argv[1:3]
    upstream = urllib.parse.urlsplit(url)
    if len(sys.argv) > 3:
        port = sys.argv[3]
    else:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
    exchanges = []

    class Recorder(http.server.BaseHTTPRequestHandler):
        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            client = http.client.HTTPConnection(upstream.hostname, upstream.port)
            headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
            client.request(self.command, self.path, body, headers)
            answer = client.getresponse()
            text = answer.read()
            exchanges.append({
                "method": self.command, "path": self.path, "body": body.decode(),
                "headers": {key: value for key, value in headers.items() if key in ("Content-Type", "User-Agent")},
                "status": answer.status, "type": answer.headers.get("Content-Type", ""), "answer": text.decode()})
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = pass_on

        def log_message(self, *arguments):
            pass

    recorder = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=recorder.serve_forever, daemon=True).start()
    host = "http://127.0.0.1:%d" % recorder.server_address[1]
    for command in COMMANDS:
        exchanges.clear()
        arguments = command.format(port=port).split()
        done = subprocess.run([cli, "-h", host] + arguments, capture_output=True, text=True, check=False)
        line = json.dumps({"command": command, "out": done.stdout, "err": done.stderr, "status": done.returncode,
                           "http": list(exchanges)})
        print(line.replace(":" + port, ":{port}").replace(host, "{url}"))
    asked = [ask(upstream, method, path, body.replace("{port}", port)) for method, path, body in REQUESTS]
    print(json.dumps({"command": "", "http": asked}).replace(":" + port, ":{port}"))


main()
