#include "services/ratelimit/limiter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "services/ratelimit/limiter_testing.h"
#include "services/ratelimit/rules_file.h"

namespace lab::ratelimit {
namespace {

constexpr char kRules[] = R"(
domain: shop
descriptors:
  - {key: tenant, rate_limit: {unit: hour, requests_per_unit: 3}}
  - {key: deny, rate_limit: {unit: hour, requests_per_unit: 3, on_store_failure: deny}}
  - {key: local, rate_limit: {unit: hour, requests_per_unit: 6, on_store_failure: local}}
  - {key: shadow, shadow_mode: true, rate_limit: {unit: hour, requests_per_unit: 1}}
  - {key: free, rate_limit: {unlimited: true}}
  - {key: basic, rate_limit: {unit: hour, requests_per_unit: 1, name: basic}}
  - {key: premium, rate_limit: {unit: hour, requests_per_unit: 5, replaces: [{name: basic}]}}
  - {key: path, value: "/v1/*", share_threshold: true, rate_limit: {unit: hour, requests_per_unit: 2}}
  - {key: gcra, rate_limit: {unit: hour, requests_per_unit: 9, algorithm: gcra}}
)";

class LimiterTest : public testing::Test {
 protected:
  LimiterTest() { Make({.replicas = 2}); }
  void Make(Limiter::Options options) {
    limiter_ = std::make_unique<Limiter>(options, store_, local_, metrics_);
    limiter_->SetRules(Rules(kRules));
  }
  static std::shared_ptr<const RuleSet> Rules(const std::string& text) {
    return ParseRules({{"r", text}}, {.replicas = 2}).value();
  }
  Asked& New() {
    Asked& asked = *asked_.emplace_back(std::make_unique<Asked>());
    asked.domain = "shop";
    return asked;
  }
  absl::Status Decide(Asked& asked) { return limiter_->Decide(asked, asked, Clock::now()); }
  // Asked, flushed and answered.
  Asked& Ask(Asked& asked) {
    EXPECT_TRUE(Decide(asked).ok());
    limiter_->Flush(Clock::now());
    store_.Answer();
    EXPECT_EQ(asked.decided, 1);
    return asked;
  }
  Asked& AskFailing(Asked& asked) {
    EXPECT_TRUE(Decide(asked).ok());
    limiter_->Flush(Clock::now());
    store_.Fail();
    EXPECT_EQ(asked.decided, 1);
    return asked;
  }

  obs::Metrics registry_;
  Metrics metrics_{registry_};
  HeldStore store_;
  MemoryStore local_{1000};
  std::unique_ptr<Limiter> limiter_;
  std::vector<std::unique_ptr<Asked>> asked_;
};

TEST_F(LimiterTest, WithoutALimitAnswersAtOnce) {
  Asked& none = New().On("nobody", "1");
  ASSERT_TRUE(Decide(none).ok());
  EXPECT_EQ(none.decided, 1);
  EXPECT_FALSE(none.over_limit);
  EXPECT_EQ(none.statuses[0].limit, nullptr);
  Asked& free = New().On("free", "1");
  ASSERT_TRUE(Decide(free).ok());
  EXPECT_TRUE(free.statuses[0].unlimited);
  Asked& elsewhere = New().On("tenant", "1");
  elsewhere.domain = "elsewhere";
  ASSERT_TRUE(Decide(elsewhere).ok());
  EXPECT_EQ(elsewhere.decided, 1);
  limiter_->Flush(Clock::now());
  EXPECT_TRUE(store_.held.empty());
}

TEST_F(LimiterTest, EqualRequestsOfATurnShareAnEntryAndAreGrantedInOrder) {
  std::vector<Asked*> same;
  for (int i = 0; i < 5; ++i) {
    same.push_back(&New().On("tenant", "1"));
    ASSERT_TRUE(Decide(*same.back()).ok());
    ASSERT_TRUE(Decide(New().On("tenant", "2", 2)).ok());
  }
  limiter_->Flush(Clock::now());
  ASSERT_EQ(store_.held.size(), 1u);
  EXPECT_EQ(store_.held[0].first->groups.size(), 2u);
  EXPECT_EQ(store_.held[0].first->groups[0].count, 5u);
  store_.Answer();
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(same[i]->decided, 1);
    EXPECT_EQ(same[i]->over_limit, i >= 3) << i;
    EXPECT_EQ(same[i]->statuses[0].remaining, i < 3 ? 2 - i : 0) << i;
  }
  EXPECT_EQ(metrics_.coalesced_requests.Value(), 8);
  EXPECT_EQ(metrics_.over_limit.Value(), 2 + 4);
}

