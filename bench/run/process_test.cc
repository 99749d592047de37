#include "bench/run/process.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

#include "bench/observe/process_figures.h"
#include "bench/run/ports.h"
#include "bench/run/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lab::bench {
namespace {

TEST(SpawnerTest, RunsInAGroupOfItsOwnWithItsOutputInTheLog) {
  const TemporaryFolder folder;
  std::vector<pid_t> born;
  Spawner spawner([&](pid_t pid, const std::string&) {
    born.push_back(pid);
    return absl::OkStatus();
  });
  const absl::StatusOr<pid_t> pid = spawner.Spawn(
      "shell", Shell("echo out; echo err >&2; pwd; echo $MARK; cat; exec sleep 100", folder, {"MARK=mine"}));
  ASSERT_TRUE(pid.ok()) << pid.status();
  Process process(*pid);
  EXPECT_THAT(born, testing::ElementsAre(*pid));
  EXPECT_EQ(ReadProcess(*pid)->group, *pid);
  EXPECT_TRUE(Eventually([&] { return folder.Read("log").find("mine") != std::string::npos; }));
  EXPECT_EQ(folder.Read("log"), "out\nerr\n" + folder.path() + "\nmine\n");
  EXPECT_TRUE(process.Stop(std::chrono::seconds(5)));
  EXPECT_EQ(process.pid(), -1);
  EXPECT_THAT(DescribeEnd(*process.Poll()), testing::HasSubstr("signal 15"));
}

TEST(SpawnerTest, TellsWhatCannotBeExecuted) {
  const TemporaryFolder folder;
  Spawner spawner(nullptr);
  Command command = Shell("", folder);
  command.binary = "/no/such/binary";
  const absl::StatusOr<pid_t> pid = spawner.Spawn("nothing", command);
  EXPECT_THAT(pid.status().ToString(),
              testing::AllOf(testing::HasSubstr("/no/such/binary"), testing::HasSubstr("No such file")));
}

TEST(SpawnerTest, PinsAllOfTheChildBeforeItExecutes) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  int last = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<size_t>(cpu), &allowed)) last = cpu;
  }
  const TemporaryFolder folder;
  Spawner spawner(nullptr);
  Command command = Shell("grep Cpus_allowed_list /proc/self/status", folder);
  command.cpu = last;
  const absl::StatusOr<pid_t> pid = spawner.Spawn("shell", command);
  ASSERT_TRUE(pid.ok()) << pid.status();
  EXPECT_TRUE(Process(*pid).WaitEnd(std::chrono::seconds(5)));
  EXPECT_EQ(folder.Read("log"), "Cpus_allowed_list:\t" + std::to_string(last) + "\n");
  command.cpu = CPU_SETSIZE - 1;  // no host of ours has so many
  EXPECT_FALSE(spawner.Spawn("shell", command).ok());
}

TEST(SpawnerTest, NothingIsExecutedThatCouldNotBeWrittenDown) {
  const TemporaryFolder folder;
  Spawner spawner([](pid_t, const std::string&) { return absl::UnavailableError("disk full"); });
  EXPECT_FALSE(spawner.Spawn("shell", Shell("echo ran", folder)).ok());
  EXPECT_EQ(folder.Read("log"), "");
}

TEST(ProcessTest, EndsTheWholeGroupAndWhatIsStopped) {
  const TemporaryFolder folder;
  Spawner spawner(nullptr);
  const absl::StatusOr<pid_t> pid =
      spawner.Spawn("shell", Shell("trap '' TERM; sleep 100 & echo $!; wait; wait", folder));
  ASSERT_TRUE(pid.ok());
  pid_t grandchild = 0;
  ASSERT_TRUE(Eventually([&] { return (grandchild = std::atoi(folder.Read("log").c_str())) > 0; }));
  Process process(*pid);
  ASSERT_TRUE(process.Signal(SIGSTOP).ok());
  process.Stop(Millis(50));
  EXPECT_TRUE(process.Poll());
  EXPECT_TRUE(Eventually([&] { return !Alive(grandchild); }));
}

TEST(ProcessTest, StopsAndEndsWhoMadeASessionOfItsOwn) {
  const TemporaryFolder folder;
  Spawner spawner(nullptr);
  const absl::StatusOr<pid_t> pid = spawner.Spawn("shell", Shell("setsid sleep 100 & echo $!; wait", folder));
  ASSERT_TRUE(pid.ok());
  pid_t grandchild = 0;
  ASSERT_TRUE(Eventually([&] { return (grandchild = std::atoi(folder.Read("log").c_str())) > 0; }));
  ASSERT_TRUE(Eventually([&] { return ReadProcess(grandchild)->group == grandchild; }));
  Process process(*pid);
  const auto state = [](pid_t of) { return ReadProcess(of)->state; };
  ASSERT_TRUE(process.Signal(SIGSTOP).ok());
  EXPECT_TRUE(Eventually([&] { return state(grandchild) == 'T' && state(*pid) == 'T'; }));
  ASSERT_TRUE(process.Signal(SIGCONT).ok());
  EXPECT_TRUE(Eventually([&] { return state(grandchild) == 'S' && state(*pid) == 'S'; }));
  ASSERT_TRUE(process.Signal(SIGKILL).ok());
  EXPECT_TRUE(Eventually([&] { return !Alive(grandchild); }));
}

