#include "services/cacheapi/write/teller.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lab::cacheapi {
namespace {

class TellerTest : public ::testing::Test {
 protected:
  using Told = absl::AnyInvocable<void(absl::Status)>;

  ApplyChange Applying() {
    return [this](std::string_view brand, uint64_t version, Told done) {
      calls_.emplace_back(std::string(brand), version);
      if (at_once_) return done(absl::OkStatus());
      under_way_.push_back(std::move(done));
      most_ = std::max(most_, under_way_.size());
    };
  }
  static Teller::Brands Many(int count) {
    Teller::Brands brands;
    for (int i = 0; i < count; ++i) brands["b" + std::to_string(i)] = static_cast<uint64_t>(i);
    return brands;
  }
  Teller::Done Into(std::optional<absl::Status>& end) {
    return [this, &end](absl::Status status) {
      EXPECT_FALSE(end.has_value()) << "called twice";
      ended_in_order_.push_back(&end);
      end = std::move(status);
    };
  }
  // The oldest one that is under way ends.
  void End(const absl::Status& status = absl::OkStatus()) {
    Told done = std::move(under_way_.front());
    under_way_.erase(under_way_.begin());
    done(status);
  }

  std::vector<std::pair<std::string, uint64_t>> calls_;
  std::vector<Told> under_way_;
  std::vector<std::optional<absl::Status>*> ended_in_order_;
  size_t most_ = 0;
  bool at_once_ = false;
};

TEST_F(TellerTest, AFewAtATime) {
  Teller teller(Applying(), 8);
  std::optional<absl::Status> end;
  teller.Tell(Many(100), Into(end));
  EXPECT_EQ(teller.waiting(), 92u);
  while (!under_way_.empty()) {
    EXPECT_FALSE(end.has_value());
    End();
  }
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(end->ok());
  EXPECT_EQ(most_, 8u);
  EXPECT_EQ(calls_.size(), 100u);
  EXPECT_EQ(teller.waiting(), 0u);
}

TEST_F(TellerTest, NothingToTellIsTold) {
  Teller teller(Applying());
  std::optional<absl::Status> end;
  teller.Tell({}, Into(end));
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(end->ok());
}

TEST_F(TellerTest, BatchesShareTheWindowInTheirOrder) {
  Teller teller(Applying(), 4);
  std::optional<absl::Status> first, second;
  teller.Tell(Many(3), Into(first));
  teller.Tell({{"x", 1}, {"y", 2}, {"z", 3}}, Into(second));
  EXPECT_EQ(under_way_.size(), 4u);
  EXPECT_EQ(calls_.back().first, "x");
  while (!under_way_.empty()) End();
  EXPECT_EQ(ended_in_order_, (std::vector<std::optional<absl::Status>*>{&first, &second}));
  EXPECT_EQ(most_, 4u);
}

TEST_F(TellerTest, AfterAnErrorTheRestOfItsBatchIsNotTold) {
  Teller teller(Applying(), 2);
  std::optional<absl::Status> first, second;
  teller.Tell(Many(50), Into(first));
  teller.Tell({{"x", 1}}, Into(second));
  End(absl::UnavailableError("no Redis"));
  EXPECT_FALSE(first.has_value()) << "one is under way";
  EXPECT_EQ(teller.waiting(), 0u) << "and the other batch is";
  End(absl::AbortedError("lost"));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->code(), absl::StatusCode::kUnavailable) << "the first error";
  EXPECT_FALSE(second.has_value());
  End();
  ASSERT_TRUE(second.has_value());
  EXPECT_TRUE(second->ok());
  EXPECT_EQ(calls_.size(), 3u);
}

// Without L2 each is told within its call.
TEST_F(TellerTest, WhatEndsAtOnceTakesNoStack) {
  at_once_ = true;
  Teller teller(Applying(), 2);
  std::optional<absl::Status> end, next;
  teller.Tell(Many(200'000), [&](const absl::Status& status) {
    end = status;
    teller.Tell(Many(3), Into(next));
  });
  ASSERT_TRUE(end.has_value() && next.has_value());
  EXPECT_TRUE(end->ok() && next->ok());
  EXPECT_EQ(calls_.size(), 200'003u);
}

TEST_F(TellerTest, OneThatIsGoneCallsNobody) {
  auto teller = std::make_unique<Teller>(Applying(), 2);
  std::optional<absl::Status> end;
  teller->Tell(Many(5), Into(end));
  teller.reset();
  while (!under_way_.empty()) End();
  EXPECT_FALSE(end.has_value());
  EXPECT_EQ(calls_.size(), 2u);
}

}  // namespace
}  // namespace lab::cacheapi