TEST_F(LimiterTest, DifferentHitsKeysAndTurnsDoNotShare) {
  ASSERT_TRUE(Decide(New().On("tenant", "1", 1)).ok());
  ASSERT_TRUE(Decide(New().On("tenant", "1", 2)).ok());
  ASSERT_TRUE(Decide(New().On("tenant", "1").On("deny", "1")).ok());
  ASSERT_TRUE(Decide(New().On("deny", "1").On("tenant", "1")).ok());
  limiter_->Flush(Clock::now());
  ASSERT_TRUE(Decide(New().On("tenant", "1", 1)).ok());
  limiter_->Flush(Clock::now());
  ASSERT_EQ(store_.held.size(), 2u);
  EXPECT_EQ(store_.held[0].first->groups.size(), 4u);
  EXPECT_EQ(store_.held[1].first->groups.size(), 1u);
  store_.Answer();
  for (const auto& asked : asked_) EXPECT_EQ(asked->decided, 1);
}

TEST_F(LimiterTest, WithoutCoalescingEachHasAnEntry) {
  Make({.coalesce = false});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Decide(New().On("tenant", "1")).ok());
  limiter_->Flush(Clock::now());
  EXPECT_EQ(store_.held[0].first->groups.size(), 4u);
  store_.Answer();
  EXPECT_FALSE(asked_[2]->over_limit);
  EXPECT_TRUE(asked_[3]->over_limit);
}

