#include "bench/live/keeper_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "bench/live/detach.h"
#include "bench/observe/process_figures.h"
#include "bench/run/journal.h"

namespace lab::bench::live {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class KeeperRecordTest : public testing::Test {
 protected:
  KeeperRecordTest() {
    state_ = testing::TempDir() + "lab-keeper-" + std::to_string(getpid());
    fs::create_directories(state_);
    setenv("LAB_STATE", state_.c_str(), 1);
    folder_ = UpFolderOf("/nowhere", "tiny");
    fs::create_directories(folder_);
  }
  ~KeeperRecordTest() override {
    unsetenv("LAB_STATE");
    fs::remove_all(state_);
  }
  static KeeperRecord OfThisProcess() {
    return {"tiny", "deny", getpid(), ReadProcess(getpid())->start_ticks, BootId(), 4711, "secret", 100.5, 200.5};
  }

  std::string state_, folder_;
};

TEST_F(KeeperRecordTest, IsReadBackAndForTheOwnerOnly) {
  const KeeperRecord record = OfThisProcess();
  ASSERT_TRUE(WriteRecord(folder_, record).ok());
  EXPECT_EQ(*ReadRecord(folder_), record);
  struct stat info {};
  ASSERT_EQ(stat((folder_ + "/control.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_TRUE(Runs(record));
  const std::vector<UpFolder> folders = UpFolders("/nowhere");
  ASSERT_EQ(folders.size(), 1u);
  EXPECT_EQ(folders[0].lab, "tiny");
  ASSERT_TRUE(folders[0].record);
  EXPECT_TRUE(CleanKeepers("/nowhere").empty()) << "it runs";
}

TEST_F(KeeperRecordTest, OfAKilledKeeperOnlyItsEndStays) {
  KeeperRecord record = OfThisProcess();
  ++record.start_ticks;  // another process that had our number
  ASSERT_TRUE(WriteRecord(folder_, record).ok());
  EXPECT_FALSE(Runs(record));
  EXPECT_FALSE(UpFolders("/nowhere")[0].record);
  const std::vector<std::string> done = CleanKeepers("/nowhere");
  ASSERT_EQ(done.size(), 1u);
  EXPECT_THAT(done[0], HasSubstr("tiny"));
  EXPECT_FALSE(fs::exists(folder_ + "/control.json"));
  EXPECT_THAT(UpFolders("/nowhere")[0].ended, HasSubstr("killed"));
  EXPECT_TRUE(CleanKeepers("/nowhere").empty());
}

TEST_F(KeeperRecordTest, OfAnotherBootNothingRuns) {
  KeeperRecord record = OfThisProcess();
  record.boot = "another";
  ASSERT_TRUE(WriteRecord(folder_, record).ok());
  EXPECT_FALSE(Runs(record));
  CleanKeepers("/nowhere");
  EXPECT_THAT(UpFolders("/nowhere")[0].ended, HasSubstr("started again"));
}

TEST_F(KeeperRecordTest, DamagedRecordsAreCleanedToo) {
  for (const char* text : {"", "{", "[]", "{\"lab\":\"tiny\"}", "{\"lab\":1}"}) {
    std::ofstream(folder_ + "/control.json") << text;
    EXPECT_FALSE(ReadRecord(folder_).ok()) << text;
    EXPECT_EQ(CleanKeepers("/nowhere").size(), 1u) << text;
    EXPECT_FALSE(fs::exists(folder_ + "/control.json")) << text;
  }
}

TEST_F(KeeperRecordTest, ALabIsUpOnce) {
  {
    const absl::StatusOr<KeeperLock> lock = KeeperLock::Take(folder_);
    ASSERT_TRUE(lock.ok()) << lock.status();
    EXPECT_TRUE(absl::IsAlreadyExists(KeeperLock::Take(folder_).status()));
    EXPECT_EQ(UpFolders("/nowhere")[0].starting, getpid());
  }
  EXPECT_TRUE(KeeperLock::Take(folder_).ok());
}

TEST_F(KeeperRecordTest, ADetachedProcessHasASessionOfItsOwnAndReports) {
  const absl::StatusOr<Detached> started =
      StartDetached("/bin/sh", {"sh", "-c", "echo to the log; cut -d' ' -f6 /proc/$$/stat >&3; echo $PPID >&3; exit 3"},
                    state_ + "/log");
  ASSERT_TRUE(started.ok()) << started.status();
  std::string text;
  char buffer[256];
  for (ssize_t size; (size = read(started->reports, buffer, sizeof(buffer))) > 0;) text.append(buffer, size);
  close(started->reports);
  int status = 0;
  ASSERT_EQ(waitpid(started->pid, &status, 0), started->pid);
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_THAT(text, HasSubstr(std::to_string(started->pid) + "\n")) << "its session has its own number";
  EXPECT_THAT(text, HasSubstr(std::to_string(getpid()) + "\n"));
  std::ifstream log(state_ + "/log");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(log), {}), "to the log\n");
  EXPECT_TRUE(absl::IsNotFound(StartDetached("/nowhere/at/all", {"x"}, state_ + "/log").status()));
  EXPECT_FALSE(StartDetached("/bin/true", {"true"}, "/nowhere/log").ok());
}

}  // namespace
}  // namespace lab::bench::live
