// Every fault of a link, on a proxy of ours before a real Redis.

#include <functional>
#include <thread>

#include "bench/fault/fault.h"
#include "bench/fault/testing.h"
#include "bench/fault/testing_link.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

using ::testing::HasSubstr;

bool Within(Nanos time, const std::function<bool()>& happens) {
  const Clock::time_point end = Clock::now() + time;
  do {
    if (happens()) return true;
    std::this_thread::sleep_for(Millis(3));
  } while (Clock::now() < end);
  return false;
}

bool RedisAnswers(int port, Nanos timeout) { return RespConnection("127.0.0.1", port).Command({"PING"}, timeout).ok(); }

struct Case {
  std::string action;
  std::map<std::string, std::string> options;
  std::string name;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const FaultKind* kind : FaultsFor("link")) {
    cases.push_back({kind->action, {}, kind->action});
    if (kind->action != "down") cases.push_back({kind->action, {{"stream", "upstream"}}, kind->action + "_upstream"});
  }
  cases.push_back({"latency", {{"latency", "5ms"}}, "latency_short"});
  cases.push_back({"latency", {{"latency", "30s"}}, "latency_long"});
  cases.push_back({"latency", {{"latency", "40ms"}, {"jitter", "40ms"}}, "latency_jitter"});
  cases.push_back({"latency", {{"toxicity", "0.4"}}, "latency_toxicity"});
  cases.push_back({"bandwidth", {{"rate", "10mb/s"}}, "bandwidth_fast"});
  cases.push_back({"timeout", {{"timeout", "20ms"}}, "timeout_closing"});
  cases.push_back({"reset_peer", {{"timeout", "30ms"}}, "reset_peer_late"});
  cases.push_back(
      {"slicer", {{"average_size", "500b"}, {"size_variation", "400b"}, {"delay", "100us"}}, "slicer_fine"});
  cases.push_back({"limit_data", {{"bytes", "0b"}}, "limit_data_none"});
  cases.push_back({"limit_data", {{"bytes", "200kb"}}, "limit_data_much"});
  return cases;
}

class LinkFaultTest : public testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<Fault> Make(const Case& which) {
    const FaultKind* kind = FindFault("link", which.action);
    EXPECT_EQ(CheckFaultOptions(*kind, which.options), "");
    return kind->make({target_, which.options, Millis(300)});
  }
  bool Answers() { return target_.Ask(Millis(2000)) == Look::kAnswers; }

  LinkTarget<RedisTarget> target_{"redis", &RedisAnswers};
};

TEST_P(LinkFaultTest, IsSeenAndHealed) {
  const std::unique_ptr<Fault> fault = Make(GetParam());
  ASSERT_TRUE(Within(Millis(3000), [&] { return fault->Prepare().ok(); })) << fault->Prepare();
  ASSERT_TRUE(Within(Millis(3000), [&] { return fault->Healed(); }));
  const absl::Status applied = fault->Apply();
  ASSERT_TRUE(applied.ok()) << applied;
  std::optional<std::string> evidence;
  EXPECT_TRUE(Within(Millis(5000), [&] { return (evidence = fault->Seen()).has_value(); }));
  EXPECT_NE(evidence.value_or(""), "");
  const bool sometimes = GetParam().options.count("toxicity") > 0 || GetParam().options.count("jitter") > 0;
  EXPECT_FALSE(fault->Healed() && !sometimes) << "well while it lasts";
  EXPECT_TRUE(fault->Heal().ok());
  EXPECT_TRUE(Within(Millis(3000), [&] { return fault->Healed(); }));
  EXPECT_TRUE(fault->Heal().ok()) << "healing twice";
  EXPECT_TRUE(Answers());
}

TEST_P(LinkFaultTest, IsNotSeenWhenApplyDoesNothing) {
  const std::unique_ptr<Fault> fault = Make(GetParam());
  ASSERT_TRUE(Within(Millis(3000), [&] { return fault->Prepare().ok(); }));
  EXPECT_FALSE(Within(Millis(150), [&] { return fault->Seen().has_value(); }));
  EXPECT_TRUE(fault->Heal().ok());
  EXPECT_TRUE(Within(Millis(3000), [&] { return fault->Healed(); }));
}

