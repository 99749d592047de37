#include "bench/micro/workspace.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>

#include "bench/observe/process_figures.h"
#include "bench/run/testing.h"
#include "gtest/gtest.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

class WorkspaceTest : public testing::Test {
 protected:
  void SetUp() override { setenv("LAB_STATE", folder_.path().c_str(), 1); }
  void TearDown() override { unsetenv("LAB_STATE"); }

  // A benchmark in a process of its own, which the signals are sent to. It starts a server with a child of its own,
  // which would outlive both, and then works for ever.
  pid_t StartBenchmark() {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    const auto workspace = Workspace::Open(folder_.path());
    if (!workspace.ok()) _exit(1);
    const Command command = Shell("sleep 100 & echo $! > pid; wait", folder_, {(*workspace)->marker()});
    if (!(*workspace)->spawner().Spawn("server", command).ok()) _exit(2);
    for (;;) pause();
  }
  pid_t GrandchildOf(pid_t benchmark) {
    EXPECT_TRUE(Eventually([&] { return folder_.Read("pid").find('\n') != std::string::npos; })) << benchmark;
    return static_cast<pid_t>(std::stol(folder_.Read("pid")));
  }
  // Folders of benchmarks and runs.
  size_t States() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_.path() + "/state"), {}));
  }
  static bool Ended(pid_t pid) {
    return Eventually([pid] {
      const auto figures = ReadProcess(pid);
      return !figures || figures->state == 'Z';
    });
  }

  const TemporaryFolder folder_;
};

TEST_F(WorkspaceTest, ASignalEndsTheChildrenAndLeavesNothing) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const pid_t benchmark = StartBenchmark();
    const pid_t grandchild = GrandchildOf(benchmark);
    EXPECT_EQ(States(), 1u);
    kill(benchmark, signal);
    int status = 0;
    ASSERT_EQ(waitpid(benchmark, &status, 0), benchmark);
    ASSERT_TRUE(WIFEXITED(status)) << signal;
    EXPECT_EQ(WEXITSTATUS(status), 70);
    EXPECT_EQ(States(), 0u);
    EXPECT_TRUE(Ended(grandchild));
    fs::remove(folder_.path() + "/pid");
  }
}

TEST_F(WorkspaceTest, TheNextStartCleansUpAfterAKill) {
  const pid_t benchmark = StartBenchmark();
  const pid_t grandchild = GrandchildOf(benchmark);
  kill(benchmark, SIGKILL);
  waitpid(benchmark, nullptr, 0);
  EXPECT_EQ(States(), 1u);
  const pid_t next = fork();
  if (next == 0) {
    const auto workspace = Workspace::Open(folder_.path());
    _exit(workspace.ok() && States() == 1 && fs::exists((*workspace)->folder()) ? 0 : 1);
  }
  int status = 0;
  waitpid(next, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(Ended(grandchild));
}

TEST_F(WorkspaceTest, AnOrderlyEndRemovesTheFolder) {
  const pid_t benchmark = fork();
  if (benchmark == 0) {
    auto workspace = Workspace::Open(folder_.path());
    if (!workspace.ok() || std::getenv("TMPDIR") != (*workspace)->folder()) _exit(1);
    workspace->reset();
    _exit(States() == 0 ? 0 : 2);
  }
  int status = 0;
  waitpid(benchmark, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace lab::bench
