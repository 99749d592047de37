#include <functional>
#include <thread>

#include "bench/fault/fault.h"
#include "bench/fault/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

// What expire and delete take away, and what they take for a receipt; that each is seen and healed, fault_test asks.
namespace lab::bench {
namespace {

using ::testing::HasSubstr;

class KeyFaultTest : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Fault> Make(const std::string& key) {
    return FindFault("redis", GetParam())->make({target_, {{"key", key}}, Nanos(0)});
  }
  std::string Get(const std::string& key) { return target_.server().Command({"GET", key}); }
  bool Gone(const std::string& key) {
    const Clock::time_point end = Clock::now() + std::chrono::seconds(5);
    while (Get(key) != "(nil)" && Clock::now() < end) std::this_thread::sleep_for(Millis(1));
    return Get(key) == "(nil)";
  }
  void SetUp() override {
    for (const char* key : {"insights:{brand-0}:w=24h", "insights:{brand-0}:w=30d", "insights:{brand-1}:w=24h"}) {
      target_.server().Command({"SET", key, "old"});
    }
  }

  RedisTarget target_;
};

TEST_P(KeyFaultTest, TakesOneKey) {
  const auto fault = Make("insights:{brand-0}:w=24h");
  ASSERT_TRUE(fault->Prepare().ok());
  EXPECT_FALSE(fault->Seen().has_value());
  ASSERT_TRUE(fault->Apply().ok());
  EXPECT_TRUE(Gone("insights:{brand-0}:w=24h"));
  EXPECT_THAT(fault->Seen().value_or(""), HasSubstr("insights:{brand-0}:w=24h is gone"));
  EXPECT_EQ(Get("insights:{brand-0}:w=30d"), "old");
  EXPECT_TRUE(fault->Healed());
}

TEST_P(KeyFaultTest, TakesWhatMatches) {
  const auto fault = Make("insights:{brand-0}:*");
  ASSERT_TRUE(fault->Prepare().ok());
  ASSERT_TRUE(fault->Apply().ok());
  EXPECT_TRUE(Gone("insights:{brand-0}:w=24h"));
  EXPECT_TRUE(Gone("insights:{brand-0}:w=30d"));
  EXPECT_EQ(Get("insights:{brand-1}:w=24h"), "old");
  EXPECT_THAT(fault->Seen().value_or(""), HasSubstr("2 keys"));
}

TEST_P(KeyFaultTest, AKeyThatWasWrittenAnewWasTaken) {
  const auto fault = Make("insights:{brand-0}:w=24h");
  ASSERT_TRUE(fault->Prepare().ok());
  ASSERT_TRUE(fault->Apply().ok());
  ASSERT_TRUE(Gone("insights:{brand-0}:w=24h"));
  target_.server().Command({"SET", "insights:{brand-0}:w=24h", "new"});
  EXPECT_TRUE(fault->Seen().has_value());
}

TEST_P(KeyFaultTest, WhatIsNotThereCannotBeTaken) {
  EXPECT_THAT(std::string(Make("nothing")->Prepare().message()), HasSubstr("there is no key nothing"));
  EXPECT_THAT(std::string(Make("none:*")->Prepare().message()), HasSubstr("there is no key none:*"));
}

TEST_P(KeyFaultTest, ThousandsGoAtOnce) {
  for (int i = 0; i < 3'000; ++i) target_.server().Command({"SET", "many:" + std::to_string(i), "x"});
  const auto fault = Make("many:*");
  ASSERT_TRUE(fault->Prepare().ok());
  ASSERT_TRUE(fault->Apply().ok());
  EXPECT_TRUE(Gone("many:0"));
  EXPECT_TRUE(Gone("many:2999"));
  EXPECT_TRUE(fault->Seen().has_value());
}

INSTANTIATE_TEST_SUITE_P(Both, KeyFaultTest, testing::Values("expire", "delete"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace lab::bench
