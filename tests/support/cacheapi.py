"""The cache-aside API and its stores for tests: real processes on loopback that die with the test."""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess

from processes import BUILD, ROOT, STATE, Process, Redis, _die_with_parent, free_port, wait_until

SCHEMA = os.path.join(ROOT, "deploy", "sql", "insights")


def postgres_programs():
    """The folder of the newest PostgreSQL server, or None."""
    for place in ("/usr/lib/postgresql", os.path.join(STATE, "debian", "usr", "lib", "postgresql")):
        versions = sorted((int(name) for name in os.listdir(place) if name.isdigit()), reverse=True) if os.path.isdir(place) else []
        for version in versions:
            folder = os.path.join(place, str(version), "bin")
            if all(os.access(os.path.join(folder, name), os.X_OK) for name in ("postgres", "initdb")):
                return folder
    return None


class Postgres:
    """A cluster of its own with the schema of insights, filled by `seed` (SQL). Run as root it becomes another user."""

    SETTINGS = ("listen_addresses=127.0.0.1", "fsync=off", "wal_level=logical", "shared_buffers=16MB", "jit=off",
                "unix_socket_directories=", "dynamic_shared_memory_type=mmap", "log_min_messages=fatal")

    def __init__(self, folder, seed):
        self.programs = postgres_programs()
        self.port = free_port()
        self.folder = os.path.join(folder, "postgres")
        self.data = os.path.join(self.folder, "data")
        os.makedirs(self.data)
        self.user = {}
        if os.geteuid() == 0:
            owner = next(entry for entry in pwd.getpwall() if entry.pw_name in ("postgres", "nobody"))
            self.user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
            os.chmod(folder, 0o711)  # it must be able to come by
            for each in (self.folder, self.data):
                os.chown(each, owner.pw_uid, owner.pw_gid)
        self.log = open(os.path.join(folder, "postgres.log"), "ab")
        self.popen = None
        self._run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8",
                  "--no-sync", "--no-instructions")
        self._single("postgres", "CREATE ROLE lab LOGIN;\n\nCREATE DATABASE lab;\n\n")
        schema = ""
        for name in sorted(name for name in os.listdir(SCHEMA) if name[:3].isdigit()):
            with open(os.path.join(SCHEMA, name)) as file:
                schema += file.read() + "\n\n"
        self._single("lab", schema + seed + ";\n\nGRANT ALL ON ALL TABLES IN SCHEMA public TO lab;\n\n"
                     "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO lab;\n\n")
        self.start()

    def _command(self, program, arguments):
        return [os.path.join(self.programs, program), *arguments]

    def _run(self, program, *arguments, text=None):
        done = subprocess.run(self._command(program, arguments), input=text, capture_output=True, cwd="/", **self.user,
                              env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"})
        output = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode != 0 or "ERROR:" in output or "FATAL:" in output:
            raise RuntimeError(f"{program} failed: {output[-2000:]}")

    def _single(self, database, text):
        """Statements that end in a semicolon and an empty line, in the server's single-user mode: no client is needed."""
        self._run("postgres", "--single", "-j", "-D", self.data, "-c", "fsync=off", database, text=text.encode())

    def start(self):
        settings = [part for each in (*self.SETTINGS, f"port={self.port}") for part in ("-c", each)]
        self.popen = subprocess.Popen(self._command("postgres", ["-D", self.data, *settings]), stdin=subprocess.DEVNULL,
                                      stdout=self.log, stderr=subprocess.STDOUT, cwd="/", preexec_fn=_die_with_parent,
                                      **self.user)
        wait_until("postgres takes connections", self.answers, 30)

    def answers(self):
        """Whether it is ready: it answers the start of a session with AuthenticationOk ('R', 8, 0)."""
        if self.popen.poll() is not None:
            raise AssertionError("postgres ended: see postgres.log")
        words = b"\0\x03\0\0user\0lab\0database\0lab\0\0"
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.5) as connection:
                connection.settimeout(0.5)
                connection.sendall((len(words) + 4).to_bytes(4, "big") + words)
                return connection.recv(9) == b"R\0\0\0\x08\0\0\0\0"
        except OSError:
            return False

    def _pids(self):
        pid = self.popen.pid
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [pid, *map(int, file.read().split())]

    def pause(self):
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def resume(self):
        for pid in reversed(self._pids()):
            os.kill(pid, signal.SIGCONT)

    def stop(self):
        """At once, as after a crash; start() brings it back with what was committed."""
        if self.popen.poll() is None:
            self.resume()
            self.popen.send_signal(signal.SIGQUIT)
        self.popen.wait()

    def close(self):
        self.stop()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class ReplyError(Exception):
    pass


