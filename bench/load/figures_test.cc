#include "bench/load/figures.h"

#include <gtest/gtest.h>

namespace lab::bench {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

Op Ended(int64_t intended_ms, int64_t latency_ms, Outcome outcome, Answer answer = Answer::kNone) {
  Op op;
  op.intended_ns = intended_ms * kMillisecond;
  op.sent_ns = (intended_ms + 1) * kMillisecond;
  op.done_ns = (intended_ms + latency_ms) * kMillisecond;
  op.outcome = outcome;
  op.answer = answer;
  return op;
}

// A call that failed at once would make a broken server look fast, and one that timed out would make it look slow.
TEST(LoadFiguresTest, TimesOnlyWhatEndedWellInTheWindow) {
  const std::vector<Op> ops = {Ended(100, 50, Outcome::kOk),
                               Ended(1000, 10, Outcome::kOk, Answer::kLimited),
                               Ended(1500, 10, Outcome::kOk, Answer::kAdmitted),
                               Ended(1600, 2, Outcome::kFailed),
                               Ended(1700, 900, Outcome::kUnknown),
                               Ended(3000, 40, Outcome::kOk)};
  const LoadFigures figures = FiguresOf(ops, 1, 3);
  EXPECT_EQ(figures.ok_per_s, 1);
  EXPECT_EQ(figures.latency.count(), 2u);
  EXPECT_NEAR(static_cast<double>(figures.latency.max()), 10e6, 1e5);
  EXPECT_EQ(figures.service.count(), 2u);
  EXPECT_NEAR(static_cast<double>(figures.service.max()), 9e6, 1e5);
  EXPECT_EQ(figures.lag.count(), 4u);
}

TEST(LoadFiguresTest, CountsEveryOutcomeOfTheWholeLoad) {
  Op dropped;
  dropped.intended_ns = 1500 * kMillisecond;
  std::vector<Op> ops = {Ended(100, 50, Outcome::kOk, Answer::kLimited), Ended(1600, 2, Outcome::kFailed),
                         Ended(1700, 900, Outcome::kUnknown), dropped, dropped};
  ops[1].code = 8;
  ops[2].code = 14;
  const LoadFigures figures = FiguresOf(ops, 1, 3);
  EXPECT_EQ(figures.sent, 3u);
  EXPECT_EQ(figures.ok, 1u);
  EXPECT_EQ(figures.failed, 1u);
  EXPECT_EQ(figures.unknown, 1u);
  EXPECT_EQ(figures.dropped, 2u);
  EXPECT_EQ(figures.limited, 1u);
  EXPECT_EQ(figures.first_code, 8);
  EXPECT_EQ(figures.lag.count(), 2u);
  EXPECT_EQ(figures.ok_per_s, 0);
}

TEST(LoadFiguresTest, NothingIsNoRate) { EXPECT_EQ(FiguresOf({}, 1, 1).ok_per_s, 0); }

}  // namespace
}  // namespace lab::bench
