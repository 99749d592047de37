#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "bench/run/journal.h"
#include "bench/run/run_folder.h"
#include "bench/run/runner.h"
#include "bench/run/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

// A process that nobody ends but us or the clean-up, as one that a killed runner left behind.
class Sleeper {
 public:
  explicit Sleeper(const std::string& environment = "X=1") {
    pid_ = fork();
    if (pid_ == 0) {
      setpgid(0, 0);
      std::string variable = environment;
      char name[] = "sleep", time[] = "100";
      char* const arguments[] = {name, time, nullptr};
      char* const variables[] = {variable.data(), nullptr};
      execve("/bin/sleep", arguments, variables);
      _exit(127);
    }
    // Its environment is the new one only after exec.
    Eventually([this] {
      return fs::read_symlink("/proc/" + std::to_string(pid_) + "/exe").filename() == "sleep" ||
             fs::read_symlink("/proc/" + std::to_string(pid_) + "/exe").filename() == "coreutils";
    });
  }
  ~Sleeper() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  pid_t pid() const { return pid_; }
  uint64_t start_ticks() const { return ReadProcess(pid_)->start_ticks; }
  void Stop() const {
    kill(pid_, SIGSTOP);
    Eventually([this] { return ReadProcess(pid_)->state == 'T'; });
  }

 private:
  pid_t pid_ = -1;
};

class LeftoversTest : public testing::Test {
 protected:
  void SetUp() override { setenv("LAB_STATE", folder_.path().c_str(), 1); }
  void TearDown() override { unsetenv("LAB_STATE"); }
  void WriteState(const std::string& name, const std::string& lines) {
    folder_.Write("state/" + name + "/journal", "boot " + BootId() + "\n" + lines);
    folder_.Write("state/" + name + "/data/redis/dump.rdb", "data");
  }
  bool StateExists(const std::string& name) const { return fs::exists(folder_.path() + "/state/" + name); }
  static std::string Line(const Sleeper& sleeper, uint64_t ticks_later = 0) {
    return "process " + std::to_string(sleeper.pid()) + " " + std::to_string(sleeper.start_ticks() + ticks_later) +
           " redis\n";
  }

  // No process has this number: it is beyond the kernel's largest.
  const std::string dead_ = "4194305-17";
  TemporaryFolder folder_;
};

TEST_F(LeftoversTest, EndsAStoppedChildHealsAndRemovesData) {
  const Sleeper sleeper;
  sleeper.Stop();
  WriteState(dead_, Line(sleeper) + "fault apply redis.pause#1 on redis\n");
  const std::vector<std::string> done = CleanLeftovers(folder_.path());
  EXPECT_FALSE(Alive(sleeper.pid()));
  EXPECT_FALSE(StateExists(dead_));
  EXPECT_THAT(done, testing::ElementsAre(testing::HasSubstr("ended redis"), testing::HasSubstr("redis.pause#1"),
                                         testing::HasSubstr("removed")));
  EXPECT_THAT(CleanLeftovers(folder_.path()), testing::IsEmpty());
}

TEST_F(LeftoversTest, AReusedNumberIsNotTouched) {
  const Sleeper sleeper;
  WriteState(dead_, Line(sleeper, 1));
  CleanLeftovers(folder_.path());
  EXPECT_TRUE(Alive(sleeper.pid()));
  EXPECT_FALSE(StateExists(dead_));
}

TEST_F(LeftoversTest, AfterARebootNothingIsTouched) {
  const Sleeper sleeper;
  folder_.Write("state/" + dead_ + "/journal", "boot another\n" + Line(sleeper));
  CleanLeftovers(folder_.path());
  EXPECT_TRUE(Alive(sleeper.pid()));
  EXPECT_FALSE(StateExists(dead_));
}

TEST_F(LeftoversTest, EndsGrandchildrenByTheirMarkerAndNobodyElses) {
  const Sleeper ours("LAB_RUN=" + dead_), other("LAB_RUN=" + dead_ + "8");
  WriteState(dead_, "");
  CleanLeftovers(folder_.path());
  EXPECT_FALSE(Alive(ours.pid()));
  EXPECT_TRUE(Alive(other.pid()));
}

TEST_F(LeftoversTest, ARunningRunnerAndStrangeFoldersAreLeftAlone) {
  const Sleeper runner, child;
  const std::string running = std::to_string(runner.pid()) + "-" + std::to_string(runner.start_ticks());
  WriteState(running, Line(child));
  WriteState("notes", Line(child));
  EXPECT_THAT(CleanLeftovers(folder_.path()), testing::IsEmpty());
  EXPECT_TRUE(Alive(child.pid()));
  EXPECT_TRUE(StateExists(running));
  EXPECT_TRUE(StateExists("notes"));
}

