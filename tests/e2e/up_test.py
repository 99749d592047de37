"""A system that is kept up and broken by hand, as a person does it: up, break, status, load, logs, heal, down.

Runs the built runner in the checkout, with its state in a folder of its own (LAB_STATE).
"""

import json
import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import verdicts
from processes import BUILD, ROOT, wait_until

LAB = os.path.join(BUILD, "bench", "cli", "lab")
OUTAGE = "rate-limit-outage"
OTHER = "rate-limit-algorithms"


def running_out_of(state):
    """Processes that belong to a state folder: their environment, command line or working folder names it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace")
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read().decode(errors="replace")
            folder = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        keeper = f"LAB_STATE={state}\0" in environment and " keep " in f" {command}"
        if int(pid) != os.getpid() and (keeper or state in command or folder.startswith(state)):
            found.append((int(pid), command.strip()))
    return found


class UpTest(unittest.TestCase):
    def setUp(self):
        self.state = tempfile.mkdtemp(prefix="lab-up-")
        self.env = dict(os.environ, LAB_ROOT=ROOT, LAB_STATE=self.state, NO_COLOR="1")
        self.addCleanup(self.clean_up)

    def clean_up(self):
        self.lab("down", "--all")
        for pid, _ in running_out_of(self.state):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.state, ignore_errors=True)

    def lab(self, *arguments, timeout=60):
        return subprocess.run([LAB, *arguments], env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=timeout)

    def assert_status(self, done, status):
        self.assertEqual(done.returncode, status, f"\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
        return done

    def up(self, lab=OUTAGE, *arguments):
        return self.assert_status(self.lab("up", lab, *arguments), 0)

    def all_up(self):
        return json.loads(self.assert_status(self.lab("status", "--json"), 0).stdout)["up"]

    def only(self):
        up = self.all_up()
        self.assertEqual(len(up), 1)
        return up[0]

    def wait_for(self, what, predicate, seconds=30):
        """Until the state of the one that is up fulfils it."""
        return wait_until(what, lambda: predicate(self.only()), seconds)

    def keeper(self, lab=OUTAGE):
        with open(os.path.join(self.state, "up", lab, "control.json")) as file:
            return json.load(file)["pid"]

    def assert_nothing_is_left(self):
        wait_until("no process remains", lambda: not running_out_of(self.state), 10)
        for folder in ("up", "state"):
            path = os.path.join(self.state, folder)
            self.assertEqual(os.listdir(path) if os.path.isdir(path) else [], [])


class ByHand(UpTest):
    def test_up_break_status_load_logs_heal_down(self):
        shown = self.up(OUTAGE, "--variant", "deny", "--set", "ratelimit.redis.deadline=6ms").stdout
        self.assertIn("http://127.0.0.1:", shown)
        self.assertIn("load ─▶ ratelimit ─▶ redis", shown)
        self.assertIn("./lab break redis.pause", shown)
        system = self.wait_for("the first second", lambda s: s if s.get("second") else None)
        self.assertEqual((system["variant"], system["mode"]), ("deny", "up"))
        self.assertEqual({part["state"] for part in system["parts"]}, {"up"})
        limiter = next(part for part in system["parts"] if part["name"] == "ratelimit")
        self.assertEqual(limiter["changed"]["redis.deadline"], "6ms")
        self.assertEqual(os.stat(os.path.join(self.state, "up", OUTAGE, "control.json")).st_mode & 0o777, 0o600)

        with self.subTest(what="what can be broken is listed, a line each, with options"):
            listed = self.assert_status(self.lab("break"), 0).stdout
            for fault in ("redis.pause", "redis.kill", "redis.flush", "ratelimit.pause"):
                self.assertRegex(listed, rf"(?m)^  {re.escape(fault)} ")
            self.assertIn("[data=keep|lost]", listed)

        with self.subTest(what="a fault has its receipt, is shown, and heals by itself"):
            broken = self.assert_status(self.lab("break", "redis.pause", "--for", "4s"), 0).stdout
            self.assertRegex(broken, r"redis\.pause#1  seen after .*: unanswered for 20 ms, its process is stopped; .* more")
            shown = self.assert_status(self.lab("status"), 0).stdout
            self.assertRegex(shown, r"▓ redis\.pause#1 .* more")
            self.assertRegex(shown, r"redis +stopped")
            self.wait_for("healed by itself", lambda s: s["faults"][0]["healed_s"])
            fault = self.only()["faults"][0]
            self.assertGreaterEqual(fault["heal_asked_s"], fault["asked_s"] + 4)
            self.assertIn("nothing is broken", self.lab("status").stdout)

        with self.subTest(what="heal ends it early"):
            self.assert_status(self.lab("break", "redis.kill", "--for", "10m", "--option", "data=lost"), 0)
            self.assertRegex(self.lab("status").stdout, r"redis +down")
            healed = self.assert_status(self.lab("heal", "redis.kill"), 0).stdout
            self.assertIn("well again", healed)
            self.wait_for("all parts are up", lambda s: {part["state"] for part in s["parts"]} == {"up"})
            self.assertIn("nothing is broken", self.assert_status(self.lab("heal"), 0).stdout)

        with self.subTest(what="a moment"):
            self.assertIn("seen after", self.assert_status(self.lab("break", "redis.flush"), 0).stdout)

        with self.subTest(what="twice the load is offered"):
            self.assert_status(self.lab("load", "2x"), 0)
            self.wait_for("8,000/s", lambda s: 7000 < s["second"]["offered"] < 9000)
            self.assertIn("8,000/s (2x)", self.lab("status").stdout)
            self.assert_status(self.lab("load", "0"), 0)
            self.wait_for("silence", lambda s: s["second"]["offered"] == 0)
            self.assert_status(self.lab("load", "2000/s"), 0)
            self.wait_for("2,000/s", lambda s: 1500 < s["second"]["offered"] < 2500)

        with self.subTest(what="logs"):
            self.assertRegex(self.assert_status(self.lab("logs", "ratelimit"), 0).stdout, r"service_ready")
            every = self.assert_status(self.lab("logs"), 0).stdout
            self.assertRegex(every, r"(?m)^redis +\| ")
            self.assertRegex(every, r"(?m)^keeper +\| .*redis\.pause#1")
            self.assertIn("did you mean \"ratelimit\"", self.assert_status(self.lab("logs", "ratelimt"), 64).stderr)

        self.assertIn("is down", self.assert_status(self.lab("down"), 0).stdout)
        self.assert_nothing_is_left()
        self.assertIn("nothing is up", self.assert_status(self.lab("status"), 0).stdout)
        self.assertIn("nothing is up", self.assert_status(self.lab("down"), 0).stdout)

    def test_the_cache_dies_by_hand(self):
        """The loop that a dead cache starts: seen by hand in the system that is not protected, gone after relief."""
        def answered(s):
            return s["second"]["achieved"] / max(1, s["second"]["offered"]) if s.get("second") else 0

        self.up("cache-outage", "--variant", "unprotected", "--phase", "warmup")
        self.wait_for("the cache is warm", lambda s: answered(s) > 0.9)
        self.assert_status(self.lab("load", "400/s"), 0)
        self.assert_status(self.lab("break", "redis.kill"), 0)
        self.assertRegex(self.lab("status").stdout, r"redis +down")
        self.wait_for("nothing is answered in time", lambda s: answered(s) < 0.3)
        self.assert_status(self.lab("heal"), 0)
        self.wait_for("all parts are up", lambda s: {part["state"] for part in s["parts"]} == {"up"})
        self.assert_status(self.lab("load", "30/s"), 0)
        self.wait_for("relief", lambda s: s["second"]["offered"] < 60 and answered(s) > 0.8)
        self.assert_status(self.lab("down"), 0)
        self.assert_nothing_is_left()

    def test_bad_input(self):
        with self.subTest(what="nothing is up"):
            for words in (("break", "redis.pause"), ("heal",), ("load", "2x"), ("logs",), ("break",)):
                done = self.assert_status(self.lab(*words), 69)
                self.assertIn("./lab up", done.stderr)
            self.assertIn("rate-limit-outage", self.assert_status(self.lab("status", "rate-limit-outgae"), 64).stderr)
            self.assertIn("rate-limit-outage", self.assert_status(self.lab("down", "rate-limit-outgae"), 64).stderr)
            self.assert_status(self.lab("down", OUTAGE), 0)
        with self.subTest(what="up without a name lists the labs"):
            self.assertIn("./lab up rate-limit-outage", self.assert_status(self.lab("up"), 0).stdout)
        for words, named in ((("rate-limit-outgae",), "rate-limit-outage"), ((OUTAGE, "--variant", "denny"), "deny"),
                             ((OUTAGE, "--for", "soon"), "10s to 24h"), ((OUTAGE, "--phase", "stedy"), "steady"),
                             ((OUTAGE, "--set", "ratelimit.redis.dedline=5ms"), "redis.deadline")):
            with self.subTest(words=words):
                self.assertIn(named, self.assert_status(self.lab("up", *words), 64).stderr)
        self.assertEqual(running_out_of(self.state), [])
        with self.subTest(what="a part that cannot be started"):
            done = self.assert_status(self.lab("up", OUTAGE, "--set", "ratelimit.binary=/nowhere/ratelimit"), 64)
            self.assertIn("there is no program /nowhere/ratelimit", done.stderr)
            self.assert_status(self.lab("up", OUTAGE, "--set", "ratelimit.binary=/bin/false"), 70)
            self.assert_nothing_is_left()
        self.up()
        for words, status, named in ((("break", "redis.pauze"), 64, "redis.pause"), (("break", "redis.pause", "--for", "ever"), 64, "5s"),
                                     (("break", "redis.kill", "--option", "dtaa=lost"), 64, "data"),
                                     (("break", "redis.kill", "--option", "data=losst"), 64, "lost"),
                                     (("break", "redis.flush", "--for", "5s"), 64, "--for"),
                                     (("heal", "redis.pause"), 64, "not on"), (("load", "fast"), 64, "2x"),
                                     (("load", "90x"), 64, "operations a second"), (("up", OUTAGE), 64, "up already")):
            with self.subTest(words=words):
                self.assertIn(named, self.assert_status(self.lab(*words), status).stderr)
        self.assertIn("nothing is broken", self.lab("status").stdout)

    def test_two_labs_are_up_at_once(self):
        self.up()
        self.up(OTHER)
        first, second = self.all_up()
        self.assertEqual((first["lab"], second["lab"]), (OTHER, OUTAGE))
        ports = [port for one in (first, second) for part in one["parts"] for port in part["ports"].values()]
        self.assertEqual(len(ports), len(set(ports)))
        self.assertIn("--lab", self.assert_status(self.lab("break", "redis.pause"), 64).stderr)
        self.assertIn(OTHER, self.assert_status(self.lab("down"), 64).stderr)
        self.assert_status(self.lab("break", "redis.pause", "--for", "1m", "--lab", OUTAGE), 0)
        states = {one["lab"]: {part["name"]: part["state"] for part in one["parts"]} for one in self.all_up()}
        self.assertEqual(states[OUTAGE]["redis"], "stopped")
        self.assertEqual(states[OTHER]["redis"], "up")
        self.assert_status(self.lab("down", OUTAGE), 0)
        self.assertEqual([one["lab"] for one in self.all_up()], [OTHER])
        self.assert_status(self.lab("down"), 0)
        self.assert_nothing_is_left()


class Endings(UpTest):
    """Whatever happens to the keeper, what it ran ends with it, and the next command says so."""

    def keepers(self):
        return [pid for pid, command in running_out_of(self.state) if " keep " in f" {command} "]

    def test_killed_at_random_moments(self):
        seed = int(os.environ.get("LAB_TEST_SEED", random.randrange(1 << 30)))
        print(f"seed {seed}", file=sys.stderr)
        moments = random.Random(seed)
        for _ in range(int(os.environ.get("LAB_TEST_KILLS", 4))):
            starter = subprocess.Popen([LAB, "up", OUTAGE], env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            after = moments.uniform(0.05, 3)
            time.sleep(after)
            with self.subTest(killed_after_s=round(after, 2)):
                keepers = wait_until("there is a keeper", self.keepers, 20)
                broken = starter.poll() == 0 and moments.random() < 0.7
                if broken:
                    self.lab("break", "redis.pause", "--for", "10m")
                for pid in keepers:
                    os.kill(pid, signal.SIGKILL)
                starter.communicate(timeout=60)
                wait_until("its parts end with it", lambda: not running_out_of(self.state), 10)
                done = self.assert_status(self.lab("status"), 0)
                self.assertEqual(self.all_up(), [])
                if broken:
                    self.assertIn("killed", done.stdout + done.stderr)
                state = os.path.join(self.state, "state")
                self.assertEqual(os.listdir(state) if os.path.isdir(state) else [], [])
                self.assert_status(self.lab("down"), 0)
                self.assert_nothing_is_left()

    def test_the_terminal_goes(self):
        terminal, end = pty.openpty()
        shell = subprocess.Popen(["bash", "-i"], env=dict(self.env, PS1="$ ", TERM="xterm"), cwd=ROOT, stdin=end, stdout=end,
                                 stderr=end, start_new_session=True,
                                 preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
        os.close(end)
        os.write(terminal, f"{LAB} up {OUTAGE}\n".encode())
        shown, deadline = "", time.monotonic() + 60
        while "./lab down" not in shown and time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 65536).decode(errors="replace")
        self.assertIn("./lab down", shown)
        os.close(terminal)  # SIGHUP to the shell and what it runs
        shell.wait(timeout=20)
        self.wait_for("it goes on", lambda s: s.get("second", {}).get("offered", 0) > 0)
        os.kill(self.keeper(), signal.SIGHUP)
        self.assert_status(self.lab("break", "redis.pause", "--for", "1s"), 0)
        self.assert_status(self.lab("down"), 0)
        self.assert_nothing_is_left()

    def test_it_goes_down_by_itself_and_status_says_so(self):
        self.up(OUTAGE, "--for", "10s")
        self.assert_status(self.lab("break", "redis.pause", "--for", "10m"), 0)
        self.assertEqual(self.lab("status", "--watch", timeout=60).returncode, 0)  # until nothing is up
        self.assertIn("its time of 10 s was over", self.assert_status(self.lab("status"), 0).stdout)
        self.assertEqual(running_out_of(self.state), [])
        self.assertIn("its time", self.lab("break", "redis.pause").stderr)
        self.assertRegex(self.lab("logs").stdout, r"redis\.pause#1")
        self.up()
        self.assertNotIn("its time", self.lab("status").stdout)

    def test_terminated_it_heals_and_stops(self):
        self.up()
        self.assert_status(self.lab("break", "redis.pause", "--for", "10m"), 0)
        os.kill(self.keeper(), signal.SIGTERM)
        wait_until("everything ends", lambda: not running_out_of(self.state), 20)
        self.assertIn("a signal", self.lab("status").stdout)

    def test_a_keeper_that_is_stopped_is_said_and_taken_down(self):
        self.up()
        os.kill(self.keeper(), signal.SIGSTOP)
        self.assertIn("it is stopped", self.assert_status(self.lab("status"), 0).stdout)
        self.assertIn("it is stopped", self.assert_status(self.lab("break", "redis.pause"), 70).stderr)
        self.assert_status(self.lab("down"), 0)
        self.assert_nothing_is_left()

    def test_interrupted_while_it_starts(self):
        starter = subprocess.Popen([LAB, "up", OUTAGE], env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        starter.stdout.readline()  # "starting …"
        starter.send_signal(signal.SIGINT)
        output = starter.communicate(timeout=30)[0]
        if starter.returncode == 0:
            self.assertIn("is up", output)  # it was quicker
            return
        self.assertEqual(starter.returncode, 70, output)
        self.assertIn("nothing is left running", output)
        self.assert_nothing_is_left()


class Completion(UpTest):
    """As bash asks: the line as it is typed, and what Tab makes of it."""

    SCRIPT = """
