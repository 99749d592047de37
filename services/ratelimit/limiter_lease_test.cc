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
  - {key: tenant, rate_limit: {unit: hour, requests_per_unit: 25, lease: 10, on_store_failure: deny}}
  - {key: shadow, shadow_mode: true, rate_limit: {unit: hour, requests_per_unit: 3, lease: 3}}
  - {key: plain, rate_limit: {unit: hour, requests_per_unit: 3}}
)";

// A time of the store's at which the hour has just begun, so that no test meets its end.
UnixMicros EarlyInAnHour() { return 1'790'002'800 * kSecondUs + kSecondUs; }

class LimiterLeaseTest : public testing::Test {
 protected:
  // Two replicas on one store.
  LimiterLeaseTest() {
    for (auto& limiter : limiters_) {
      limiter = std::make_unique<Limiter>(options_, store_, local_, metrics_);
      limiter->SetRules(Rules());
    }
  }
  static std::shared_ptr<const RuleSet> Rules() { return ParseRules({{"r", kRules}}, {}).value(); }
  Asked& New() {
    Asked& asked = *asked_.emplace_back(std::make_unique<Asked>());
    asked.domain = "shop";
    return asked;
  }
  Asked& Decide(Asked& asked, size_t replica = 0) {
    EXPECT_TRUE(limiters_[replica]->Decide(asked, asked, Clock::now()).ok());
    return asked;
  }
  void Flush() {
    for (auto& limiter : limiters_) limiter->Flush(Clock::now());
  }
  void Answer() {
    for (const auto& [batch, done] : store_.held) batch->now = EarlyInAnHour();
    store_.Answer();
  }
  Asked& Ask(Asked& asked, size_t replica = 0) {
    Decide(asked, replica);
    Flush();
    Answer();
    EXPECT_EQ(asked.decided, 1);
    return asked;
  }

  obs::Metrics registry_;
  Metrics metrics_{registry_};
  Limiter::Options options_;
  HeldStore store_;
  MemoryStore local_{1000};
  std::unique_ptr<Limiter> limiters_[2];
  std::vector<std::unique_ptr<Asked>> asked_;
};

TEST_F(LimiterLeaseTest, DecidesALeaseFullWithoutTheStore) {
  EXPECT_FALSE(Ask(New().On("tenant", "1")).over_limit);
  for (int i = 0; i < 9; ++i) {
    Asked& asked = Decide(New().On("tenant", "1"));
    ASSERT_EQ(asked.decided, 1) << i;
    EXPECT_FALSE(asked.over_limit);
    EXPECT_EQ(asked.statuses[0].remaining, 23u - static_cast<uint32_t>(i));
    EXPECT_NEAR(static_cast<double>(asked.statuses[0].reset_after_us), 3599e6, 100e6);
  }
  EXPECT_EQ(Decide(New().On("tenant", "1")).decided, 0) << "the lease is used up";
  EXPECT_EQ(Decide(New().On("tenant", "2")).decided, 0) << "another key has a lease of its own";
  EXPECT_EQ(metrics_.leased.Value(), 10);
}

TEST_F(LimiterLeaseTest, TwoReplicasAdmitTheLimitTogether) {
  int admitted = 0;
  for (int i = 0; i < 60; ++i) admitted += Ask(New().On("tenant", "1"), i % 2).over_limit ? 0 : 1;
  EXPECT_EQ(admitted, 25);
  EXPECT_EQ(metrics_.leases.Value(), 4) << "10, 10, the 5 that are left, and one that found nothing";
  Asked& denied = Decide(New().On("tenant", "1"));
  ASSERT_EQ(denied.decided, 1) << "a used up window is known to be";
  EXPECT_TRUE(denied.over_limit);
  EXPECT_GT(denied.retry_after_us, 0);
}

TEST_F(LimiterLeaseTest, OneQuestionAKeyForAllThatWait) {
  std::vector<Asked*> first, later;
  for (int i = 0; i < 12; ++i) first.push_back(&Decide(New().On("tenant", "1")));
  Flush();
  ASSERT_EQ(store_.held.size(), 1u);
  EXPECT_EQ(store_.held[0].first->groups[0].count, 20u) << "leases for all that wait";
  for (int i = 0; i < 20; ++i) later.push_back(&Decide(New().On("tenant", "1")));
  Flush();
  ASSERT_EQ(store_.held.size(), 1u) << "who comes meanwhile waits";
  Answer();
  for (const Asked* asked : first) EXPECT_TRUE(asked->decided == 1 && !asked->over_limit);
  int admitted = 0, waiting = 0;
  for (const Asked* asked : later) waiting += asked->decided == 0 ? 1 : 0;
  EXPECT_EQ(waiting, 12) << "8 were left of the leases";
  Flush();
  Answer();
  for (const Asked* asked : later) admitted += asked->decided == 1 && !asked->over_limit ? 1 : 0;
  EXPECT_EQ(admitted, 13);
}

TEST_F(LimiterLeaseTest, ALostStoreIsThePolicysButALeaseInHandGoesOn) {
  Ask(New().On("tenant", "1"));
  Asked& other = Decide(New().On("tenant", "2", 3));
  Flush();
  Asked& meanwhile = Decide(New().On("tenant", "2", 1));
  store_.Fail();
  for (const Asked* asked : {&other, &meanwhile}) {
    EXPECT_EQ(asked->decided, 1);
    EXPECT_TRUE(asked->over_limit && asked->by_policy);
  }
  EXPECT_FALSE(Decide(New().On("tenant", "1")).by_policy);
  EXPECT_EQ(asked_.back()->decided, 1);
  EXPECT_FALSE(Ask(New().On("tenant", "2")).over_limit) << "the store is back";
}

TEST_F(LimiterLeaseTest, SeveralLimitsAndLargeRequestsAreTheStores) {
  Ask(New().On("tenant", "1"));
  Asked& both = Ask(New().On("tenant", "1").On("plain", "1"));
  EXPECT_FALSE(both.over_limit);
  EXPECT_EQ(both.statuses[0].remaining, 14u) << "10 are leased";
  EXPECT_FALSE(Ask(New().On("tenant", "1", 11)).over_limit);
  EXPECT_TRUE(Ask(New().On("tenant", "1", 11)).over_limit) << "3 are left, and 9 held: not granted in parts";
  Asked& look = Decide(New().On("tenant", "1", 0));
  EXPECT_TRUE(look.decided == 1 && !look.over_limit);
  EXPECT_EQ(Decide(New().On("tenant", "1", 9)).decided, 1);
}

TEST_F(LimiterLeaseTest, AShadowDeniesNothing) {
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(Ask(New().On("shadow", "1")).over_limit) << i;
  EXPECT_EQ(metrics_.shadow.Value(), 2);
  EXPECT_EQ(metrics_.ok.Value(), 3);
}

TEST_F(LimiterLeaseTest, AnOverrideIsNotLeased) {
  Asked& asked = New().On("tenant", "1");
  asked.descriptors[0].limit = Question::Override{5, Unit::kHour};
  Ask(asked);
  EXPECT_EQ(metrics_.leases.Value(), 0);
  EXPECT_EQ(asked.statuses[0].remaining, 4u);
}

TEST_F(LimiterLeaseTest, NewRulesEndTheLeasesOfTheOld) {
  Ask(New().On("tenant", "1"));
  Asked& waiting = Decide(New().On("tenant", "2"));
  Flush();
  limiters_[0]->SetRules(Rules());
  EXPECT_EQ(Decide(New().On("tenant", "1")).decided, 0);
  Answer();
  EXPECT_EQ(waiting.decided, 1) << "its rules live as long as it waits";
  EXPECT_EQ(Decide(New().On("tenant", "2")).decided, 0);
  Flush();
  Answer();
  for (const auto& asked : asked_) EXPECT_EQ(asked->decided, 1);
}

TEST(LeaseTableTest, IsBoundedAndMakesRoomOfWhatIsOver) {
  const Limit limit = MakeLimit(Algorithm::kFixedWindow, 10, kSecondUs).value();
  const Clock::time_point start(std::chrono::hours(1));
  LeaseTable table(3);
  for (const char* key : {"a", "b", "c"}) {
    LeasedKey* leased = table.FindOrAdd(key, start);
    ASSERT_NE(leased, nullptr);
    leased->lease.Granted(limit, {5}, {}, 1'790'000'000 * kSecondUs, 5, start);
  }
  EXPECT_EQ(table.FindOrAdd("d", start), nullptr) << "all are held";
  LeasedKey* kept = table.FindOrAdd("b", start);
  kept->asking = true;
  EXPECT_NE(table.FindOrAdd("d", start + std::chrono::seconds(2)), nullptr);
  EXPECT_EQ(table.FindOrAdd("b", start), kept) << "somebody waits for it";
  EXPECT_LE(table.size(), 3u);
}

}  // namespace
}  // namespace lab::ratelimit
