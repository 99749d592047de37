#include "services/runtime/async/breaker.h"

#include <gtest/gtest.h>

namespace lab::async {
namespace {

using State = Breaker::State;

class BreakerTest : public testing::Test {
 protected:
  void Fail(int times) {
    for (int i = 0; i < times; ++i) breaker_.Failed(now_);
  }
  void Open() {
    Fail(3);
    ASSERT_EQ(breaker_.state(), State::kOpen);
  }
  bool Allow() { return breaker_.Allow(now_); }

  Breaker breaker_{{.failures = 3, .ratio = 0.5, .window = 10, .open_for = Millis(100), .probes = 2}};
  Clock::time_point now_{std::chrono::hours(1)};
};

TEST_F(BreakerTest, StaysClosedWhenASuccessInterruptsTheFailures) {
  Fail(2);
  breaker_.Succeeded(now_);
  Fail(2);
  EXPECT_EQ(breaker_.state(), State::kClosed);
  EXPECT_TRUE(Allow());
}

TEST_F(BreakerTest, OpensAfterFailuresInARow) {
  Open();
  EXPECT_FALSE(Allow());
  EXPECT_EQ(breaker_.opened(), 1);
}

TEST_F(BreakerTest, OpensWhenTooMuchOfAWindowFails) {
  // Two of three fail: never three in a row, but seven of the first ten.
  for (int i = 0; i < 10; ++i) i % 3 == 1 ? breaker_.Succeeded(now_) : breaker_.Failed(now_);
  EXPECT_EQ(breaker_.state(), State::kOpen);
}

TEST_F(BreakerTest, StaysClosedWhenHalfOfAWindowFails) {
  for (int i = 0; i < 100; ++i) i % 2 == 0 ? breaker_.Succeeded(now_) : breaker_.Failed(now_);
  EXPECT_EQ(breaker_.state(), State::kClosed);
}

TEST_F(BreakerTest, LetsNothingThroughBeforeItsTime) {
  Open();
  now_ += Millis(99);
  EXPECT_FALSE(Allow());
  EXPECT_EQ(breaker_.state(), State::kOpen);
}

TEST_F(BreakerTest, LetsSingleProbesThroughWhenHalfOpen) {
  Open();
  now_ += Millis(100);
  EXPECT_TRUE(Allow());
  EXPECT_EQ(breaker_.state(), State::kHalfOpen);
  EXPECT_FALSE(Allow());
  breaker_.Succeeded(now_);
  EXPECT_EQ(breaker_.state(), State::kHalfOpen);
  EXPECT_TRUE(Allow());
  EXPECT_FALSE(Allow());
}

TEST_F(BreakerTest, ClosesAfterItsProbesSucceeded) {
  Open();
  now_ += Millis(100);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Allow());
    breaker_.Succeeded(now_);
  }
  EXPECT_EQ(breaker_.state(), State::kClosed);
  Fail(2);
  EXPECT_EQ(breaker_.state(), State::kClosed) << "the failures before it opened are forgotten";
}

TEST_F(BreakerTest, OpensAgainWhenAProbeFails) {
  Open();
  now_ += Millis(100);
  ASSERT_TRUE(Allow());
  breaker_.Failed(now_);
  EXPECT_EQ(breaker_.state(), State::kOpen);
  EXPECT_EQ(breaker_.opened(), 2);
  now_ += Millis(99);
  EXPECT_FALSE(Allow()) << "open_for counts from the failed probe";
  now_ += Millis(1);
  EXPECT_TRUE(Allow());
}

TEST_F(BreakerTest, ReplacesAProbeThatIsNeverAnsweredFor) {
  Open();
  now_ += Millis(100);
  ASSERT_TRUE(Allow());
  now_ += Millis(99);
  EXPECT_FALSE(Allow());
  now_ += Millis(1);
  EXPECT_TRUE(Allow());
}

TEST_F(BreakerTest, IgnoresLateResultsWhileOpen) {
  Open();
  breaker_.Succeeded(now_);
  breaker_.Failed(now_);
  EXPECT_EQ(breaker_.state(), State::kOpen);
  EXPECT_EQ(breaker_.opened(), 1);
}

}  // namespace
}  // namespace lab::async