INSTANTIATE_TEST_SUITE_P(All, LinkFaultTest, testing::ValuesIn(Cases()),
                         [](const auto& each) { return each.param.name; });

TEST_F(LinkFaultTest, TwoToxicsAtATimeHealOneByOne) {
  const std::unique_ptr<Fault> up = Make({"latency", {{"stream", "upstream"}}, ""});
  const std::unique_ptr<Fault> down = Make({"latency", {}, ""});
  ASSERT_TRUE(Within(Millis(3000), [&] { return up->Prepare().ok() && down->Prepare().ok(); }));
  ASSERT_TRUE(up->Apply().ok());
  ASSERT_TRUE(down->Apply().ok());
  ASSERT_TRUE(up->Heal().ok());
  EXPECT_TRUE(down->Seen());
  ASSERT_TRUE(down->Heal().ok());
  EXPECT_TRUE(Within(Millis(3000), [&] { return down->Healed(); }));
}

TEST_F(LinkFaultTest, WhatNoProbeCouldSeeIsRefused) {
  const std::unique_ptr<Fault> fault = Make({"latency", {{"latency", "1ms"}, {"jitter", "1ms"}}, ""});
  EXPECT_THAT(std::string(fault->Prepare().message()), HasSubstr("no probe would see it"));
}

TEST_F(LinkFaultTest, ALinkThatIsNotWellIsNotBroken) {
  target_.server().Pause();
  EXPECT_FALSE(Make({"latency", {}, ""})->Prepare().ok());
  target_.server().Continue();
}

TEST(LinkOptionsTest, WrongValuesSayWhatIsWanted) {
  const auto wrong = [](const std::string& fault, const std::string& option, const std::string& value) {
    return CheckFaultOption(fault, option, value);
  };
  EXPECT_THAT(wrong("link.latency", "latency", "50"), HasSubstr("50ms"));
  EXPECT_THAT(wrong("link.latency", "latency", "50us"), HasSubstr("milliseconds"));
  EXPECT_THAT(wrong("link.latency", "latency", "2h"), HasSubstr("hour"));
  EXPECT_THAT(wrong("link.latency", "late", "50ms"), HasSubstr("latency"));
  EXPECT_THAT(wrong("link.latency", "stream", "upstraem"), HasSubstr("upstream"));
  EXPECT_THAT(wrong("link.latency", "toxicity", "0"), HasSubstr("above 0"));
  EXPECT_THAT(wrong("link.bandwidth", "rate", "10ms"), HasSubstr("64kb/s"));
  EXPECT_THAT(wrong("link.bandwidth", "rate", "1b/s"), HasSubstr("1kb/s"));
  EXPECT_THAT(wrong("link.slicer", "average_size", "0b"), HasSubstr("1b"));
  EXPECT_THAT(wrong("link.slicer", "delay", "0us"), HasSubstr("10us"));
  EXPECT_THAT(wrong("link.limit_data", "bytes", "2mb"), HasSubstr("1mb"));
  for (const auto& [option, value] : std::map<std::string, std::string>{
           {"latency", "50ms"}, {"jitter", "0ms"}, {"toxicity", "30%"}, {"stream", "upstream"}}) {
    EXPECT_EQ(wrong("link.latency", option, value), "") << option;
  }
  for (const char* rate : {"64kb/s", "64kb", "1.5mb/s"}) EXPECT_EQ(wrong("link.bandwidth", "rate", rate), "") << rate;
}

TEST(LinkOptionsTest, FallbacksAreRight) {
  for (const FaultKind* kind : FaultsFor("link")) {
    for (const FaultOption& option : kind->options) {
      EXPECT_EQ(CheckFaultOptions(*kind, {{option.name, option.fallback}}), "") << kind->action << option.name;
    }
  }
}

TEST(LinkKindsTest, ALinkHasNoFaultsOfAProcess) {
  EXPECT_EQ(FindFault("link", "kill"), nullptr);
  EXPECT_NE(FindFault("redis", "kill"), nullptr);
  EXPECT_EQ(FindFault("redis", "latency"), nullptr);
}

}  // namespace
}  // namespace lab::bench
