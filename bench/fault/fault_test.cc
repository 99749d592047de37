#include "bench/fault/fault.h"

#include <sys/wait.h>

#include <csignal>
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

// Every fault that a Redis can have: those of any process, and its own.
class RedisFaultTest : public testing::TestWithParam<const FaultKind*> {
 protected:
  RedisFaultTest() : fault_(GetParam()->make({target_, {}, Millis(300)})) {}
  void SetUp() override { target_.server().Command({"SET", "kept", "1"}); }

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

INSTANTIATE_TEST_SUITE_P(All, RedisFaultTest, testing::ValuesIn(FaultsFor("redis")),
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

TEST(FaultOptionsTest, AreCheckedWithTheNearestName) {
  const FaultKind& kill = *FindFault("redis", "kill");
  EXPECT_EQ(CheckFaultOptions(kill, {{"data", "lost"}}), "");
  EXPECT_THAT(CheckFaultOptions(kill, {{"dtaa", "lost"}}), testing::HasSubstr("did you mean \"data\""));
  EXPECT_THAT(CheckFaultOptions(kill, {{"data", "losst"}}), testing::HasSubstr("did you mean \"lost\""));
  EXPECT_EQ(FindFault("ratelimit", "flush"), nullptr);
}

}  // namespace
}  // namespace lab::bench
