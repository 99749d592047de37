"""The script `lab` itself: what it installs and how, what it builds, and how it ends when it cannot.

A copy of the script and of deploy/ runs in a folder of its own, with a PATH that holds only stubs and the few tools that
it uses. The stubs keep a journal of how they were called; nothing is installed or built.
"""

import os
import pty
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from processes import ROOT, wait_until

TOOLS = ("bash", "env", "dirname", "readlink", "awk", "grep", "sed", "paste", "ls", "mkdir", "touch", "tail", "flock",
         "cat", "rm", "sleep", "chmod", "cp", "head", "true", "kill", "stat", "ln")

RUNNER = """#!/usr/bin/env bash
echo "runner $*" >>"$JOURNAL"
[[ $1 == targets ]] || exit 0
[[ -z ${TARGETS_FAIL-} ]] || { echo "targets: no" >&2; exit "$TARGETS_FAIL"; }
echo ratelimit
"""

STUBS = {
    # Installed is what stands in the file; apt-get adds to it.
    "dpkg-query": 'for name in "${@:3}"; do grep -qxF -- "$name" "$INSTALLED" && echo "$name installed"; done; true',
    "apt-get": """
echo "apt-get $*" >>"$JOURNAL"
[[ $1 != download ]] || { [[ -z ${DOWNLOAD_FAILS-} ]] || exit 1; : >"$2_1.0_amd64.deb"; exit 0; }
env | grep -E '^(DEBIAN_FRONTEND|NEEDRESTART_SUSPEND|APT_LISTCHANGES_FRONTEND)=' >>"$JOURNAL.env"
[[ -z ${APT_WAITS-} ]] || { : >"$JOURNAL.waiting"; sleep 60; }
[[ $1 == update || -n ${APT_FAILS-} ]] || for name in "$@"; do echo "$name" >>"$INSTALLED"; done
[[ $1 == update || -z ${APT_FAILS-} ]]""",
    "dpkg-deb": """
echo "dpkg-deb $1" >>"$JOURNAL"
if [[ $1 == -f ]]; then
  echo "locales | locales-all, postgresql-common (>= 241~), tzdata, libicu72 (>= 72.1~rc-1~), libllvm14, libpq5 (>= 14)"
else
  mkdir -p "$3"/usr/lib/postgresql/15/{bin,lib}
  : >"$3/usr/lib/postgresql/15/bin/initdb"
  : >"$3/usr/lib/postgresql/15/lib/llvmjit.so"
fi""",
    "cmake": """
echo "cmake $*" >>"$JOURNAL"
[[ -z ${CMAKE_FAILS-} ]] || { echo "CMake Error: Could not find hiredis, $CMAKE_FAILS"; exit 1; }
: >build/release/build.ninja""",
    "ninja": """
[[ " $* " == *" -n "* ]] && { echo "[1/1] something"; exit 0; }
echo "ninja $*" >>"$JOURNAL"
[[ -z ${NINJA_WAITS-} ]] || { : >"$JOURNAL.waiting"; sleep 60; }
[[ -z ${NINJA_FAILS-} ]] || exit 1
mkdir -p build/release/bench/cli && cp "$RUNNER" build/release/bench/cli/lab""",
    "id": 'echo "${STUB_UID:-0}"',
    "sudo": """
echo "sudo $*" >>"$JOURNAL"
if [[ $1 == -n ]]; then [[ -z ${SUDO_ASKS-} ]] || exit 1; shift; fi
exec "$@\"""",
}


def executable(path, text):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)


