"""The host: what a sick one does to a verdict, and the faults that are made with its help.

A run on a host that is busy, throttled or short of memory ends with 2 or 70, never with a verdict on the design.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab_test import LAB, ROOT, LabTest, Running, descendants_of_state
import verdicts
from processes import wait_until

NOBODY = 65534


class Cgroup:
    """A group below that of this process, with a limit: version 1, or version 2 where root hands the controller down."""

    def __init__(self, test, controller, limits):
        """`limits`: version -> {file: value}."""
        self.folder = None
        for version, parent in self._parents(controller):
            try:
                self.folder = os.path.join(parent, f"lab-e2e-{os.getpid()}")
                os.mkdir(self.folder)
                break
            except OSError:
                self.folder = None
        if self.folder is None:
            test.skipTest(f"no group with a {controller} limit can be made here")
        test.addCleanup(self.remove)
        for name, value in limits[version].items():
            with open(os.path.join(self.folder, name), "w") as file:
                file.write(value)

    @staticmethod
    def _parents(controller):
        with open("/proc/self/cgroup") as file:
            ours = [line.strip().split(":", 2) for line in file]
        with open("/proc/mounts") as file:
            mounts = [line.split()[1:4] for line in file]
        for mount, kind, options in mounts:
            if kind == "cgroup" and controller in options.split(","):
                yield 1, mount + next(path for _, names, path in ours if controller in names.split(",")).rstrip("/")
                yield 1, mount
            elif kind == "cgroup2" and os.path.exists(os.path.join(mount, "cgroup.subtree_control")):
                with open(os.path.join(mount, "cgroup.subtree_control")) as file:
                    if controller in file.read().split():
                        yield 2, mount

    def add(self, pid):
        with open(os.path.join(self.folder, "cgroup.procs"), "w") as file:
            file.write(str(pid))

    def is_empty(self):
        with open(os.path.join(self.folder, "cgroup.procs")) as file:
            return not file.read()

    def remove(self):
        wait_until("the group is empty", self.is_empty, 10)
        os.rmdir(self.folder)


class SickLab(Running):
    def assert_no_verdict(self, status, output, reason):
        self.assertIn(status, (2, 70), output[-3000:])
        self.assertRegex(output, reason)

    def test_a_busy_neighbour_on_every_core(self):
        neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
        try:
            for variant in ("deny", "no-deadline"):  # the broken one is not judged either
                done = self.lab("run", "rate-limit-outage", "--quick", "--plain", "--variants", variant)
                self.assert_no_verdict(done.returncode, done.stdout + done.stderr, r"neighbour|starved|steady state")
        finally:
            for neighbour in neighbours:
                neighbour.kill()
                neighbour.wait()

    def test_a_small_cpu_quota(self):
        group = Cgroup(self, "cpu", {1: {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "30000"},
                                     2: {"cpu.max": "30000 100000"}})
        done = subprocess.run([LAB, "run", "rate-limit-outage", "--quick", "--plain", "--variants", "deny"], env=self.env,
                              cwd=ROOT, stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=180,
                              preexec_fn=lambda: group.add(os.getpid()))
        self.assert_no_verdict(done.returncode, done.stdout + done.stderr, r"CPU quota|starved|not ready|took too long")

    def test_a_runner_that_was_stopped_for_two_seconds_twice(self):
        runner = self.start("--variants", "deny")
        output = ""
        for again in (False, True):  # the first time the trial is run once more
            if again:
                output += self.read_until(runner, "it is run once more")
            output += self.read_until(runner, " after_pause ")  # no fault is on
            os.kill(runner.pid, signal.SIGSTOP)
            time.sleep(2)
            os.kill(runner.pid, signal.SIGCONT)
        output += runner.communicate(timeout=60)[0]
        self.assert_no_verdict(runner.returncode, output, r"the runner itself stood still")

    def test_a_part_that_was_killed_for_memory(self):
        group = Cgroup(self, "memory", {1: {"memory.limit_in_bytes": "0"}, 2: {"memory.max": "0"}})
        runner = self.start("--variants", "deny")
        output = self.read_until(runner, " steady ")
        redis = [pid for pid, command in descendants_of_state(self.state) if command.startswith("redis-server")]
        self.assertEqual(len(redis), 1)
        group.add(redis[0])
        output += runner.communicate(timeout=60)[0]
        self.assert_no_verdict(runner.returncode, output, r"redis ended unasked")
        self.assertRegex(output, r"for want of memory")


FAULTS = """
lab: host-faults
title: Every fault of the host, once
needs: [redis]
network: private
budget: {run: 1m, quick: 1m}
system:
  redis: {disk: 4mb, set: {appendonly: "yes"}}
  ratelimit:
    set: {redis.deadline: 5ms, rules.path: "@rules.yaml", rules.on_store_failure: allow}
    files: {rules.yaml: "domain: host\\ndescriptors:\\n  - {key: tenant, rate_limit: {unit: second, requests_per_unit: 5}}\\n"}
