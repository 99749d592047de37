"""Real parts for tests: each is a child process on loopback that dies with the test."""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("LAB_BUILD", os.path.join(ROOT, "build", "release"))
STATE = os.path.join(ROOT, ".lab")


def _die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, predicate, seconds=10.0):
    """Polls until the predicate gives something true, and returns that; otherwise fails naming `what`."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class Process:
    """A child process with its output in a file."""

    def __init__(self, command, folder, name, executable=None, env=None):
        self.name = name
        self.log_path = os.path.join(folder, name + ".log")
        self._log = open(self.log_path, "wb")
        self.popen = subprocess.Popen(
            command, executable=executable, cwd=folder, stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=subprocess.STDOUT, preexec_fn=_die_with_parent, env=env)

    def log(self):
        with open(self.log_path, "r", errors="replace") as file:
            return file.read()

    def alive(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        if self.alive():
            self.popen.send_signal(signal.SIGCONT)
            self.popen.kill()
        self.popen.wait()

    def close(self):
        self.kill()
        self._log.close()


class Redis(Process):
    """A redis-server without persistence."""

    def __init__(self, folder, port=None):
        self.port = port or free_port()
        binary = shutil.which("redis-server") or shutil.which("redis-check-rdb")
        if not binary:
            raise RuntimeError("no redis-server on this host (Debian: redis-tools)")
        super().__init__(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            folder, f"redis-{self.port}", executable=binary)
        wait_until("redis answers PING", self.ping)

    def ping(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.2) as connection:
                connection.settimeout(0.2)
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


class RateLimiter(Process):
    """Our rate limiter on a Redis port, with the text of its rules."""

    def __init__(self, folder, redis_port, rules, settings=()):
        rules_path = os.path.join(folder, "rules.yaml")
        with open(rules_path, "w") as file:
            file.write(rules)
        command = [os.path.join(BUILD, "services", "ratelimit", "ratelimit")]
        for setting in ("redis.host=127.0.0.1", f"redis.port={redis_port}", f"rules.path={rules_path}", *settings):
            command += ["--set", setting]
        super().__init__(command, folder, "ratelimit")
        ready = wait_until("ratelimit is ready", self._ready)
        self.grpc_port = ready["grpc_port"]
        self.http_port = ready["http_port"]

    def _ready(self):
        if not self.alive():
            raise AssertionError("ratelimit ended: " + self.log())
        for line in self.log().splitlines():
            if '"service_ready"' in line:
                return json.loads(line)
        return None


class Envoy(Process):
    """A stock Envoy with a static configuration (a dict)."""

    def __init__(self, binary, folder, config):
        path = os.path.join(folder, "envoy.json")
        with open(path, "w") as file:
            json.dump(config, file)
        super().__init__([binary, "-c", path, "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning"],
                         folder, "envoy")


def http(port, path="/", method="GET", body=None, headers=None, timeout=5.0):
    """(status, headers with lower-case names, body); status 0 when nobody answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()
    except OSError:
        return 0, {}, b""


def temporary_folder():
    return tempfile.mkdtemp(prefix="lab-test-")