TEST_F(LimiterTest, BatchesAreBounded) {
  Make({.max_batch = 10});
  std::vector<std::string> names;
  for (int i = 0; i < 2'000; ++i) names.push_back(std::to_string(i));
  for (const std::string& name : names) ASSERT_TRUE(Decide(New().On("tenant", name)).ok());
  for (const std::string& name : names) ASSERT_TRUE(Decide(New().On("tenant", name)).ok());
  limiter_->Flush(Clock::now());
  ASSERT_EQ(store_.held.size(), 200u);
  for (const auto& [batch, done] : store_.held) EXPECT_EQ(batch->groups.size(), 10u);
  store_.Answer();
  for (const auto& asked : asked_) EXPECT_EQ(asked->decided, 1);
  EXPECT_EQ(metrics_.coalesced_requests.Value(), 2'000);
}

TEST_F(LimiterTest, GathersWhileCallsAreOnTheirWayButNotForLong) {
  const auto now = Clock::now();
  for (const char* value : {"1", "2"}) {
    ASSERT_TRUE(Decide(New().On("tenant", value)).ok());
    EXPECT_FALSE(limiter_->Flush(now));
  }
  ASSERT_TRUE(Decide(New().On("tenant", "3")).ok());
  EXPECT_TRUE(limiter_->Flush(now));
  ASSERT_TRUE(Decide(New().On("tenant", "3")).ok());
  EXPECT_TRUE(limiter_->Flush(now + Limiter::kHold / 2));
  EXPECT_EQ(store_.held.size(), 2u);
  EXPECT_FALSE(limiter_->Flush(now + Limiter::kHold)) << "the store stalls: it leaves all the same";
  ASSERT_EQ(store_.held.size(), 3u);
  EXPECT_EQ(store_.held[2].first->groups[0].count, 2u) << "of two turns";
  store_.Answer();
  ASSERT_TRUE(Decide(New().On("tenant", "4")).ok());
  EXPECT_FALSE(limiter_->Flush(now + Limiter::kHold)) << "nothing is on its way";
  store_.Answer();
  for (const auto& asked : asked_) EXPECT_EQ(asked->decided, 1);
}

// With a clock of its own. A crowd: eight or more undecided at once.
class GatherTest : public LimiterTest {
 protected:
  Asked& Arrive(const std::string& value) {
    Asked& asked = New();
    values_.push_back(std::make_unique<std::string>(value));
    asked.On("tenant", *values_.back());
    EXPECT_TRUE(limiter_->Decide(asked, asked, now_).ok());
    return asked;
  }
  void Arrive(int count) {
    for (int i = 0; i < count; ++i) Arrive(std::to_string(next_++));
  }
  // A call with so many requests, answered at once.
  void Crowd(int count) {
    Arrive(count);
    while (limiter_->Flush(now_)) now_ += Micros(10);
    store_.Answer();
  }

  Clock::time_point now_ = Clock::time_point() + std::chrono::hours(1);
  int next_ = 0;
  std::vector<std::unique_ptr<std::string>> values_;
};

TEST_F(GatherTest, AfterACrowdACallWaitsForMostOfIt) {
  Crowd(20);
  Arrive(17);
  const auto wait = limiter_->Flush(now_);
  ASSERT_TRUE(wait);
  EXPECT_EQ(*wait, Limiter::kGather);
  EXPECT_TRUE(store_.held.empty());
  now_ += Micros(30);
  Arrive(1);  // 18 of 20: nine tenths
  EXPECT_FALSE(limiter_->Flush(now_)) << "most are there";
  ASSERT_EQ(store_.held.size(), 1u);
  EXPECT_EQ(store_.held[0].first->groups.size(), 18u);
}

TEST_F(GatherTest, ItWaitsNoLongerThanItsBoundFromTheFirst) {
  Crowd(20);
  Arrive(1);
  ASSERT_TRUE(limiter_->Flush(now_));
  now_ += Limiter::kGather - Micros(1);
  Arrive(1);
  const auto wait = limiter_->Flush(now_);
  ASSERT_TRUE(wait);
  EXPECT_EQ(*wait, Micros(1)) << "a later one does not prolong it";
  now_ += Micros(1);
  EXPECT_FALSE(limiter_->Flush(now_));
  ASSERT_EQ(store_.held.size(), 1u);
  EXPECT_EQ(store_.held[0].first->groups.size(), 2u);
}

TEST_F(GatherTest, SevenAreNoCrowd) {
  Crowd(7);
  Arrive(1);
  EXPECT_FALSE(limiter_->Flush(now_));
  EXPECT_EQ(store_.held.size(), 1u);
}

TEST_F(GatherTest, EightAreOne) {
  Crowd(8);
  Arrive(1);
  EXPECT_TRUE(limiter_->Flush(now_));
}

TEST_F(GatherTest, ACrowdThatHasGoneIsForgotten) {
  Crowd(20);
  int waited = 0;
  for (int call = 0; call < 40; ++call) {
    Arrive(1);
    if (limiter_->Flush(now_)) {
      ++waited;
      now_ += Limiter::kGather;
      ASSERT_FALSE(limiter_->Flush(now_));
    }
    store_.Answer();
  }
  EXPECT_EQ(waited, 18);  // 20 x 0.95^18 is the first below eight
}

TEST_F(GatherTest, CallsOnTheirWayCountAsUndecided) {
  Arrive(5);
  ASSERT_FALSE(limiter_->Flush(now_));
  Arrive(5);  // ten are undecided now, though no call has more than five
  ASSERT_FALSE(limiter_->Flush(now_));
  store_.Answer();
  Arrive(5);
  EXPECT_TRUE(limiter_->Flush(now_));
}

TEST_F(GatherTest, EveryRequestIsAnsweredOnce) {
  Crowd(20);
  Arrive(3);
  ASSERT_TRUE(limiter_->Flush(now_));
  now_ += Limiter::kGather;
  ASSERT_FALSE(limiter_->Flush(now_));
  store_.Fail();
  for (const auto& asked : asked_) EXPECT_EQ(asked->decided, 1);
}

TEST_F(LimiterTest, TwoDescriptorsOfOneKeyAddUp) {
  Asked& twice = Ask(New().On("tenant", "1", 2).On("tenant", "1", 2));
  EXPECT_TRUE(twice.over_limit) << "each alone would fit into 3";
  EXPECT_TRUE(twice.statuses[0].over_limit);
  EXPECT_TRUE(twice.statuses[1].over_limit);
  EXPECT_FALSE(Ask(New().On("tenant", "1", 1).On("tenant", "1", 2)).over_limit);
  EXPECT_TRUE(Ask(New().On("tenant", "1")).over_limit);
}

TEST_F(LimiterTest, HitsThatOverflowAreDenied) {
  const uint64_t most = ~uint64_t{0};
  EXPECT_TRUE(Ask(New().On("tenant", "1", most).On("tenant", "1", most)).over_limit);
  EXPECT_FALSE(Ask(New().On("tenant", "1", 3)).over_limit);
}

TEST_F(LimiterTest, AShadowPassesAndIsCounted) {
  Ask(New().On("shadow", "1"));
  Asked& over = Ask(New().On("shadow", "1"));
  EXPECT_FALSE(over.over_limit);
  EXPECT_FALSE(over.statuses[0].over_limit);
  EXPECT_EQ(over.statuses[0].remaining, 0u);
  EXPECT_EQ(metrics_.shadow.Value(), 1);
}

TEST_F(LimiterTest, AReplacedRuleDoesNotCount) {
  EXPECT_FALSE(Ask(New().On("basic", "1").On("premium", "1")).over_limit);
  Asked& second = Ask(New().On("basic", "1").On("premium", "1"));
  EXPECT_FALSE(second.over_limit);
  EXPECT_EQ(second.statuses[0].limit, nullptr);
  EXPECT_EQ(second.statuses[1].remaining, 3u);
  EXPECT_FALSE(Ask(New().On("basic", "1")).over_limit) << "it had not been charged";
}

TEST_F(LimiterTest, SharedValuesHaveOneCount) {
  EXPECT_FALSE(Ask(New().On("path", "/v1/a")).over_limit);
  EXPECT_FALSE(Ask(New().On("path", "/v1/b")).over_limit);
  EXPECT_TRUE(Ask(New().On("path", "/v1/c")).over_limit);
}

TEST_F(LimiterTest, AnOverrideReplacesTheLimitAndKeepsTheAlgorithm) {
  Asked& asked = New().On("gcra", "1");
  asked.descriptors[0].limit = Question::Override{2, Unit::kMinute};
  Ask(asked);
  EXPECT_EQ(asked.statuses[0].limit->algorithm, Algorithm::kGcra);
  EXPECT_EQ(asked.statuses[0].limit->requests, 2u);
  EXPECT_EQ(asked.statuses[0].remaining, 1u);
  Asked& unruled = New().On("nobody", "1");
  unruled.descriptors[0].limit = Question::Override{1, Unit::kHour};
  EXPECT_FALSE(Ask(unruled).over_limit);
  Asked& again = New().On("nobody", "1");
  again.descriptors[0].limit = Question::Override{1, Unit::kHour};
  EXPECT_TRUE(Ask(again).over_limit);
}

// The limit of the first must not be used when it has gone and the second still waits.
TEST_F(LimiterTest, OverridesOfOneGroupMayEndApart) {
  auto first = std::make_unique<Asked>();
  first->domain = "shop";
  first->On("nobody", "1").descriptors[0].limit = Question::Override{1, Unit::kHour};
  Asked& second = New().On("nobody", "1");
  second.descriptors[0].limit = Question::Override{1, Unit::kHour};
  ASSERT_TRUE(Decide(*first).ok());
  ASSERT_TRUE(Decide(second).ok());
  limiter_->Flush(Clock::now());
  ASSERT_EQ(store_.held[0].first->groups.size(), 1u);
  store_.Answer();
  EXPECT_FALSE(first->over_limit);
  first.reset();
  EXPECT_TRUE(second.over_limit);
}

TEST_F(LimiterTest, AnOverrideThatMakesNoLimitIsAnError) {
  Asked& asked = New().On("gcra", "1");
  asked.descriptors[0].limit = Question::Override{2'000'000, Unit::kSecond};
  const absl::Status status = Decide(asked);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("descriptors[0].limit"));
  asked.descriptors[0].limit = Question::Override{2, Unit::kUnknown};
  EXPECT_FALSE(Decide(asked).ok());
  limiter_->Flush(Clock::now());
  EXPECT_TRUE(store_.held.empty());
  EXPECT_EQ(asked.decided, 0);
}

TEST_F(LimiterTest, RequestsOnTheirWayKeepTheirRules) {
  Asked& before = New().On("tenant", "1");
  ASSERT_TRUE(Decide(before).ok());
  limiter_->SetRules(
      Rules("domain: shop\ndescriptors: [{key: tenant, rate_limit: {unit: hour, requests_per_unit: 70}}]"));
  Asked& after = New().On("tenant", "1");
  ASSERT_TRUE(Decide(after).ok());
  limiter_->Flush(Clock::now());
  store_.Answer();
  EXPECT_EQ(before.statuses[0].remaining, 2u);
  EXPECT_EQ(after.statuses[0].remaining, 68u) << "the count goes on under the new limit";
}

TEST_F(LimiterTest, WithoutAStorePoliciesDecide) {
  Asked& allow = AskFailing(New().On("tenant", "1"));
  EXPECT_FALSE(allow.over_limit);
  EXPECT_TRUE(allow.by_policy);
  EXPECT_FALSE(allow.statuses[0].known);
  EXPECT_TRUE(AskFailing(New().On("deny", "1")).over_limit);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(AskFailing(New().On("local", "1")).over_limit) << i;
  Asked& over = AskFailing(New().On("local", "1"));  // its share: 6 / 2 replicas
  EXPECT_TRUE(over.over_limit);
  EXPECT_TRUE(over.statuses[0].known);
  EXPECT_GT(over.retry_after_us, 0);
  EXPECT_EQ(metrics_.store_failures[0]->Value(), 1);
  EXPECT_EQ(metrics_.store_failures[1]->Value(), 1);
  EXPECT_EQ(metrics_.store_failures[2]->Value(), 4);
}

TEST_F(LimiterTest, OneDenyingPolicyIsEnoughAndChargesNoLocalShare) {
  Asked& both = AskFailing(New().On("local", "1").On("deny", "1"));
  EXPECT_TRUE(both.over_limit);
  EXPECT_FALSE(both.statuses[0].over_limit);
  EXPECT_TRUE(both.statuses[1].over_limit);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(AskFailing(New().On("local", "1").On("tenant", "1")).over_limit) << i;
  EXPECT_TRUE(AskFailing(New().On("local", "1").On("tenant", "1")).over_limit);
}

TEST_F(LimiterTest, AFailedGroupIsDecidedOneByOne) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Decide(New().On("local", "1")).ok());
  limiter_->Flush(Clock::now());
  store_.Fail();
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(asked_[i]->over_limit, i >= 3) << i;
}

TEST_F(LimiterTest, HotKeysAreListed) {
  for (int i = 0; i < 2'000; ++i) Ask(New().On("tenant", "hot"));
  ASSERT_FALSE(limiter_->hot_keys().Top().empty());
  EXPECT_EQ(limiter_->hot_keys().Top()[0].key, "rl:{shop}:f:3600s:tenant=hot");
}

}  // namespace
}  // namespace lab::ratelimit