TEST_F(LeftoversTest, AJournalThatIsCutOffOrNonsenseHarmsNobody) {
  const Sleeper sleeper;
  WriteState(dead_, "process\nprocess 1 1 init\nprocess -1 0 all\nprocess 0 0 group\nfault\nprocess " +
                        std::to_string(sleeper.pid()));
  CleanLeftovers(folder_.path());
  EXPECT_TRUE(Alive(sleeper.pid()));
  EXPECT_FALSE(StateExists(dead_));
}

TEST_F(LeftoversTest, RemovesControlGroupsOfItsOwnNameOnly) {
  const std::string ours = folder_.path() + "/cgroup/lab-" + dead_ + "-redis-cpu",
                    other = folder_.path() + "/cgroup/lab-1-1-redis-cpu";
  fs::create_directories(ours);
  fs::create_directories(other);
  WriteState(dead_, "cgroup " + ours + "\ncgroup " + other + "\ncgroup " + folder_.path() + "/gone\ncgroup\n");
  EXPECT_THAT(CleanLeftovers(folder_.path()),
              testing::ElementsAre(testing::HasSubstr(ours), testing::HasSubstr("state/" + dead_)));
  EXPECT_FALSE(fs::exists(ours));
  EXPECT_TRUE(fs::exists(other));
}

TEST_F(LeftoversTest, AJournalIsGoneWithItsRunner) {
  {
    const auto journal = Journal::Open(folder_.path());
    ASSERT_TRUE(journal.ok()) << journal.status();
    EXPECT_THAT(CleanLeftovers(folder_.path()), testing::IsEmpty());
    EXPECT_TRUE(fs::exists((*journal)->folder()));
  }
  EXPECT_TRUE(fs::is_empty(folder_.path() + "/state"));
}

TEST_F(LeftoversTest, AnUnwritableStateIsAClearError) {
  folder_.Write("file", "");
  const auto journal = Journal::Open(folder_.path() + "/file");
  EXPECT_THAT(journal.status().ToString(), testing::HasSubstr(folder_.path() + "/file"));
  setenv("LAB_STATE", (folder_.path() + "/file").c_str(), 1);
  EXPECT_THAT(MakeRunFolder(folder_.path(), "x").status().ToString(), testing::HasSubstr(folder_.path() + "/file"));
  EXPECT_THAT(CleanLeftovers(folder_.path()), testing::IsEmpty());
}

TEST_F(LeftoversTest, RunFoldersAreUniqueAndTheOldestGo) {
  for (const char* stamp : {"20200101-000000", "20200101-000001"}) {
    folder_.Write(Concat("runs/x/", stamp, "/trials/a-1/ops.csv"), "");
    folder_.Write(Concat("runs/x/", stamp, "/result.json"), "{}");
  }
  folder_.Write("runs/x/mine/file", "");
  const std::string first = MakeRunFolder(folder_.path(), "x").value();
  const std::string second = MakeRunFolder(folder_.path(), "x").value();
  EXPECT_NE(first, second);
  folder_.Write("runs/x/" + fs::path(first).filename().string() + "/result.json", "{}");
  FinishRunFolder(second, 3, 2);
  EXPECT_FALSE(fs::exists(folder_.path() + "/runs/x/20200101-000000"));
  EXPECT_TRUE(fs::exists(folder_.path() + "/runs/x/20200101-000001"));
  EXPECT_FALSE(fs::exists(folder_.path() + "/runs/x/20200101-000001/trials/a-1/ops.csv"));
  EXPECT_TRUE(fs::exists(folder_.path() + "/runs/x/mine/file"));
  EXPECT_TRUE(fs::equivalent(folder_.path() + "/runs/x/latest", second));
}

TEST_F(LeftoversTest, ARunThatCouldNotStartPushesNoResultOut) {
  folder_.Write("runs/x/20200101-000000/result.json", "{}");
  for (int i = 0; i < 9; ++i) folder_.Write(Concat("runs/x/20200102-00000", i, "/trials/a-1/log"), "");
  FinishRunFolder(MakeRunFolder(folder_.path(), "x").value(), 3, 2);
  EXPECT_TRUE(fs::exists(folder_.path() + "/runs/x/20200101-000000/result.json"));
}

TEST_F(LeftoversTest, ARunSurvivesItsOwnEndWhenTheClockWasSetBack) {
  for (int i = 0; i < 9; ++i) folder_.Write(Concat("runs/x/20990101-00000", i, "/result.json"), "{}");
  const std::string run = MakeRunFolder(folder_.path(), "x").value();
  FinishRunFolder(run, 3, 2);
  EXPECT_TRUE(fs::is_directory(run));
}

}  // namespace
}  // namespace lab::bench