class Cache(Redis):
    """A redis-server that can be spoken to."""

    def command(self, *words):
        """The reply as bytes, int, list or None; ReplyError as the server says it."""
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.settimeout(5)
            connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
            with connection.makefile("rb") as stream:
                return self._reply(stream)

    def _reply(self, stream):
        line = stream.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise ReplyError(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2]
        return None if rest == b"-1" else [self._reply(stream) for _ in range(int(rest))]


class CacheApi(Process):
    """Our cache-aside API on a PostgreSQL port and a Redis port."""

    BINARY = os.path.join(BUILD, "services", "cacheapi", "cacheapi")
    # Ports that are free, and deadlines that a busy host keeps.
    SETTINGS = ("http.port=0", "grpc.port=0", "redis.deadline=1s", "origin.deadline=5s", "writes.deadline=5s",
                "request.deadline=8s", "postgres.database=lab", "postgres.user=lab")

    def __init__(self, folder, postgres_port, redis_port, settings=(), wait_ready=True):
        command = [self.BINARY]
        for setting in (*self.SETTINGS, f"postgres.port={postgres_port}", f"redis.port={redis_port}", *settings):
            command += ["--set", setting]
        super().__init__(command, folder, f"cacheapi-{free_port()}")
        ready = wait_until("cacheapi has started", self._started)
        self.http_port = ready["http_port"]
        self.grpc_port = ready.get("grpc_port")
        if wait_ready:
            wait_until("cacheapi is ready", lambda: self.get("/readyz")[0] == 200)

    def _started(self):
        if not self.alive():
            raise AssertionError("cacheapi ended: " + self.log())
        for line in self.log().splitlines():
            if '"service_ready"' in line:
                return json.loads(line)
        return None

    def request(self, method, path, body=None, headers=None, timeout=20.0):
        """(status, headers with lower-case names, body); the path as it is given. Status 0 when nobody answers."""
        lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        try:
            with socket.create_connection(("127.0.0.1", self.http_port), timeout) as connection:
                connection.settimeout(timeout)
                connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))
                return parse_answer(read_all(connection))
        except OSError:
            return 0, {}, b""

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def insights(self, brand, window=None, **headers):
        return self.get(f"/v1/brands/{brand}/insights" + (f"?window={window}" if window else ""),
                        {name.replace("_", "-"): value for name, value in headers.items()})

    def put(self, brand, posts, key=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.request("PUT", f"/v1/brands/{brand}/correction", json.dumps({"posts": posts}).encode(), headers)

    def metric(self, series):
        """The value of a series by its whole name with labels, as /metrics has it; 0 when there is none."""
        found = re.search("^" + re.escape(series) + " (.*)$", self.get("/metrics")[2].decode(), re.M)
        return float(found.group(1)) if found else 0.0


def read_all(connection):
    """Until the end; a reset that comes behind an answer is one too."""
    received = b""
    while True:
        try:
            piece = connection.recv(1 << 16)
        except ConnectionResetError:
            if not received:
                raise
            piece = b""
        if not piece:
            return received
        received += piece


def parse_answer(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0].startswith("HTTP/1.1 "):
        return 0, {}, b""
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]), {name.lower(): value for name, value in headers.items()}, body
