#include "bench/fault/fault.h"

#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <thread>

#include "bench/fault/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lab::bench {
namespace {

bool Within(Nanos time, const std::function<bool()>& happens) {
  const Clock::time_point end = Clock::now() + time;
  do {
    if (happens()) return true;
    std::this_thread::sleep_for(Millis(3));
  } while (Clock::now() < end);
  return false;
}

// Every fault that a Redis can have without anything from its lab: those of any process, and its own.
std::vector<const FaultKind*> FaultsOfAPlainRedis() {
  std::vector<const FaultKind*> plain;
  for (const FaultKind* kind : FaultsFor("redis")) {
    if (kind->needs.empty()) plain.push_back(kind);
  }
  return plain;
}

class RedisFaultTest : public testing::TestWithParam<const FaultKind*> {
 protected:
  RedisFaultTest() : fault_(GetParam()->make({target_, GetParam()->on_idle, Millis(300)})) {}
  void SetUp() override {
    const std::string why = GetParam()->why_not_here == nullptr ? "" : GetParam()->why_not_here();
    if (!why.empty()) GTEST_SKIP() << why;
    target_.server().Command({"SET", "kept", "1"});
  }

  RedisTarget target_;
  std::unique_ptr<Fault> fault_;
};

TEST_P(RedisFaultTest, IsSeenAndHealed) {
  ASSERT_TRUE(fault_->Prepare().ok());
  EXPECT_EQ(fault_->Seen(), std::nullopt) << "seen before it was there";
  const absl::Status applied = fault_->Apply();
  ASSERT_TRUE(applied.ok()) << applied;
  std::optional<std::string> evidence;
  EXPECT_TRUE(Within(Millis(2000), [&] { return (evidence = fault_->Seen()).has_value(); }));
  EXPECT_NE(evidence.value_or(""), "");
  EXPECT_TRUE(Within(Millis(3000), [&] { return fault_->Heal().ok(); }));
  EXPECT_TRUE(Within(Millis(3000), [&] { return fault_->Healed(); }));
  EXPECT_TRUE(fault_->Heal().ok()) << "healing twice";
  EXPECT_TRUE(fault_->Healed());
  EXPECT_EQ(target_.server().Command({"SET", "after", "1"}), "OK");
}

TEST_P(RedisFaultTest, IsNotSeenWhenApplyDoesNothing) {
  ASSERT_TRUE(fault_->Prepare().ok());
  EXPECT_FALSE(Within(Millis(250), [&] { return fault_->Seen().has_value(); }));
  EXPECT_TRUE(fault_->Heal().ok());
  EXPECT_TRUE(fault_->Healed());
  EXPECT_EQ(target_.server().Command({"GET", "kept"}), "1") << "a heal without a fault changed something";
}

INSTANTIATE_TEST_SUITE_P(All, RedisFaultTest, testing::ValuesIn(FaultsOfAPlainRedis()),
                         [](const auto& each) { return each.param->action; });

TEST(RedisDataTest, ReadOnlyKeepsDataAndFlushDoesNot) {
  RedisTarget target;
  target.server().Command({"SET", "kept", "1"});
  for (const bool flush : {false, true}) {
    const auto fault = FindFault("redis", flush ? "flush" : "readonly")->make({target, {}, Millis(300)});
    ASSERT_TRUE(fault->Prepare().ok());
    ASSERT_TRUE(fault->Apply().ok());
    ASSERT_TRUE(Within(Millis(1000), [&] { return fault->Seen().has_value(); }));
    ASSERT_TRUE(fault->Heal().ok());
    ASSERT_TRUE(Within(Millis(1000), [&] { return fault->Healed(); }));
    EXPECT_EQ(target.server().Command({"GET", "kept"}), flush ? "(nil)" : "1");
  }
}

// Written down before it is made, and gone with the fault.
TEST(CgroupFaultTest, LeavesNoGroupBehind) {
  for (const char* action : {"cpu_limit", "out_of_memory"}) {
    RedisTarget target;
    const FaultKind& kind = *FindFault("redis", action);
    if (const std::string why = kind.why_not_here(); !why.empty()) GTEST_SKIP() << why;
    const auto fault = kind.make({target, kind.on_idle, Millis(300)});
    ASSERT_TRUE(fault->Prepare().ok());
    EXPECT_THAT(target.written(), testing::IsEmpty());
    ASSERT_TRUE(fault->Apply().ok());
    ASSERT_EQ(target.written().size(), 1u);
    ASSERT_THAT(target.written()[0], testing::StartsWith("cgroup /"));
    const std::string folder = target.written()[0].substr(7);
    EXPECT_TRUE(std::filesystem::is_directory(folder)) << folder;
    EXPECT_TRUE(Within(Millis(2000), [&] { return fault->Seen().has_value(); })) << action;
    EXPECT_TRUE(Within(Millis(2000), [&] { return fault->Heal().ok(); }));
    EXPECT_FALSE(std::filesystem::exists(folder));
    EXPECT_EQ(target.oom_kills(), std::string(action) == "out_of_memory" ? 1u : 0u);
  }
}

TEST(RedisDataTest, MemoryLimitGivesTheOldConfigurationBack) {
  RedisTarget target({"--maxmemory", "77mb", "--maxmemory-policy", "allkeys-lru"});
  const auto fault = FindFault("redis", "memory_limit")->make({target, {}, Millis(300)});
  ASSERT_TRUE(fault->Prepare().ok());
  ASSERT_TRUE(fault->Apply().ok());
  ASSERT_TRUE(fault->Seen().has_value());
  ASSERT_TRUE(fault->Heal().ok());
  EXPECT_THAT(target.server().Command({"CONFIG", "GET", "maxmemory-policy"}), testing::HasSubstr("allkeys-lru"));
  EXPECT_THAT(target.server().Command({"CONFIG", "GET", "maxmemory"}), testing::HasSubstr("80740352"));
}

TEST(FaultOptionsTest, QuantitiesAreCheckedByTheirUnit) {
  const FaultKind& cpu = *FindFault("redis", "cpu_limit");
  EXPECT_EQ(CheckFaultOptions(cpu, {{"share", "5%"}}), "");
  EXPECT_EQ(CheckFaultOptions(cpu, {{"share", "0.5"}}), "");
  for (const char* wrong : {"0%", "120%", "20ms", "half"}) {
    EXPECT_THAT(CheckFaultOptions(cpu, {{"share", wrong}}), testing::HasSubstr("share")) << wrong;
  }
  const FaultKind& memory = *FindFault("redis", "out_of_memory");
  EXPECT_EQ(CheckFaultOptions(memory, {{"room", "4mb"}}), "");
  EXPECT_THAT(CheckFaultOptions(memory, {{"room", "4ms"}}), testing::HasSubstr("a size"));
}

TEST(FaultOptionsTest, WhatThePartWasNotGivenIsToldByName) {
  RedisTarget target;  // of a lab without "network: private" and "disk:"
  EXPECT_EQ(WhyNotOn(*FindFault("redis", "pause"), target), "");
  EXPECT_THAT(WhyNotOn(*FindFault("redis", "disk_full"), target), testing::HasSubstr("disk: 16mb"));
  EXPECT_THAT(WhyNotOn(*FindFault("redis", "partition"), target), testing::HasSubstr("network: private"));
  for (const char* action : {"disk_full", "partition"}) {
    const auto fault = FindFault("redis", action)->make({target, {}, Millis(300)});
    EXPECT_FALSE(fault->Prepare().ok()) << action;
    EXPECT_TRUE(fault->Heal().ok()) << action;
  }
}

TEST(FaultOptionsTest, AreCheckedWithTheNearestName) {
  const FaultKind& kill = *FindFault("redis", "kill");
  EXPECT_EQ(CheckFaultOptions(kill, {{"data", "lost"}}), "");
  EXPECT_THAT(CheckFaultOptions(kill, {{"dtaa", "lost"}}), testing::HasSubstr("did you mean \"data\""));
  EXPECT_THAT(CheckFaultOptions(kill, {{"data", "losst"}}), testing::HasSubstr("did you mean \"lost\""));
  EXPECT_EQ(FindFault("ratelimit", "flush"), nullptr);
}

}  // namespace
}  // namespace lab::bench
