#include "services/runtime/app/file_watch.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "gtest/gtest.h"

namespace lab::app {
namespace {

namespace fs = std::filesystem;

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() {
    std::string pattern = (fs::temp_directory_path() / "lab_watch_XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~FileWatchTest() override { fs::remove_all(folder_); }

  void Write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

  void Watch(const fs::path& path) {
    watch_ = std::make_unique<FileWatch>(
        loop_, path.string(), [this] { ++changes_; }, Millis(2));
  }

  // Turns the loop until there were `changes` calls, or for `longest`.
  int RunUntil(int changes, Nanos longest = std::chrono::seconds(20)) {
    const Clock::time_point end = Clock::now() + longest;
    while (changes_ < changes && Clock::now() < end) loop_.io().run_one_for(Millis(10));
    return changes_;
  }
  // Several polls without a call: that nothing happens can only be waited for.
  int RunAWhile() { return RunUntil(1 << 30, Millis(40)); }

  fs::path folder_;
  async::Loop loop_;
  std::unique_ptr<FileWatch> watch_;
  int changes_ = 0;
};

TEST_F(FileWatchTest, SeesAWriteInPlace) {
  Write(folder_ / "f", "one");
  Watch(folder_ / "f");
  EXPECT_EQ(RunAWhile(), 0);
  Write(folder_ / "f", "three");
  EXPECT_EQ(RunUntil(1), 1);
  EXPECT_EQ(RunAWhile(), 1);
}

TEST_F(FileWatchTest, SeesARenameOfTheSameSizeAndTime) {
  Write(folder_ / "f", "one");
  Watch(folder_ / "f");
  Write(folder_ / "g", "two");
  fs::last_write_time(folder_ / "g", fs::last_write_time(folder_ / "f"));
  fs::rename(folder_ / "g", folder_ / "f");
  EXPECT_EQ(RunUntil(1), 1);
}

TEST_F(FileWatchTest, SeesTheSwitchOfALinkAbove) {
  // As Kubernetes mounts a ConfigMap: rules.yaml → ..data/rules.yaml, ..data → ..1, then ..data is renamed over.
  fs::create_directories(folder_ / "..1");
  fs::create_directories(folder_ / "..2");
  Write(folder_ / "..1/rules.yaml", "one");
  Write(folder_ / "..2/rules.yaml", "two");
  fs::create_symlink("..1", folder_ / "..data");
  fs::create_symlink("..data/rules.yaml", folder_ / "rules.yaml");
  Watch(folder_ / "rules.yaml");
  EXPECT_EQ(RunAWhile(), 0);
  fs::create_symlink("..2", folder_ / "..data_tmp");
  fs::rename(folder_ / "..data_tmp", folder_ / "..data");
  EXPECT_EQ(RunUntil(1), 1);
}

TEST_F(FileWatchTest, AFileThatComesIsAChangeAndOneThatGoesIsNot) {
  Watch(folder_ / "f");
  EXPECT_EQ(RunAWhile(), 0);
  Write(folder_ / "f", "one");
  EXPECT_EQ(RunUntil(1), 1);
  fs::remove(folder_ / "f");
  EXPECT_EQ(RunAWhile(), 1);
  Write(folder_ / "f", "other");
  EXPECT_EQ(RunUntil(2), 2);
}

TEST_F(FileWatchTest, MayBeDestroyedByItsOwnCallback) {
  Write(folder_ / "f", "one");
  watch_ = std::make_unique<FileWatch>(
      loop_, (folder_ / "f").string(),
      [this] {
        ++changes_;
        watch_.reset();
      },
      Millis(2));
  Write(folder_ / "f", "three");
  EXPECT_EQ(RunUntil(1), 1);
  Write(folder_ / "f", "fourteen");
  EXPECT_EQ(RunAWhile(), 1);
}

}  // namespace
}  // namespace lab::app