TEST(ProcessTest, AsksByTheSignalsInTheirOrder) {
  const TemporaryFolder folder;
  Spawner spawner(nullptr);
  const auto started = [&](const std::string& script) {
    std::filesystem::remove(folder.path() + "/log");
    const absl::StatusOr<pid_t> pid = spawner.Spawn("shell", Shell(script, folder));
    EXPECT_TRUE(Eventually([&] { return folder.Read("log") == "up\n"; }));
    return *pid;
  };
  Process first(started("trap 'exit 3' INT; echo up; while :; do sleep 0.01; done"));
  EXPECT_TRUE(first.Stop(std::chrono::seconds(5), {SIGINT, SIGQUIT}));
  EXPECT_EQ(WEXITSTATUS(*first.Poll()), 3);
  Process second(started("trap '' INT; trap 'exit 4' QUIT; echo up; while :; do sleep 0.01; done"));
  EXPECT_TRUE(second.Stop(Millis(50), {SIGINT, SIGQUIT}));
  EXPECT_EQ(WEXITSTATUS(*second.Poll()), 4);
}

bool MayMakeUserNamespaces() {
  const pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(ProcessTest, BecomesSomebodyElseInAFolderWhosePathIsClosed) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  const TemporaryFolder folder;  // of root alone
  const std::string own = folder.path() + "/closed/own";
  std::filesystem::create_directories(own);
  std::filesystem::permissions(folder.path() + "/closed", std::filesystem::perms::owner_all);
  for (const bool by_namespace : {false, true}) {
    if (by_namespace && !MayMakeUserNamespaces()) continue;  // in a chroot nobody may
    Command command = Shell("id -u; id -g; cd /proc/self/fd/3/ && touch by-$(id -u) && ls", folder);
    command.folder = "/";
    command.held = own;
    command.as = RunAs{65534, 65534, by_namespace};
    command.input = "/dev/null";
    std::filesystem::remove(own + "/by-65534");
    ASSERT_EQ(chown(own.c_str(), by_namespace ? 0 : 65534, by_namespace ? 0 : 65534), 0);
    const absl::StatusOr<std::string> output = CaptureOutput(command, std::chrono::seconds(5));
    ASSERT_TRUE(output.ok()) << output.status();
    EXPECT_THAT(*output, testing::StartsWith("65534\n65534\n"));
    EXPECT_THAT(*output, testing::HasSubstr("by-65534"));
  }
}

// A change of the user takes the kernel's death signal back, unless it is asked for again.
TEST(ProcessTest, DiesWithAKilledParentAsSomebodyElseToo) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  const TemporaryFolder folder;
  const pid_t runner = fork();
  if (runner == 0) {
    Spawner spawner(nullptr);
    Command command = Shell("echo $$; exec sleep 100", folder);
    command.as = RunAs{65534, 65534, false};
    (void)spawner.Spawn("shell", command);
    for (;;) pause();
  }
  pid_t child = 0;
  ASSERT_TRUE(Eventually([&] { return (child = std::atoi(folder.Read("log").c_str())) > 0; }));
  ASSERT_TRUE(Alive(child));
  kill(runner, SIGKILL);
  waitpid(runner, nullptr, 0);
  EXPECT_TRUE(Eventually([&] { return !Alive(child); }));
}

// A runner in a process of its own, killed as nobody can prepare for.
TEST(ProcessTest, DiesWithAKilledParent) {
  const TemporaryFolder folder;
  const pid_t runner = fork();
  if (runner == 0) {
    Spawner spawner(nullptr);
    (void)spawner.Spawn("shell", Shell("echo $$; exec sleep 100", folder));
    for (;;) pause();
  }
  pid_t child = 0;
  ASSERT_TRUE(Eventually([&] { return (child = std::atoi(folder.Read("log").c_str())) > 0; }));
  ASSERT_TRUE(Alive(child));
  kill(child, SIGSTOP);  // also when it is stopped
  kill(runner, SIGKILL);
  waitpid(runner, nullptr, 0);
  EXPECT_TRUE(Eventually([&] { return !Alive(child); }));
}

TEST(CaptureOutputTest, GivesOutputOrTheReason) {
  EXPECT_EQ(CaptureOutput("/bin/echo", {"echo", "hello"}, std::chrono::seconds(5)).value(), "hello\n");
  EXPECT_THAT(CaptureOutput("/bin/sh", {"sh", "-c", "echo no; exit 3"}, std::chrono::seconds(5)).status().ToString(),
              testing::AllOf(testing::HasSubstr("exit status 3"), testing::HasSubstr("no")));
  EXPECT_TRUE(absl::IsDeadlineExceeded(CaptureOutput("/bin/sleep", {"sleep", "100"}, Millis(50)).status()));
  EXPECT_TRUE(absl::IsNotFound(CaptureOutput("/no/such", {"such"}, Millis(500)).status()));
}

TEST(PortsTest, AreFreeDifferentAndBelowTheEphemeralRange) {
  const int first = FreePort().value();
  const int second = FreePort().value();
  EXPECT_NE(first, second);
  EXPECT_GE(first, 20'000);
  EXPECT_LT(first, 32'000);
  const Listener listener(first);
  EXPECT_FALSE(PortIsFree(first));
  EXPECT_TRUE(PortIsFree(second));
}

}  // namespace
}  // namespace lab::bench