reference: only
variants: {only: {}}
load:
  - {target: ratelimit.grpc, rate: 200/s, keys: uniform(10), request: {domain: host, key: tenant}}
phases: {calm: 1s, squeezed: 1s, full: 1s, cut: 1s, lossy: 1s, killed: 1s, well: 1s}
faults:
  - {at: squeezed, do: redis.cpu_limit, for: 60%, share: 1%}
  - {at: full, do: redis.disk_full, for: 40%}
  - {at: cut, do: ratelimit.partition, for: 50%}
  - {at: lossy, do: redis.packet_loss, for: 60%, share: 50%}
  - {at: killed, do: redis.out_of_memory, for: 50%}
invariants: [every-arrival-accounted]
"""


class HostFaults(Running):
    def write_lab(self, text=FAULTS):
        folder = os.path.join(self.state, "labs", "host-faults")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "lab.yaml"), "w") as file:
            file.write(text)
        return os.path.join(folder, "lab.yaml")

    def groups(self):
        found = []
        for folder, names, _ in os.walk("/sys/fs/cgroup"):
            found += [os.path.join(folder, name) for name in names if re.match(r"lab-\d+-\d+-", name)]
        return found

    def test_each_is_seen_and_healed_and_nothing_is_left(self):
        before = self.groups()
        done = self.run_lab(self.write_lab(), needed=False)
        if done.returncode == 2 and "is skipped" in done.stderr:
            self.skipTest(done.stderr)
        self.assertIn(done.returncode, (0, 2), done.stdout[-3000:] + done.stderr)  # the faults are as true of a busy host
        with open(os.path.join(self.run_folder("host-faults"), "trials", "only-1", "faults.json")) as file:
            faults = json.load(file)
        self.assertEqual(len(faults), 5)
        for fault in faults:
            with self.subTest(fault=fault["id"]):
                self.assertEqual(fault.get("error", ""), "")
                self.assertIsNotNone(fault.get("seen_s"))
                self.assertIsNotNone(fault.get("healed_s"))
        self.assertNotIn("no fault asked for it", done.stdout)
        self.assert_nothing_runs()
        self.assertEqual([group for group in self.groups() if group not in before], [])
        with open("/proc/mounts") as file:
            self.assertNotIn(self.state, file.read())

    def test_a_killed_runner_leaves_no_group(self):
        text = re.sub(r"phases: .*", "phases: {calm: 1s, squeezed: 20s}", FAULTS).replace("network: private\n", "")
        text = re.sub(r"faults:\n(  - .*\n)+", "faults:\n  - {at: squeezed, do: redis.cpu_limit, share: 1%}\n", text)
        text = text.replace("disk: 4mb, ", "")
        runner = subprocess.Popen([LAB, "run", self.write_lab(text), "--plain"], env=self.env, cwd=ROOT,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        before = self.groups()
        try:
            output = self.read_until(runner, r"redis.cpu_limit applied|is skipped")
            if "is skipped" in output:
                self.skipTest(output)
            made = [group for group in self.groups() if group not in before]
            self.assertEqual(len(made), 1)
        finally:
            runner.kill()
            runner.communicate()
        self.assertTrue(os.path.isdir(made[0]))
        self.assert_clean_next_start()
        self.assertFalse(os.path.isdir(made[0]))

    def test_what_the_host_does_not_allow_is_skipped_in_plain_sight(self):
        if os.geteuid() != 0 or shutil.which("setpriv") is None:
            self.skipTest("becoming somebody with fewer rights needs root and setpriv")
        path = self.write_lab()
        os.chmod(self.state, 0o755)
        state = os.path.join(self.state, "of-nobody")
        os.mkdir(state)
        os.chown(state, NOBODY, NOBODY)
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        if subprocess.run([*command, LAB, "--help"], env=self.env, capture_output=True).returncode != 0:
            self.skipTest("nobody may not read this checkout")
        done = subprocess.run([*command, LAB, "run", path, "--quick", "--plain"], env=dict(self.env, LAB_STATE=state),
                              cwd=ROOT, stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=60)
        self.assert_status(done, 2)
        self.assertIn("is skipped", done.stderr)
        self.assertRegex(done.stderr, r"redis\.cpu_limit: .*; .*root")
        self.assertFalse(os.path.exists(os.path.join(state, "runs")))

    def test_what_a_fault_needs_of_the_lab_is_told_with_its_line(self):
        for before, after, named in (("network: private\n", "", "network: private"), ("disk: 4mb, ", "", "disk: 16mb"),
                                     ("share: 1%", "share: 500%", "between 1% and 100%")):
            done = self.lab("run", self.write_lab(FAULTS.replace(before, after, 1)), "--quick")
            self.assert_status(done, 64)
            self.assertRegex(done.stderr, r"lab\.yaml:\d+:")
            self.assertIn(named, done.stderr)


if __name__ == "__main__":
    verdicts.main()
