#include "bench/host/cgroup.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Mounts and groups of another host, as files.
class CgroupTreeTest : public testing::Test {
 protected:
  CgroupTreeTest() {
    std::string path = (fs::temp_directory_path() / "lab-cgroup-test-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    root_ = path;
    view_ = {root_ + "/mounts", root_ + "/proc"};
  }
  ~CgroupTreeTest() override { fs::remove_all(root_); }

  void Write(const std::string& name, const std::string& text) const {
    const fs::path path = root_ + "/" + name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  void Mount(const std::string& type, const std::string& folder, const std::string& options) const {
    fs::create_directories(root_ + "/" + folder);
    std::ofstream(root_ + "/mounts", std::ios::app)
        << "x " << root_ << "/" << folder << " " << type << " " << options << " 0 0\n";
  }
  void WeAreIn(const std::string& lines) const { Write("proc/self/cgroup", lines); }
  std::string Folder(const std::string& name) const { return root_ + "/" + name; }

  // A desktop of version 2 on which root hands cpu and memory down.
  void Unified(const std::string& handed_down) const {
    Mount("cgroup2", "cg", "rw");
    WeAreIn("0::/user.slice/session.scope\n");
    Write("cg/cgroup.controllers", "cpuset cpu io memory pids\n");
    Write("cg/cgroup.subtree_control", handed_down);
    Write("cg/cgroup.procs", "");
    Write("cg/user.slice/cgroup.subtree_control", "memory pids\n");
    Write("cg/user.slice/cgroup.procs", "");
    Write("cg/user.slice/session.scope/cgroup.subtree_control", "cpu\n");
    Write("cg/user.slice/session.scope/cgroup.procs", "17\n");
  }

  std::string root_;
  CgroupView view_;
};

TEST_F(CgroupTreeTest, VersionOneMakesGroupsBelowOurs) {
  Mount("cgroup", "cpu", "rw,cpu,cpuacct");
  Mount("cgroup", "memory", "rw,memory");
  WeAreIn("3:memory:/a/b\n2:cpu,cpuacct:/\n1:name=systemd:/x\n0::/y\n");
  Write("memory/a/b/cgroup.procs", "");
  Write("cpu/cgroup.procs", "");
  const auto memory = PlaceForCgroup("memory", "lab-1", view_);
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->folder, Folder("memory/a/b/lab-1"));
  EXPECT_EQ(memory->version, 1);
  EXPECT_EQ(PlaceForCgroup("cpu", "lab-1", view_).value().folder, Folder("cpu/lab-1"));
}

TEST_F(CgroupTreeTest, InAContainerTheMountIsTheGroup) {
  Mount("cgroup", "memory", "rw,memory");
  WeAreIn("3:memory:/docker/0123\n");
  Write("memory/cgroup.procs", "");
  EXPECT_EQ(CgroupOf(getpid(), "memory", view_).value().folder, Folder("memory"));
}

TEST_F(CgroupTreeTest, VersionTwoTakesTheNearestGroupAboveThatHandsTheControllerDown) {
  Unified("cpu memory\n");
  EXPECT_EQ(PlaceForCgroup("memory", "lab-1", view_).value().folder, Folder("cg/user.slice/lab-1"));
  // Ours holds processes: a group below it could have no limit, whatever it says.
  EXPECT_EQ(PlaceForCgroup("cpu", "lab-1", view_).value().folder, Folder("cg/lab-1"));
}

TEST_F(CgroupTreeTest, WhatNobodyHandsDownIsToldWithTheRemedy) {
  Unified("memory\n");
  EXPECT_THAT(PlaceForCgroup("cpu", "lab-1", view_).status().ToString(),
              HasSubstr("as root: echo +cpu > " + Folder("cg/cgroup.subtree_control")));
}

TEST_F(CgroupTreeTest, AHybridHostHasEachControllerInOneVersion) {
  Mount("cgroup", "cpu", "rw,cpu");
  Mount("cgroup2", "cg", "rw");
  Write("cg/cgroup.controllers", "memory\n");
  WeAreIn("1:cpu:/\n0::/\n");
  EXPECT_EQ(CgroupOf(getpid(), "cpu", view_).value().version, 1);
  EXPECT_EQ(CgroupOf(getpid(), "memory", view_).value().version, 2);
  EXPECT_EQ(DescribeCgroups(view_), "version 1 for cpu, version 2 for memory");
  Write("cg/cgroup.controllers", "hugetlb\n");
  EXPECT_TRUE(absl::IsNotFound(CgroupOf(getpid(), "memory", view_).status()));
  EXPECT_THAT(PlaceForCgroup("memory", "lab-1", view_).status().ToString(), HasSubstr("memory"));
  EXPECT_EQ(DescribeCgroups(view_), "none for memory, version 1 for cpu");
}

TEST_F(CgroupTreeTest, TheTightestLimitAboveUsIsInForce) {
  Unified("cpu memory\n");
  EXPECT_FALSE(LimitsOfOurs(view_).cpu_cores);
  Write("cg/user.slice/cpu.max", "150000 100000\n");
  Write("cg/user.slice/session.scope/cpu.max", "max 100000\n");
  Write("cg/user.slice/memory.max", "1073741824\n");
  Write("cg/user.slice/session.scope/memory.max", "536870912\n");
  EXPECT_DOUBLE_EQ(LimitsOfOurs(view_).cpu_cores.value_or(0), 1.5);
  EXPECT_DOUBLE_EQ(LimitsOfOurs(view_).memory_bytes.value_or(0), 512 << 20);
}

TEST_F(CgroupTreeTest, LimitsOfVersionOne) {
  Mount("cgroup", "cpu", "rw,cpu");
  Mount("cgroup", "memory", "rw,memory");
  WeAreIn("1:cpu:/\n2:memory:/\n");
  Write("cpu/cpu.cfs_quota_us", "-1\n");
  Write("cpu/cpu.cfs_period_us", "100000\n");
  Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(LimitsOfOurs(view_).cpu_cores || LimitsOfOurs(view_).memory_bytes);
  Write("cpu/cpu.cfs_quota_us", "30000\n");
  EXPECT_DOUBLE_EQ(LimitsOfOurs(view_).cpu_cores.value_or(0), 0.3);
}

TEST_F(CgroupTreeTest, ThrottlingAnywhereAboveUsCounts) {
  Unified("cpu memory\n");
  EXPECT_FALSE(OurThrottledSeconds(view_));
  Write("cg/user.slice/session.scope/cpu.stat", "usage_usec 5\nnr_throttled 0\nthrottled_usec 0\n");
  Write("cg/user.slice/cpu.stat", "usage_usec 5\nnr_throttled 3\nthrottled_usec 2500000\n");
  EXPECT_DOUBLE_EQ(OurThrottledSeconds(view_).value_or(0), 2.5);
}

// A child that does nothing but wait, on this host's own groups.
TEST(CgroupTest, AProcessIsMovedIntoALimitedGroupAndBack) {
  for (const char* controller : {"cpu", "memory"}) {
    if (const std::string why = WhyNoCgroup(controller); !why.empty()) GTEST_SKIP() << why;
    const pid_t pid = fork();
    if (pid == 0) {
      pause();
      _exit(0);
    }
    const Cgroup before = CgroupOf(pid, controller).value();
    const Cgroup group = PlaceForCgroup(controller, "lab-test-" + std::to_string(pid)).value();
    EXPECT_TRUE(MakeCgroup(group).ok());
    const absl::Status limited = std::string(controller) == "cpu" ? LimitCpu(group, 0.3) : LimitMemory(group, 64 << 20);
    EXPECT_TRUE(limited.ok()) << limited;
    EXPECT_TRUE(MoveToCgroup(group, pid).ok());
    EXPECT_EQ(CgroupOf(pid, controller).value().folder, group.folder);
    EXPECT_TRUE(RemoveCgroup(group, before).ok());
    EXPECT_TRUE(RemoveCgroup(group, before).ok()) << "removing twice";
    EXPECT_EQ(CgroupOf(pid, controller).value().folder, before.folder);
    EXPECT_FALSE(fs::exists(group.folder));
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
}

TEST(CgroupTest, AFamilyMovesTogether) {
  if (const std::string why = WhyNoCgroup("cpu"); !why.empty()) GTEST_SKIP() << why;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    setpgid(0, 0);
    pid_t child = fork();
    if (child == 0) {
      pause();
      _exit(0);
    }
    if (write(ends[1], &child, sizeof(child)) < 0) _exit(1);
    pause();
    _exit(0);
  }
  pid_t child = 0;
  ASSERT_EQ(read(ends[0], &child, sizeof(child)), static_cast<ssize_t>(sizeof(child)));
  const Cgroup before = CgroupOf(parent, "cpu").value();
  const Cgroup group = PlaceForCgroup("cpu", "lab-test-" + std::to_string(parent)).value();
  EXPECT_TRUE(MakeCgroup(group).ok());
  EXPECT_TRUE(MoveToCgroup(group, parent).ok());
  EXPECT_EQ(CgroupOf(child, "cpu").value().folder, group.folder);
  EXPECT_TRUE(RemoveCgroup(group, before).ok());
  EXPECT_EQ(CgroupOf(child, "cpu").value().folder, before.folder);
  kill(-parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace lab::bench
