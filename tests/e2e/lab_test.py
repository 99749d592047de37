"""The command as a person uses it: exit statuses, files, what is left behind.

Runs the built runner in the checkout, with runs and state in a folder of its own (LAB_STATE).
"""

import fcntl
import http.client
import json
import os
import pty
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import verdicts
from processes import BUILD, ROOT, Redis, wait_until
from verdicts import run_to_a_verdict

LAB = os.path.join(BUILD, "bench", "cli", "lab")
LABS = sorted(name for name in os.listdir(os.path.join(ROOT, "labs")) if os.path.exists(os.path.join(ROOT, "labs", name, "lab.yaml")))
SAMPLED = [name for name in LABS if os.path.isdir(os.path.join(ROOT, "labs", name, "sample"))]
SHORT = 180  # seconds that any --quick run must end in, with room for a busy host


def descendants_of_state(state):
    """Processes that run out of a state folder: their command line or working folder names it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace")
            folder = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if int(pid) != os.getpid() and (state in command or folder.startswith(state)):
            found.append((int(pid), command.strip()))
    return found


class LabTest(unittest.TestCase):
    def setUp(self):
        self.state = tempfile.mkdtemp(prefix="lab-e2e-")
        self.addCleanup(shutil.rmtree, self.state, ignore_errors=True)
        self.env = dict(os.environ, LAB_ROOT=ROOT, LAB_STATE=self.state, NO_COLOR="1")

    def lab(self, *arguments, timeout=SHORT):
        return subprocess.run([LAB, *arguments], env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=timeout)

    def run_lab(self, *arguments, needed=True):
        """A quick run, once more where a busy host left it inconclusive; undecided where it does so twice and a verdict is
        needed (support/verdicts.py)."""
        command = ("run", *arguments, "--quick", "--plain")
        return run_to_a_verdict(lambda: self.lab(*command), self.state, " ".join(command), needed)

    def assert_status(self, done, status):
        self.assertEqual(done.returncode, status, f"\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")

    def assert_nothing_runs(self):
        self.assertEqual(descendants_of_state(self.state), [])

    def run_folder(self, lab):
        runs = os.path.join(self.state, "runs", lab)
        newest = sorted(name for name in os.listdir(runs) if name != "latest")[-1]
        return os.path.join(runs, newest)


class Verdicts(LabTest):
    def edited_lab(self, before, after):
        folder = os.path.join(self.state, "labs", "rate-limit-outage")
        os.makedirs(folder)
        with open(os.path.join(ROOT, "labs", "rate-limit-outage", "lab.yaml")) as file:
            text = file.read()
        self.assertIn(before, text)
        line = text[: text.index(before)].count("\n") + 1
        path = os.path.join(folder, "lab.yaml")
        with open(path, "w") as file:
            file.write(text.replace(before, after, 1))
        return path, line

    def test_typo_in_a_lab_file_names_line_and_right_name(self):
        for before, after, named in (("  redis: {}", "  reddis: {}", "redis"), ("phase=steady", "phase=stedy", "steady"),
                                     ("rate: 4000/s", "rate: 4000", "/s"), ("caught_by:", "caught_bye:", "caught_by")):
            with self.subTest(typo=after):
                shutil.rmtree(os.path.join(self.state, "labs"), ignore_errors=True)
                path, line = self.edited_lab(before, after)
                done = self.lab("run", path, "--quick")
                self.assert_status(done, 64)
                self.assertRegex(done.stderr, rf"lab\.yaml:{line}:")
                self.assertIn(named, done.stderr)

    def test_swapped_names_the_judge_follows_the_evidence(self):
        """The correct configuration under the broken name gets away, so the run fails; run alone it passes."""
        path, _ = self.edited_lab("redis.deadline: 0s", "redis.deadline: 5ms")
        self.assert_status(self.run_lab(path, "--variants", "no-deadline"), 0)
        done = self.run_lab(path, "--variants", "no-deadline,deny")
        self.assert_status(done, 1)
        self.assertIn("no-deadline", done.stdout)

    def test_swapped_names_the_broken_configuration_fails_under_a_correct_name(self):
        path, _ = self.edited_lab("deny:  {ratelimit: {rules.on_store_failure: deny}",
                                  "deny:  {ratelimit: {redis.deadline: 0s, redis.max_outstanding: 100000, grpc.max_in_flight: 100000, rules.on_store_failure: deny}")
        self.assert_status(self.run_lab(path, "--variants", "deny"), 1)


class Usage(LabTest):
    def test_unknown_names_are_told_with_the_nearest(self):
        for arguments, named in ((("run", "rate-limit-outgae"), "rate-limit-outage"), (("rnu",), "run"),
                                 (("run", "rate-limit-outage", "--variants", "denny"), "deny"),
                                 (("run", "rate-limit-outage", "--set", "ratelimit.redis.dedline=5ms"), "redis.deadline"),
                                 (("run", "rate-limit-outage", "--set", "ratelimit.redis.deadline=5parsecs"), "ms"),
                                 (("run", "rate-limit-outage", "--predict", "p99-dney=5"), "p99-deny")):
            with self.subTest(arguments=arguments):
                done = self.lab(*arguments, timeout=30)
                self.assert_status(done, 64)
                self.assertIn(named, done.stderr)

    def test_every_example_of_the_help_of_run_is_right(self):
        examples = re.findall(r"^  \./lab run (rate-limit-.*?)(?:   |$)", self.lab("help", "run").stdout, re.M)
        self.assertGreater(len(examples), 3)
        for example in examples:
            with self.subTest(example=example):
                done = self.lab("run", *example.split(), "--seed", "x", timeout=30)
                self.assert_status(done, 64)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertIn("--seed", done.stderr)

    def test_output_that_is_lost_is_an_error(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([LAB, "list"], env=self.env, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 70, done.stderr)
        self.assertIn("cannot write", done.stderr)

    def test_check_says_what_is_wrong_and_a_path_is_of_the_caller(self):
        self.assert_status(self.lab("check", "rate-limit-outage"), 0)
        folder = os.path.join(ROOT, "labs", "rate-limit-outage")
        script = os.path.join(ROOT, "lab")
        done = subprocess.run([script, "check", "./lab.yaml"], env=self.env, cwd=folder, capture_output=True, text=True)
        self.assert_status(done, 0)
        with tempfile.TemporaryDirectory() as other:
            path = os.path.join(other, "rate-limit-outage", "lab.yaml")
            os.mkdir(os.path.dirname(path))
            with open(os.path.join(folder, "lab.yaml")) as lab, open(path, "w") as wrong:
                wrong.write(lab.read().replace("redis.deadline: 5ms", "redis.dedline: 5ms"))
            done = self.lab("check", path)
        self.assert_status(done, 64)
        self.assertIn("redis.deadline", done.stderr)

    def test_help_list_and_doctor(self):
        self.assertIn("run", self.lab("--help").stdout)
        listed = self.lab("list")
        self.assert_status(listed, 0)
        for lab in LABS:
            self.assertIn(lab, listed.stdout)
        self.assertIn("redis", self.lab("doctor").stdout)


def redis_answer(port, *words):
    """What a Redis answers to one command, as bytes."""
    with socket.create_connection(("127.0.0.1", port), 2) as connection:
        connection.settimeout(2)
        connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        return connection.recv(4096)


class Running(LabTest):
    """A run that is watched while it goes on."""

    def start(self, *arguments):
        return subprocess.Popen([LAB, "run", "rate-limit-outage", "--quick", "--plain", *arguments], env=self.env, cwd=ROOT,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                start_new_session=True)

    def read_until(self, runner, pattern):
        """The output up to the first line that matches."""
        watchdog = threading.Timer(60, runner.kill)
        watchdog.start()
        try:
            output = ""
            for line in runner.stdout:
                output += line
                if re.search(pattern, line):
                    return output
        finally:
            watchdog.cancel()
        self.fail(f"nothing like {pattern!r} in:\n{output[-2000:]}")

    def assert_clean_next_start(self):
        self.assert_status(self.lab("list", timeout=30), 0)
        wait_until("no process remains", lambda: not descendants_of_state(self.state), 5)
        state = os.path.join(self.state, "state")
        self.assertEqual(os.listdir(state) if os.path.isdir(state) else [], [])


class Results(Running):
    """One run, beside a Redis of somebody else on the usual port, and then every command that reads runs again."""

    def test_results_are_read_again_and_a_foreign_redis_stays(self):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 6379)) == 0:
                self.skipTest("port 6379 is taken, and what is there is not to be touched")
        foreign = Redis(self.state, 6379)
        self.addCleanup(foreign.close)
        self.assertEqual(redis_answer(6379, "SET", "mine", "kept"), b"+OK\r\n")
        ran = self.run_lab("rate-limit-outage", "--variants", "deny", "--predict", "p99-deny=6ms", needed=False)
        self.assertIn(ran.returncode, (0, 2), ran.stdout[-3000:] + ran.stderr)  # what follows is as true of a busy host
        verdict = "pass" if ran.returncode == 0 else "inconclusive"
        folder = self.run_folder("rate-limit-outage")
        run = "rate-limit-outage/" + os.path.basename(folder)
        names = ("result.json", "report.md", "report.html", "card.md")
        texts = {}
        for name in names:
            with open(os.path.join(folder, name)) as file:
                texts[name] = file.read()

        with self.subTest(command="report"):
            for words in ((), ("rate-limit-outage",), (run,), (folder,)):
                done = self.lab("report", *words)
                self.assert_status(done, 0)
                self.assertIn("bounded-latency", done.stdout)
                self.assertIn("report.html", done.stdout)
            self.assertEqual(self.lab("report", "--json").stdout, texts["result.json"])
            self.assertEqual(self.lab("report", "--markdown").stdout, texts["report.md"])
        with self.subTest(command="report --rewrite"):
            for name in ("report.md", "report.html"):
                os.remove(os.path.join(folder, name))
            self.assert_status(self.lab("report", "--rewrite"), 0)
            for name in ("report.md", "report.html"):
                self.assertGreater(os.path.getsize(os.path.join(folder, name)), 200)
            with open(os.path.join(folder, "report.md")) as file:
                self.assertEqual(file.read(), texts["report.md"])
        with self.subTest(command="card"):
            for words in ((), ("rate-limit-outage",), (run,)):
                self.assertEqual(self.lab("card", *words).stdout, texts["card.md"])
        with self.subTest(command="history"):
            done = self.lab("history")
            self.assert_status(done, 0)
            self.assertIn(f"{verdict.upper()} quick", done.stdout)
            if verdict == "pass":
                self.assertIn("predictions: 1 given", done.stdout)
            runs = json.loads(self.lab("history", "rate-limit-outage", "--json").stdout)
            self.assertEqual(runs[-1]["folder"], folder)
            self.assertEqual((runs[-1]["verdict"], runs[-1]["exit_status"], runs[-1]["quick"]),
                             (verdict, ran.returncode, True))
            score = next(score for score in runs[-1]["predictions"] if score["id"] == "p99-deny")
            self.assertEqual(score["predicted"], 0.006)
            if verdict == "pass":
                self.assertGreater(score["measured"], 0)
            self.assertEqual(self.lab("history", "rate-limit-algorithms", "--json").stdout, "[]\n")
            done = self.lab("history", "compare", run, "rate-limit-outage")
            self.assert_status(done, 0)
            self.assertIn("same host, revision, load and configuration", done.stdout)
            self.assert_status(self.lab("history", "compare", run), 64)
            self.assert_status(self.lab("history", "compare", run, "/nowhere/at/all"), 69)

        with self.subTest(what="a killed run is cleaned up, the foreign Redis is not"):
            runner = self.start("--variants", "deny")
            self.read_until(runner, "ratelimit up")
            runner.kill()
            runner.communicate()
            self.assert_status(self.lab("list"), 0)
            left = [pid for pid, _ in descendants_of_state(self.state) if pid != foreign.popen.pid]
            self.assertEqual(left, [])
        self.assertTrue(foreign.alive())
        self.assertEqual(redis_answer(6379, "GET", "mine"), b"$4\r\nkept\r\n")
        self.assertEqual(redis_answer(6379, "DBSIZE"), b":1\r\n")

    def test_nonsense_and_an_empty_state(self):
        for command in ("report", "card"):
            self.assert_status(self.lab(command), 69)
            self.assert_status(self.lab(command, "rate-limit-outage"), 69)
            self.assert_status(self.lab(command, "/nowhere/at/all"), 69)
            done = self.lab(command, "rate-limit-outgae")
            self.assert_status(done, 64)
            self.assertIn("rate-limit-outage", done.stderr)
            self.assert_status(self.lab(command, "a", "b"), 64)
        done = self.lab("history")
        self.assert_status(done, 0)
        self.assertIn("no runs yet", done.stdout)
        self.assertEqual(self.lab("history", "--json").stdout, "[]\n")
        self.assert_status(self.lab("history", "rate-limit-outgae"), 64)

    def test_a_damaged_result_is_told(self):
        folder = os.path.join(self.state, "runs", "rate-limit-outage", "20260101-000000")
        os.makedirs(folder)
        with open(os.path.join(folder, "result.json"), "w") as file:
            file.write('{"schema": "lab-')
        done = self.lab("report")
        self.assert_status(done, 70)
        self.assertIn(folder, done.stderr)
        done = self.lab("history")
        self.assert_status(done, 0)
        self.assertIn(folder, done.stderr)


class Samples(LabTest):
    """The run of each lab that is kept in the checkout: of this lab as it is, on a host that it names."""

    def test_they_are_runs_of_the_lab_files(self):
        for lab in SAMPLED:
            sample = os.path.join(ROOT, "labs", lab, "sample")
            with open(os.path.join(sample, "result.json")) as file:
                result = json.load(file)
            with open(os.path.join(ROOT, "labs", lab, "lab.yaml")) as file:
                text = file.read()
            expected = re.search(r"^expect:\n((?:[ #].*\n|\n)+)", text, re.M).group(1)
            rules = dict(re.findall(r"^  ([a-z][a-z0-9-]*): +(.*?)(?: +#.*)?$", expected, re.M))
            explores = re.search(r"^explore:", text, re.M)  # its invariants say the rest
            self.assertGreater(len(rules), 3 if explores else 5, expected)
            found = {finding["rule"]: finding["text"] for finding in result["verdict"]["findings"]}
            self.assertEqual(rules, {rule: found.get(rule) for rule in rules}, f"{lab}: the sample is of another lab file")
            self.assertTrue(result["host"]["cpu"] and result["host"]["cores"], lab)
            self.assertFalse(result["quick"], lab)
            for file in os.listdir(sample):
                with open(os.path.join(sample, file)) as text:
                    self.assertNotRegex(text.read(), r"/(home|root|work|tmp)/", f"{lab}/sample/{file}: a path of the host")

    def test_their_reports_are_what_this_program_makes_of_them(self):
        for lab in SAMPLED:
            copy = os.path.join(self.state, lab)
            shutil.copytree(os.path.join(ROOT, "labs", lab, "sample"), copy)
            self.assertEqual(self.lab("report", copy, "--rewrite").returncode, 0)
            for file in ("report.md", "report.html"):
                with open(os.path.join(copy, file)) as again, open(os.path.join(ROOT, "labs", lab, "sample", file)) as kept:
                    self.assertEqual(again.read(), kept.read(), f"./lab report labs/{lab}/sample --rewrite")


class Page(LabTest):
    """`run --ui`: what a browser gets while the run goes on."""

    def test_shows_the_run_and_its_verdict(self):
        run = subprocess.Popen([LAB, "run", "rate-limit-outage", "--quick", "--plain", "--variants", "deny", "--ui"],
                               env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        self.addCleanup(run.kill)
        url = re.search(r"watch it at (http://127\.0\.0\.1:\d+/)", run.stderr.readline()).group(1)
        with urllib.request.urlopen(url) as answer:
            token = re.search(r'"token":"([0-9a-f]{32})"', answer.read().decode()).group(1)
        with urllib.request.urlopen(url + "api/state") as answer:
            state = json.load(answer)
        self.assertEqual((state["lab"], state["mode"]), ("rate-limit-outage", "run"))
        self.assertIn({"from": "ratelimit", "to": "redis", "proxied": False}, state["links"])
        self.assertIn("redis.pause", [breakable["fault"] for breakable in state["breakable"]])
        request = urllib.request.Request(url + "api/break", b'{"fault":"redis.pause"}',
                                         {"X-Lab-Token": token, "Content-Type": "application/json"})
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        self.assertEqual(refused.exception.code, 409)
        refused.exception.close()
        events = {}
        with urllib.request.urlopen(url + "events") as stream:
            kind = ""
            try:
                for line in stream:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        events.setdefault(kind, []).append(json.loads(value))
            except (ConnectionError, http.client.IncompleteRead):
                pass  # it ends with the run
        output, _ = run.communicate(timeout=SHORT)
        self.assertIn(run.returncode, (0, 2), output)
        self.assertEqual([trial["variant"] for trial in events["trial"]], ["deny"])
        self.assertGreater(len(events["second"]), 5)
        self.assertTrue(all(second["p999_s"] >= second["p99_s"] for second in events["second"]))
        self.assertTrue(any("ratelimit.redis_outstanding" in second["queues"] for second in events["second"]))
        self.assertTrue(any(fault["seen_s"] for fault in events["fault"]))
        self.assertEqual(events["verdict"][0]["state"], {0: "pass", 2: "inconclusive"}[run.returncode])
        self.assert_nothing_runs()

    def test_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            done = self.lab("run", "rate-limit-outage", "--quick", "--plain", "--ui-port", port)
        self.assert_status(done, 70)
        self.assertIn(f"127.0.0.1:{port}", done.stderr)


class Missing(LabTest):
    def test_a_program_that_is_not_there(self):
        for part in ("redis", "ratelimit"):
            done = self.lab("run", "rate-limit-outage", "--quick", "--plain", "--set", f"{part}.binary=/nowhere/{part}")
            self.assert_status(done, 64)
            self.assertIn(f"there is no program /nowhere/{part}", done.stderr)

    def test_a_host_without_redis(self):
        """Redis hidden from this process alone, by a file system of its own."""
        hide = "for file in redis-check-rdb redis-server; do path=$(readlink -f /usr/bin/$file) && [ -e $path ] && " \
               "mount --bind /dev/null $path; done; true"
        if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
            self.skipTest("hiding Redis needs root and mount name spaces")
        done = subprocess.run(["unshare", "-m", "sh", "-c", hide + '; PATH=/nowhere exec "$0" "$@"', LAB, "run",
                               "rate-limit-outage", "--quick", "--plain"], env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL,
                              text=True, capture_output=True, timeout=60)
        self.assert_status(done, 69)
        self.assertIn("redis-tools", done.stderr)


class Leftovers(Running):
    def test_killed_runner_leaves_nothing(self):
        seed = int(os.environ.get("LAB_TEST_SEED", random.randrange(1 << 30)))
        print(f"seed {seed}", file=sys.stderr)
        moments = random.Random(seed)
        for _ in range(int(os.environ.get("LAB_TEST_KILLS", 4))):
            runner = self.start()
            after = moments.uniform(0.1, 12)
            time.sleep(after)
            runner.kill()
            runner.communicate()
            with self.subTest(killed_after_s=round(after, 2)):
                self.assert_clean_next_start()

    def test_interrupt_in_every_phase_heals_and_stops(self):
        for moment in ("redis up", "ratelimit up", " steady ", "redis.pause applied", "redis.pause is being healed",
                       " after_pause ", "redis.kill applied", " after_kill ", "redis.flush"):
            with self.subTest(interrupted_at=moment):
                runner = self.start("--variants", "deny")
                output = self.read_until(runner, re.escape(moment))
                os.kill(runner.pid, signal.SIGINT)
                output += runner.communicate(timeout=20)[0]
                self.assertEqual(runner.returncode, 70, output[-2000:])
                self.assertIn("interrupted", output)
                self.assert_nothing_runs()

    def test_other_signals_are_the_same(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number.name):
                runner = self.start("--variants", "deny")
                self.read_until(runner, "redis.pause applied")
                os.kill(runner.pid, number)
                output = runner.communicate(timeout=20)[0]
                self.assertEqual(runner.returncode, 70, output[-2000:])
                self.assert_nothing_runs()

    def test_a_second_interrupt_ends_at_once_and_the_next_start_cleans_up(self):
        runner = self.start("--variants", "deny")
        self.read_until(runner, "redis.pause applied")
        for _ in range(2):
            os.kill(runner.pid, signal.SIGINT)
            time.sleep(0.05)  # two signals of one number that wait together are one
        runner.communicate(timeout=20)
        self.assertEqual(runner.returncode, 70)
        self.assert_clean_next_start()


class Terminal(LabTest):
    """On a terminal: predictions are asked, the run is drawn, the cursor comes back."""

    def on_terminal(self, answers, *arguments, until=None):
        """Types an answer at each question; returns the exit status and all that was shown. `until`: then Ctrl-C."""
        terminal, end = pty.openpty()
        env = {key: value for key, value in self.env.items() if key != "NO_COLOR"}
        runner = subprocess.Popen([LAB, "run", "rate-limit-outage", "--quick", *arguments], env=dict(env, TERM="xterm"), cwd=ROOT,
                                  stdin=end, stdout=end, stderr=end, start_new_session=True,
                                  preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(end)
        watchdog = threading.Timer(90, runner.kill)
        watchdog.start()
        shown, waiting = "", list(answers)
        try:
            while True:
                try:
                    piece = os.read(terminal, 65536)
                except OSError:  # the other end is closed
                    break
                shown += piece.decode(errors="replace")
                if waiting and re.search(r"\[[a-z]+\]: $", shown):
                    os.write(terminal, waiting.pop(0).encode() + b"\r")
                    shown += " "
                if until and until in shown:
                    os.write(terminal, b"\x03")
                    until = None
        finally:
            watchdog.cancel()
            os.close(terminal)
        self.assertEqual(waiting, [])
        return runner.wait(timeout=20), shown

    def assert_cursor_restored(self, shown):
        self.assertIn("\x1b[?25l", shown)
        self.assertGreater(shown.rindex("\x1b[?25h"), shown.rindex("\x1b[?25l"))

    def test_predictions_are_asked_and_scored(self):
        status, shown = self.on_terminal(["soon", "50", "", "-"], "--variants", "deny")
        self.assertIn(status, (0, 2), shown[-3000:])  # 2: a busy host; the terminal is the matter here
        self.assertIn("what do you expect?", shown)
        self.assertIn("you said 50 ms", shown)
        self.assertEqual(shown.count("you said"), 1)
        self.assert_cursor_restored(shown)
        self.assert_nothing_runs()

    def test_all_predictions_skipped_and_ctrl_c(self):
        status, shown = self.on_terminal(["-"], "--variants", "deny", until="redis.pause applied")
        self.assertEqual(status, 70, shown[-3000:])
        self.assertEqual(shown.count("]: "), 1)
        self.assertNotIn("you said", shown)
        self.assert_cursor_restored(shown)
        self.assert_nothing_runs()


class DiskFull(Running):
    def test_unwritable_state_is_a_clear_error(self):
        path = os.path.join(self.state, "file")
        with open(path, "w"):
            pass
        self.env["LAB_STATE"] = path
        done = self.lab("run", "rate-limit-outage", "--quick", "--plain")
        self.assertIn(done.returncode, (69, 70))
        self.assertIn(path, done.stderr)

    def test_a_disk_that_is_full_before_and_during_a_run(self):
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", self.state],
                                               capture_output=True).returncode != 0:
            self.skipTest("a small disk needs root and mount")
        self.addCleanup(subprocess.run, ["umount", "-l", self.state], check=True)
        filler = os.path.join(self.state, "filler")

        def fill(leave):
            disk = os.statvfs(self.state)
            with open(filler, "wb") as file:
                file.write(b"x" * max(0, disk.f_bavail * disk.f_frsize - leave))

        fill(leave=4 << 20)
        with self.subTest(full="before"):
            done = self.lab("run", "rate-limit-outage", "--quick", "--plain", "--variants", "deny")
            self.assert_status(done, 70)
            self.assertIn("no space left", done.stderr)
            self.assertIn(self.state, done.stderr)
            self.assertFalse(os.path.exists(os.path.join(self.state, "runs")))
        os.remove(filler)
        with self.subTest(full="during"):
            runner = self.start("--variants", "deny")
            output = self.read_until(runner, " steady ")
            fill(leave=0)
            output += runner.communicate(timeout=60)[0]
            self.assertEqual(runner.returncode, 70, output[-3000:])
            self.assertIn("No space left", output)
            self.assertIn(self.state, output)
            self.assertEqual([found for found in descendants_of_state(self.state)], [])
        os.remove(filler)
        self.assert_clean_next_start()


if __name__ == "__main__":
    verdicts.main()