class Script(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lab-script-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        os.chmod(self.folder, 0o755)
        self.root = os.path.join(self.folder, "checkout")
        self.shared = os.path.join(self.folder, "shared")
        self.bin = os.path.join(self.folder, "bin")
        os.makedirs(self.root)
        os.makedirs(self.bin)
        shutil.copy2(os.path.join(ROOT, "lab"), self.root)
        shutil.copytree(os.path.join(ROOT, "deploy"), os.path.join(self.root, "deploy"))
        for tool in TOOLS:
            os.symlink(shutil.which(tool), os.path.join(self.bin, tool))
        for name, text in STUBS.items():
            executable(os.path.join(self.bin, name), "#!/usr/bin/env bash\n" + text + "\n")
        self.runner = os.path.join(self.folder, "runner")
        executable(self.runner, RUNNER)
        self.journal = os.path.join(self.folder, "journal")
        self.installed = os.path.join(self.folder, "installed")
        self.release = os.path.join(self.folder, "os-release")
        for path in (self.journal, self.journal + ".env", self.installed):
            open(path, "w").close()
        with open(self.release, "w") as file:
            file.write('ID=debian\nVERSION_ID="12"\n')
        # A host with a server, unless a test says otherwise.
        self.postgres = os.path.join(self.folder, "postgresql")
        os.makedirs(os.path.join(self.postgres, "15", "bin"))
        open(os.path.join(self.postgres, "15", "bin", "initdb"), "w").close()
        self.env = {"PATH": self.bin, "LAB_POSTGRES_LIB": self.postgres, "LAB_SHARED": self.shared, "JOURNAL": self.journal, "INSTALLED": self.installed, "RUNNER": self.runner,
                    "LAB_OS_RELEASE": self.release, "HOME": self.folder, "LC_ALL": "C"}

    def without(self, *names):
        for name in names:
            os.remove(os.path.join(self.bin, name))

    def lab(self, *words, stdin=subprocess.DEVNULL, **env):
        return subprocess.run([os.path.join(self.root, "lab"), *words], cwd=self.root, env={**self.env, **env}, stdin=stdin, text=True,
                              capture_output=True, timeout=60)

    def calls(self, program):
        with open(self.journal) as file:
            return [line.rstrip("\n") for line in file if line.startswith(program + " ")]

    def assert_ends(self, done, status, *texts):
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for text in texts:
            self.assertIn(text, done.stderr)

    def listed(self, *sections, release="12"):
        names, section = [], None
        with open(os.path.join(ROOT, "deploy", f"packages-debian-{release}.txt")) as file:
            for line in file:
                if line.startswith(" ") and section in sections:
                    names.append(line.strip())
                elif not line.startswith((" ", "#")):
                    section = line.strip()
        return names


class Installing(Script):
    def test_root_installs_builds_and_runs_and_the_next_call_does_neither(self):
        self.assert_ends(self.lab("list"), 0)
        names = self.listed("build", "run")
        self.assertGreater(len(names), 10)
        self.assertEqual(self.calls("apt-get"),
                         ["apt-get update", "apt-get install -y --no-install-recommends " + " ".join(names)])
        self.assertEqual(self.calls("sudo"), [])
        self.assertEqual(len(self.calls("cmake")), 1)
        self.assertEqual(self.calls("runner"), ["runner list"])
        open(self.journal, "w").close()
        self.assert_ends(self.lab("list"), 0)
        self.assertEqual(self.calls("apt-get") + self.calls("cmake"), [])

    def test_only_what_is_missing_is_installed(self):
        with open(self.installed, "w") as file:
            file.write("\n".join(name for name in self.listed("build", "run") if name != "libhiredis-dev") + "\n")
        self.assert_ends(self.lab("list"), 0)
        self.assertEqual(self.calls("apt-get")[-1], "apt-get install -y --no-install-recommends libhiredis-dev")

    def test_what_was_installed_later_is_looked_for_by_the_next_build(self):
        self.assert_ends(self.lab("list"), 0)
        self.assert_ends(self.lab("bench"), 0)
        self.assertEqual(len(self.calls("cmake")), 2, "the packages of the tests came after the first configuration")
        self.assert_ends(self.lab("bench"), 0)
        self.assertEqual(len(self.calls("cmake")), 2)

    def test_no_service_comes_with_it(self):
        """No question, no restart of the host's services, and no package that would start one."""
        self.assert_ends(self.lab("list"), 0)
        with open(self.journal + ".env") as file:
            told = file.read()
        for setting in ("DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "APT_LISTCHANGES_FRONTEND=none"):
            self.assertIn(setting, told)
        services = ("redis", "redis-server", "redis-sentinel", "prometheus", "nginx", "envoy", "kafka", "default-mysql-server")
        for release in ("12", "13"):
            names = set(self.listed("build", "run", "test", "fuzz", release=release))
            self.assertGreater(len(names), 20)
            self.assertEqual({name for name in names if name in services or name.startswith("postgresql")}, set())

    def test_postgres_is_unpacked_where_there_is_none(self):
        shutil.rmtree(self.postgres)
        done = self.lab("list")
        self.assert_ends(done, 0, "no cluster was created, no service started")
        self.assertIn("apt-get download postgresql-15", self.calls("apt-get"))
        installed = [call for call in self.calls("apt-get") if " install " in call]
        self.assertEqual(installed[-1], "apt-get install -y --no-install-recommends tzdata libicu72 libpq5")
        self.assertFalse(any("postgresql" in call for call in installed), installed)
        unpacked = os.path.join(self.root, ".lab", "debian", "usr", "lib", "postgresql", "15")
        self.assertTrue(os.path.exists(os.path.join(unpacked, "bin", "initdb")))
        self.assertEqual(os.listdir(os.path.join(unpacked, "lib")), [])
        open(self.journal, "w").close()
        os.remove(os.path.join(self.root, ".lab", "packages-build-run-debian-12"))
        self.assert_ends(self.lab("list"), 0)
        self.assertEqual([call for call in self.calls("apt-get") if "download" in call], [])

    def test_in_a_folder_that_is_closed_root_unpacks_postgres_where_others_get_to(self):
        shutil.rmtree(self.postgres)
        os.chmod(self.root, 0o700)
        self.assert_ends(self.lab("list"), 0, f"unpacked postgresql-15 below {self.shared}; no cluster was created")
        self.assertEqual(os.readlink(os.path.join(self.root, ".lab", "debian")), self.shared)
        self.assertTrue(os.path.exists(os.path.join(self.shared, "usr", "lib", "postgresql", "15", "bin", "initdb")))
        shutil.rmtree(self.shared)
        os.remove(os.path.join(self.root, ".lab", "packages-build-run-debian-12"))
        self.assert_ends(self.lab("list", STUB_UID="1000"), 0, "unpacked postgresql-15 below .lab/debian; no cluster was created")
        self.assertFalse(os.path.exists(self.shared), "who is not root runs it as himself")

    def test_a_host_with_postgres_keeps_it(self):
        self.assert_ends(self.lab("list"), 0)
        self.assertEqual([call for call in self.calls("apt-get") if "download" in call], [])

    def test_postgres_that_cannot_be_had_keeps_nobody_from_the_rest(self):
        shutil.rmtree(self.postgres)
        self.assert_ends(self.lab("list", DOWNLOAD_FAILS="1"), 0, "postgresql-15 could not be fetched")
        self.assertEqual(self.calls("runner"), ["runner list"])

    def test_sudo_without_a_password(self):
        self.assert_ends(self.lab("list", STUB_UID="1000"), 0)
        self.assertTrue(any(call.startswith("sudo env DEBIAN_FRONTEND") for call in self.calls("sudo")), self.calls("sudo"))

    def test_sudo_with_a_password_asks_on_a_terminal(self):
        terminal, end = pty.openpty()
        self.addCleanup(os.close, terminal)
        self.addCleanup(os.close, end)
        self.assert_ends(self.lab("list", stdin=end, STUB_UID="1000", SUDO_ASKS="1"), 0)

    def test_sudo_with_a_password_and_no_terminal_prints_the_command(self):
        done = self.lab("list", STUB_UID="1000", SUDO_ASKS="1")
        self.assert_ends(done, 69, "apt-get install -y --no-install-recommends " + " ".join(self.listed("build", "run")))
        self.assertEqual(self.calls("apt-get"), [])

    def test_no_sudo_prints_the_command(self):
        self.without("sudo")
        done = self.lab("list", STUB_UID="1000")
        self.assert_ends(done, 69, "apt-get update && apt-get install -y --no-install-recommends " +
                         " ".join(self.listed("build", "run")))

    def test_no_apt_names_the_libraries(self):
        self.without("apt-get")
        self.assert_ends(self.lab("list"), 69, "no apt-get", "hiredis", "pkg-config", "libhiredis-dev")

    def test_apt_that_fails(self):
        self.assert_ends(self.lab("list", APT_FAILS="1"), 69, ".lab/packages.log")

    def test_unknown_release_without_tools_names_the_libraries(self):
        with open(self.release, "w") as file:
            file.write("ID=plan9\nVERSION_ID=4\n")
        self.without("ninja")
        self.assert_ends(self.lab("list"), 69, "plan9-4", "debian-12 debian-13", "hiredis", "pkg-config")
        self.assertEqual(self.calls("apt-get"), [])

    def test_unknown_release_with_tools_goes_on_and_names_the_libraries_when_it_cannot(self):
        os.remove(self.release)
        self.assert_ends(self.lab("list"), 0)
        shutil.rmtree(os.path.join(self.root, "build"))
        self.assert_ends(self.lab("list", CMAKE_FAILS="1"), 69, "Could not find hiredis", "pkg-config", "nghttp2")


class Building(Script):
    def setUp(self):
        super().setUp()
        with open(self.installed, "w") as file:
            file.write("\n".join(self.listed("build", "run", "test")) + "\n")

    def test_a_run_builds_its_services_wherever_its_options_stand(self):
        for words in (("rate-limit-outage",), ("--seed", "5", "rate-limit-outage"), ("--quick", "rate-limit-outage")):
            open(self.journal, "w").close()
            self.assert_ends(self.lab("run", *words), 0)
            self.assertEqual(self.calls("runner"), ["runner targets " + " ".join(words), "runner run " + " ".join(words)])
            self.assertIn("ninja -C " + os.path.join(self.root, "build/release") + " ratelimit", self.calls("ninja"))

    def test_up_builds_its_services_too(self):
        self.assert_ends(self.lab("up", "rate-limit-outage", "--for", "1h"), 0)
        self.assertEqual(self.calls("runner")[0], "runner targets rate-limit-outage --for 1h")
        self.assertIn("ninja -C " + os.path.join(self.root, "build/release") + " ratelimit", self.calls("ninja"))

    def test_what_talks_to_a_system_that_is_up_builds_nothing_under_it(self):
        self.assert_ends(self.lab("__complete", "r"), 0)
        self.assertEqual(self.calls("ninja") + self.calls("runner"), [], "completion does not begin a build")
        self.assert_ends(self.lab("list"), 0)
        for words in (("status",), ("break", "redis.pause"), ("heal",), ("load", "2x"), ("logs", "-f"), ("down",),
                      ("completion", "bash"), ("__complete", "r")):
            open(self.journal, "w").close()
            self.assert_ends(self.lab(*words), 0)
            self.assertEqual(self.calls("ninja") + self.calls("cmake"), [])
            self.assertEqual(self.calls("runner"), ["runner " + " ".join(words)])

    def test_a_usage_error_is_left_to_the_run(self):
        self.assert_ends(self.lab("run", "rate-limt", TARGETS_FAIL="64"), 0)
        self.assertEqual(self.calls("runner")[-1], "runner run rate-limt")

    def test_any_other_failure_of_the_question_is_one(self):
        for status in ("1", "2", "70", "139"):
            done = self.lab("run", "rate-limit-outage", TARGETS_FAIL=status)
            self.assert_ends(done, 70, "targets: no")
            self.assertNotIn("runner run rate-limit-outage", self.calls("runner"))

    def test_a_build_that_fails(self):
        self.assert_ends(self.lab("list", NINJA_FAILS="1"), 70, "the build failed")

    def test_a_disk_that_is_full_while_configuring(self):
        self.assert_ends(self.lab("list", CMAKE_FAILS="No space left on device"), 70, "the disk is full")

    def test_places_that_cannot_be_written(self):
        for place in (".lab", "build", "build/release/.lock", "build/release/configure.log", "build/release/build.log"):
            with self.subTest(place=place):
                for folder in (".lab", "build"):
                    shutil.rmtree(os.path.join(self.root, folder), ignore_errors=True)
                path = os.path.join(self.root, place)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if os.path.basename(path).count(".") and place != ".lab":
                    os.makedirs(path)  # a folder where a file should be: fails for root too
                else:
                    open(path, "w").close()
                self.assert_ends(self.lab("list"), 70, "cannot write", path)
                if os.path.isfile(path):
                    os.remove(path)

    def test_another_users_folder_cannot_be_written(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become another user")
        os.chmod(self.folder, 0o755)
        for path in (self.journal, self.journal + ".env"):
            os.chmod(path, 0o666)
        for folder in (".lab", "build"):
            os.makedirs(os.path.join(self.root, folder))
        done = subprocess.run([os.path.join(self.root, "lab"), "list"], cwd=self.root, env=self.env, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=60, user=65534, group=65534, extra_groups=[])
        self.assert_ends(done, 70, "cannot write", "Permission denied")


class Interrupted(Script):
    def interrupt(self, number, **env):
        running = subprocess.Popen([os.path.join(self.root, "lab"), "list"], cwd=self.root, env={**self.env, **env}, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True)
        waiting = self.journal + ".waiting"
        wait_until("the script has started it", lambda: os.path.exists(waiting), 20)
        os.killpg(running.pid, number)  # as a terminal does
        _, errors = running.communicate(timeout=30)
        self.assertEqual(running.returncode, 70, errors)
        self.assertIn("interrupted", errors)
        os.remove(waiting)

    def test_while_installing_and_while_building(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.interrupt(number, APT_WAITS="1")
        with open(self.installed, "w") as file:
            file.write("\n".join(self.listed("build", "run")) + "\n")
        for number in (signal.SIGINT, signal.SIGTERM):
            self.interrupt(number, NINJA_WAITS="1")
        self.assertEqual(self.calls("runner"), [])


class Stages(Script):
    """tests/run behind `./lab test`: what a stage builds first, and what the stamp of a passed one stands for."""

    def setUp(self):
        super().setUp()
        for tool in ("git", "xargs", "sha1sum", "cut", "find", "sort", "basename", "date"):
            os.symlink(shutil.which(tool), os.path.join(self.bin, tool))
        os.makedirs(os.path.join(self.root, "tests"))
        os.makedirs(os.path.join(self.root, "labs"))
        shutil.copy2(os.path.join(ROOT, "tests", "run"), os.path.join(self.root, "tests"))
        for path in (os.path.join(self.bin, "ctest"), os.path.join(self.root, "lab"), os.path.join(self.root, "tests", "debian13")):
            executable(path, f'#!/usr/bin/env bash\necho "{os.path.basename(path)} $*" >>"$JOURNAL"\n[[ $* != *"${{FAILS-none}}"* ]]\n')
        executable(os.path.join(self.bin, "cmake"), '#!/usr/bin/env bash\nmkdir -p build/$2; : >build/$2/build.ninja\n')
        executable(os.path.join(self.bin, "ninja"), '#!/usr/bin/env bash\necho "ninja $*" >>"$JOURNAL"\n[[ -z ${NINJA_FAILS-} ]]\n')
        runner = os.path.join(self.root, "build", "release", "bench", "cli", "lab")
        os.makedirs(os.path.dirname(runner))
        executable(runner, '#!/usr/bin/env bash\n[[ $* != *untold* ]]\n')  # the unsafe one is caught
        self.without("apt-get")
        with open(os.path.join(self.root, ".gitignore"), "w") as file:
            file.write(".lab/\nbuild/\n")
        for words in (("init", "-q"), ("add", "-A"), ("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "all")):
            subprocess.run(["git", *words], cwd=self.root, env=self.env, check=True)

    def run_stages(self, *words, **env):
        return subprocess.run([os.path.join(self.root, "tests", "run"), *words], env={**self.env, **env}, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def test_a_chosen_stage_is_built_first(self):
        for stage in ("unit", "integration", "labs", "kills"):
            open(self.journal, "w").close()
            done = self.run_stages("--stage", stage)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            with open(self.journal) as file:
                self.assertEqual([line.split()[0] for line in file], ["ninja", "ctest"], stage)
            done = self.run_stages("--stage", stage, NINJA_FAILS="1")
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"FAILED  {stage}", done.stdout)

    def test_several_stages_are_built_once(self):
        self.assertEqual(self.run_stages("--stage", "unit", "--stage", "integration").returncode, 0)
        self.assertEqual((len(self.calls("ninja")), len(self.calls("ctest"))), (1, 2))

    def test_stamps_stand_for_this_very_tree(self):
        def passed_before():
            done = self.run_stages("--all")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return done.stdout.count("passed before")

        stages = len(self.run_stages("--list").stdout.split())
        self.assertEqual(passed_before(), 0)
        self.assertEqual(passed_before(), stages - 1)  # the build is not skipped
        for path, text in (("new.cc", "1"), ("new.cc", "2"), (".gitignore", ".lab/\nbuild/\n#\n")):
            with open(os.path.join(self.root, path), "w") as file:
                file.write(text)
            self.assertEqual(passed_before(), 0, f"{path}: {text}")
            self.assertEqual(passed_before(), stages - 1)

    def test_a_failed_stage_is_not_stamped(self):
        self.assertEqual(self.run_stages("--all", FAILS="integration").returncode, 1)
        done = self.run_stages("--all")
        self.assertEqual(done.returncode, 0)
        self.assertIn("== integration ==", done.stdout)
        self.assertNotIn("== unit ==", done.stdout)

    def test_undecided_tests_are_told_and_their_stage_is_run_again(self):
        executable(os.path.join(self.bin, "ctest"),
                   '#!/usr/bin/env bash\n[[ $* != *"-L e2e"* ]] || echo "UNDECIDED e2e_x Verdicts.test: stolen" >>"$LAB_VERDICTS"\n')
        done = self.run_stages("--all")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"passed  labs  \d+ s  \(1 undecided\)")
        self.assertIn("\nUNDECIDED Verdicts.test: stolen\n", done.stdout)
        self.assertIn("1 tests undecided", done.stdout)
        done = self.run_stages("--all")
        self.assertIn("== labs ==", done.stdout)
        self.assertNotIn("== unit ==", done.stdout)
        self.assertIn("1 tests undecided", done.stdout, "of this call, not of both")

    def test_bad_usage(self):
        for words in (("--stage",), ("--stage", "nope"), ("--al",)):
            self.assertEqual(self.run_stages(*words).returncode, 64, words)


if __name__ == "__main__":
    unittest.main(verbosity=2)
