#include "bench/host/family.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::IsEmpty;
using testing::Not;

// A sleeping grandchild in a session of its own, in a folder; its parent may end before it.
class Sleepers : public testing::Test {
 protected:
  Sleepers() {
    std::string folder = (fs::temp_directory_path() / "lab-family-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = folder;
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("no pipe");
    parent_ = fork();
    if (parent_ == 0) {
      const pid_t child = fork();
      if (child == 0) {
        setsid();
        if (chdir(folder_.c_str()) != 0) _exit(1);
        execl("/bin/sleep", "sleep", "100", nullptr);
        _exit(127);
      }
      if (write(ends[1], &child, sizeof(child)) < 0) _exit(1);
      for (;;) pause();
    }
    if (read(ends[0], &child_, sizeof(child_)) != sizeof(child_)) throw std::runtime_error("no child");
    close(ends[0]);
    close(ends[1]);
    for (int i = 0; i < 2000 && fs::read_symlink("/proc/" + std::to_string(child_) + "/exe") != Sleep(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  ~Sleepers() override {
    kill(child_, SIGKILL);
    EndParent();
    fs::remove_all(folder_);
  }
  void EndParent() {
    if (parent_ <= 0) return;
    kill(parent_, SIGKILL);
    waitpid(parent_, nullptr, 0);
    parent_ = -1;
  }
  static std::string Sleep() { return fs::canonical("/bin/sleep").string(); }

  std::string folder_;
  pid_t parent_ = -1, child_ = -1;
};

TEST_F(Sleepers, AFamilyHoldsWhoMadeASessionOfItsOwn) {
  EXPECT_EQ(FamilyOf(parent_), (std::vector<pid_t>{parent_, child_}));
  EXPECT_THAT(FamilyOf(getpid()), Contains(child_));
  EXPECT_THAT(FamilyOf(child_), Not(Contains(parent_)));
}

TEST_F(Sleepers, WhoLostItsParentIsFoundByItsFolderAndProgram) {
  EndParent();
  EXPECT_THAT(FamilyOf(getpid()), Not(Contains(child_)));
  EXPECT_EQ(ProcessesIn(folder_, "/bin/sleep"), std::vector<pid_t>{child_});
  EXPECT_THAT(ProcessesIn(folder_, "/bin/sh"), IsEmpty());
  EXPECT_THAT(ProcessesIn(folder_ + "/below", "/bin/sleep"), IsEmpty());
  EXPECT_THAT(ProcessesIn(folder_ + "x", "/bin/sleep"), IsEmpty());
  EXPECT_THAT(ProcessesIn("/", "/bin/sleep"), IsEmpty()) << "nobody is ours because it runs on this host";
  EXPECT_EQ(EndProcessesIn(folder_, "/bin/sleep"), 1);
  EXPECT_EQ(EndProcessesIn(folder_, "/bin/sleep"), 0);
}

TEST_F(Sleepers, AFolderThatIsGoneStillTells) {
  fs::remove(folder_);
  EXPECT_EQ(ProcessesIn(folder_, "/bin/sleep"), std::vector<pid_t>{child_});
}

}  // namespace
}  // namespace lab::bench
