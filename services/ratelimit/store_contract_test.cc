// One contract, on the store in memory and on a real Redis.

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/ratelimit/store_testing.h"

namespace lab::ratelimit {
namespace {

constexpr int64_t kWindow = 10 * kSecondUs;

struct Backend {
  std::string name;
  std::function<std::unique_ptr<StoreUnderTest>()> make;
};

class StoreContract : public testing::TestWithParam<std::tuple<Backend, Algorithm>> {
 protected:
  // One server for the whole suite: a fresh key prefix a test keeps tests apart.
  void SetUp() override {
    static std::map<std::string, std::unique_ptr<StoreUnderTest>> stores;
    const Backend& backend = std::get<0>(GetParam());
    auto& made = stores[backend.name];
    if (!made) made = backend.make();
    store_ = made.get();
    prefix_ = testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  Limit Make(uint32_t requests = 10) const { return MakeLimit(std::get<1>(GetParam()), requests, kWindow).value(); }
  TestTerm On(const std::string& key, uint64_t hits = 1, uint32_t requests = 10) const {
    return {prefix_ + key, Make(requests), hits};
  }

  StoreUnderTest* store_ = nullptr;
  std::string prefix_;
};

std::vector<Backend> Backends() {
  return {{"memory", [] { return std::make_unique<MemoryUnderTest>(); }},
          {"redis", [] { return std::make_unique<RedisUnderTest>(); }}};
}

INSTANTIATE_TEST_SUITE_P(
    Stores, StoreContract,
    testing::Combine(testing::ValuesIn(Backends()),
                     testing::Values(Algorithm::kFixedWindow, Algorithm::kSlidingLog, Algorithm::kSlidingCounter,
                                     Algorithm::kTokenBucket, Algorithm::kGcra)),
    [](const auto& test) { return std::get<0>(test.param).name + "_" + std::string(Name(std::get<1>(test.param))); });

TEST_P(StoreContract, AdmitsTheLimitAndNoMoreAndRecovers) {
  for (int i = 0; i < 10; ++i) {
    const auto answers = store_->Ask(kTestEpoch, {On("a")});
    ASSERT_EQ(answers.size(), 1u);
    ASSERT_TRUE(answers[0].passed);
    EXPECT_EQ(answers[0].terms[0].remaining, 9u - static_cast<uint32_t>(i));
  }
  const auto denied = store_->Ask(kTestEpoch, {On("a")});
  ASSERT_EQ(denied.size(), 1u);
  EXPECT_FALSE(denied[0].passed);
  EXPECT_GT(denied[0].terms[0].retry_after_us, 0);
  EXPECT_TRUE(store_->Ask(kTestEpoch + 2 * kWindow, {On("a", 10)})[0].passed);
}

TEST_P(StoreContract, KeysDoNotTouchEachOther) {
  ASSERT_TRUE(store_->Ask(kTestEpoch, {On("a", 10)})[0].passed);
  EXPECT_TRUE(store_->Ask(kTestEpoch, {On("b", 10)})[0].passed);
}

TEST_P(StoreContract, ChargesAllOrNone) {
  ASSERT_TRUE(store_->Ask(kTestEpoch, {On("full", 10)})[0].passed);
  const auto denied = store_->Ask(kTestEpoch, {On("free", 4), On("full", 1)});
  EXPECT_FALSE(denied[0].passed);
  EXPECT_TRUE(denied[0].terms[0].passed);
  EXPECT_FALSE(denied[0].terms[1].passed);
  const auto after = store_->Ask(kTestEpoch, {On("free", 0)});
  EXPECT_EQ(after[0].terms[0].remaining, 10u) << "the free key was charged for a denied request";
  ASSERT_TRUE(store_->Ask(kTestEpoch, {On("free", 4), On("other", 3)})[0].passed);
  EXPECT_EQ(store_->Ask(kTestEpoch, {On("free", 0), On("other", 0)})[0].terms[1].remaining, 7u);
}

TEST_P(StoreContract, AShadowDeniesNothingAndIsChargedOnlyWithRoom) {
  TestTerm shadow = On("shadow", 6);
  shadow.shadow = true;
  const auto first = store_->Ask(kTestEpoch, {shadow, On("real", 1)});
  EXPECT_TRUE(first[0].passed);
  EXPECT_TRUE(first[0].terms[0].passed);
  const auto second = store_->Ask(kTestEpoch, {shadow, On("real", 1)});
  EXPECT_TRUE(second[0].passed);
  EXPECT_FALSE(second[0].terms[0].passed);
  EXPECT_EQ(second[0].terms[0].remaining, 4u);
  EXPECT_EQ(second[0].terms[1].remaining, 8u);
}

TEST_P(StoreContract, AGroupIsGrantedInOrderUntilTheLimit) {
  const auto answers = store_->Ask(kTestEpoch, {On("a", 3)}, 5);
  ASSERT_EQ(answers.size(), 5u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(answers[i].passed, i < 3) << i;
  EXPECT_EQ(answers[1].terms[0].remaining, 4u);
  EXPECT_EQ(answers[4].terms[0].remaining, 1u);
  EXPECT_TRUE(store_->Ask(kTestEpoch, {On("a", 1)})[0].passed) << "the one left was taken by a denied request";
  EXPECT_FALSE(store_->Ask(kTestEpoch, {On("a", 1)})[0].passed);
}

TEST_P(StoreContract, GroupsOfABatchSeeWhatTheEarlierOnesTook) {
  const Limit limit = Make();
  Batch batch;
  batch.now = kTestEpoch;
  for (const uint64_t hits : {7, 7, 3}) {
    batch.AddGroup();
    batch.AddTerm(prefix_ + "a", {&limit, hits});
  }
  ASSERT_TRUE(store_->Run(batch).ok());
  const auto answers = Answers(batch);
  EXPECT_TRUE(answers[0].passed);
  EXPECT_FALSE(answers[1].passed);
  EXPECT_TRUE(answers[2].passed);
}

TEST_P(StoreContract, HugeHitsAreDeniedWithoutACharge) {
  EXPECT_FALSE(store_->Ask(kTestEpoch, {On("a", kMaxHits)}, 3)[2].passed);
  EXPECT_EQ(store_->Ask(kTestEpoch, {On("a", 0)})[0].terms[0].remaining, 10u);
}

TEST_P(StoreContract, TakesTheStoresClockWhenNoTimeIsGiven) {
  Batch batch;
  const Limit limit = Make();
  batch.AddGroup();
  batch.AddTerm(prefix_ + "clock", {&limit});
  ASSERT_TRUE(store_->Run(batch).ok());
  EXPECT_NEAR(static_cast<double>(batch.now), static_cast<double>(MemoryStore::SystemMicros()), 5e6);
  EXPECT_TRUE(Answers(batch)[0].passed);
}

TEST_P(StoreContract, ManyHitsAtOnceAndManyKeysInOneBatch) {
  const Limit limit = Make(50'000);
  Batch batch;
  batch.now = kTestEpoch;
  for (int i = 0; i < 300; ++i) {
    batch.AddGroup();
    batch.AddTerm(prefix_ + "many" + std::to_string(i % 100), {&limit, i % 100 == 0 ? 2'500u : 3u});
  }
  ASSERT_TRUE(store_->Run(batch).ok());
  const auto answers = Answers(batch);
  EXPECT_EQ(answers[200].terms[0].remaining, 50'000u - 7'500u);
  EXPECT_EQ(answers[299].terms[0].remaining, 50'000u - 9u);
}

}  // namespace
}  // namespace lab::ratelimit
