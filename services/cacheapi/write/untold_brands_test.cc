#include "services/cacheapi/write/untold_brands.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/cacheapi/model/version.h"
#include "services/runtime/async/loop_fixture.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

// L2 answers when the test says so, and as it says.
class UntoldBrandsTest : public async::LoopTest {
 protected:
  UntoldBrands& Start(size_t most = 1000, size_t at_once = 4) {
    UntoldBrands::Parts parts = {loop_,
                                 [this](std::string_view brand, uint64_t version, UntoldBrands::Done done) {
                                   told_.emplace_back(std::string(brand), version);
                                   Answer(std::move(done));
                                 },
                                 [this](UntoldBrands::Done done) {
                                   ++flushes_;
                                   Answer(std::move(done));
                                 },
                                 [this] { ++given_up_; }};
    UntoldBrands::Options options;
    options.most = most;
    options.at_once = at_once;
    options.retry = Millis(1);
    options.longest_retry = Millis(5);
    return untold_.emplace(std::move(parts), options, metrics_);
  }
  void Answer(UntoldBrands::Done done) {
    most_at_once_ = std::max(most_at_once_, ++under_way_);
    answers_.push_back(std::move(done));
    if (!holds_) Release();
  }
  void Release() {
    for (auto& answer : std::exchange(answers_, {})) {
      loop_.Post([this, answer = std::move(answer), status = status_]() mutable {
        --under_way_;
        answer(status);
      });
    }
  }
  void AllTold() {
    ASSERT_TRUE(RunUntil([&] { return untold_->size() == 0 && answers_.empty(); }));
    RunFor(Millis(20));
    EXPECT_EQ(untold_->size(), 0u);
    EXPECT_EQ(Metric("cacheapi_untold_brands"), 0);
  }

  const absl::Status away_ = absl::UnavailableError("away");
  absl::Status status_;
  bool holds_ = false;
  std::vector<UntoldBrands::Done> answers_;
  std::vector<std::pair<std::string, uint64_t>> told_;
  int under_way_ = 0, most_at_once_ = 0;
  int flushes_ = 0, given_up_ = 0;
  std::optional<UntoldBrands> untold_;
};

TEST_F(UntoldBrandsTest, ManyWritesOfABrandAreOne) {
  UntoldBrands& untold = Start();
  for (const uint64_t version : {7, 9, 8}) untold.Add("acme", version);
  EXPECT_EQ(untold.size(), 1u);
  EXPECT_EQ(Metric("cacheapi_untold_brands"), 1);
  AllTold();
  EXPECT_THAT(told_, ElementsAre(Pair("acme", 9)));
}

TEST_F(UntoldBrandsTest, AnUnknownVersionIsTheNewest) {
  UntoldBrands& untold = Start();
  untold.Add("acme", kVersionUnknown);
  untold.Add("acme", 8);
  AllTold();
  EXPECT_THAT(told_, ElementsAre(Pair("acme", kVersionUnknown)));
}

TEST_F(UntoldBrandsTest, AreToldUntilTheyAre) {
  status_ = away_;
  UntoldBrands& untold = Start();
  for (int i = 0; i < 50; ++i) untold.Add(Concat("b", i), 2);
  ASSERT_TRUE(RunUntil([&] { return told_.size() > 100; })) << "each in its turn";
  EXPECT_EQ(untold.size(), 50u);
  EXPECT_EQ(most_at_once_, 4);
  status_ = absl::OkStatus();
  AllTold();
  EXPECT_EQ(flushes_, 0);
}

// A change while the one before it is being told: the answer is not about it.
TEST_F(UntoldBrandsTest, AnAnswerIsForWhatWasAsked) {
  for (const uint64_t second : {uint64_t{3}, uint64_t{2}, kVersionUnknown}) {
    UntoldBrands& untold = Start();
    told_.clear();
    holds_ = true;
    untold.Add("acme", second == kVersionUnknown ? second : 2);
    ASSERT_TRUE(RunUntil([&] { return answers_.size() == 1; }));
    untold.Add("acme", second);
    holds_ = false;
    Release();
    AllTold();
    ASSERT_EQ(told_.size(), 2u);
    EXPECT_EQ(told_[1].second, second);
    untold_.reset();
  }
}

TEST_F(UntoldBrandsTest, TooManyToNameAreAll) {
  status_ = away_;
  UntoldBrands& untold = Start(10);
  for (int i = 0; i < 11; ++i) untold.Add(Concat("b", i), 2);
  EXPECT_EQ(given_up_, 1);
  for (int i = 0; i < 1000; ++i) untold.Add(Concat("c", i), 2);
  EXPECT_EQ(untold.size(), 0u) << "what is not begun takes them out too";
  EXPECT_EQ(Metric("cacheapi_untold_brands"), 11) << "without their names they are still untold";
  ASSERT_TRUE(RunUntil([&] { return flushes_ > 2; })) << "until it has succeeded";
  status_ = absl::OkStatus();
  const int before = flushes_;
  ASSERT_TRUE(RunUntil([&] { return flushes_ > before; }));
  AllTold();
  EXPECT_TRUE(told_.empty());
}

TEST_F(UntoldBrandsTest, WhatComesWhileAllAreToldHasAName) {
  UntoldBrands& untold = Start(1);
  holds_ = true;
  untold.Add("a", 2);
  untold.Add("b", 2);
  ASSERT_TRUE(RunUntil([&] { return flushes_ == 1; }));
  untold.Add("c", 3);
  EXPECT_EQ(untold.size(), 1u);
  holds_ = false;
  Release();
  AllTold();
  EXPECT_THAT(told_, ElementsAre(Pair("c", 3)));
  EXPECT_EQ(flushes_, 1);
}

}  // namespace
}  // namespace lab::cacheapi