source <("$LAB" completion bash)
compopt() { :; }
complete_line() {
  COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
  read -ra COMP_WORDS <<<"$1"
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _lab
  printf '%s\\n' "${COMPREPLY[@]}"
}
complete_line "$1"
"""

    def complete(self, line):
        done = subprocess.run(["bash", "-c", self.SCRIPT, "bash", line], env=dict(self.env, LAB=LAB), cwd=ROOT, text=True,
                              capture_output=True, timeout=30)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_bash_completes_labs_variants_settings_and_faults(self):
        self.assertEqual(self.complete(f"{LAB} ru"), ["run"])
        self.assertEqual(self.complete(f"{LAB} up rate-limit-out"), [OUTAGE])
        self.assertEqual(self.complete(f"{LAB} up {OUTAGE} --variant d"), ["deny"])
        self.assertIn("ratelimit.redis.deadline=", self.complete(f"{LAB} up {OUTAGE} --set ratelimit.redis.dead"))
        # Bash replaces what stands behind the last "=".
        self.assertEqual(self.complete(f"{LAB} up {OUTAGE} --set ratelimit.rules.on_store_failure=l"), ["local"])
        self.assertEqual(self.complete(f"{LAB} break "), [])
        self.up()
        self.assertIn("redis.pause", self.complete(f"{LAB} break redis.p"))
        self.assertEqual(self.complete(f"{LAB} break redis.kill --option da"), ["data="])
        self.assertEqual(self.complete(f"{LAB} break redis.kill --option data=l"), ["lost"])
        self.assertEqual(self.complete(f"{LAB} logs ke"), ["keeper"])
        self.assertEqual(self.complete(f"{LAB} down "), [OUTAGE])

    def test_it_is_quick(self):
        for words in (("up", ""), ("up", OUTAGE, "--variant", ""), ("run", OUTAGE, "--set", "ratelimit.")):
            took = []
            for _ in range(5):
                begin = time.monotonic()
                self.assert_status(self.lab("__complete", "--", *words), 0)
                took.append(time.monotonic() - begin)
            print(f"completion of {' '.join(words)!r}: {min(took) * 1000:.0f} ms", file=sys.stderr)
            self.assertLess(min(took), 1, "a person waits for it at every Tab")

    def test_an_unknown_shell(self):
        self.assertIn("known: bash, zsh, fish", self.assert_status(self.lab("completion", "powershell"), 64).stderr)


class OtherShells(UpTest):
    def reads(self, shell, *check):
        script = self.assert_status(self.lab("completion", shell), 0).stdout
        self.assertIn("__complete", script)
        if not shutil.which(shell):
            self.skipTest(f"no {shell} here")
        self.assertEqual(subprocess.run([shell, *check, "/dev/stdin"], input=script, text=True).returncode, 0)

    def test_zsh_reads_its_script(self):
        self.reads("zsh", "-n")

    def test_fish_reads_its_script(self):
        self.reads("fish", "--no-execute")


if __name__ == "__main__":
    verdicts.main()
