#include "services/cacheapi/origin/admission.h"

#include <gtest/gtest.h>

namespace lab::cacheapi {
namespace {

using Verdict = Admission::Verdict;

class AdmissionTest : public testing::Test {
 protected:
  void Run(int running, int waiting) {
    for (int i = 0; i < running; ++i) admission_.Begins();
    for (int i = 0; i < waiting; ++i) admission_.Waits();
  }
  Verdict Arrives(Nanos time) const { return admission_.Arrives(now_, now_ + time); }

  Admission admission_{{.concurrency = 2, .max_waiting = 4}};
  Clock::time_point now_ = Clock::time_point(std::chrono::hours(1));
};

TEST_F(AdmissionTest, SoManyAtOnceAndTheOthersWait) {
  EXPECT_EQ(Arrives(Millis(1)), Verdict::kGo);
  Run(1, 0);
  EXPECT_EQ(Arrives(Millis(1)), Verdict::kGo);
  Run(1, 0);
  EXPECT_EQ(Arrives(Millis(1)), Verdict::kWait);
  Run(0, 4);
  EXPECT_EQ(Arrives(Millis(1)), Verdict::kFull);
}

TEST_F(AdmissionTest, NobodyOvertakesThoseWhoWait) {
  Run(1, 1);
  EXPECT_EQ(Arrives(Millis(1)), Verdict::kWait);
}

TEST_F(AdmissionTest, RefusesWhoseTimeWouldBeOver) {
  admission_.Took(Millis(10));
  Run(2, 2);
  // Two ahead, two at once: 15 ms until its turn, 10 ms for itself.
  EXPECT_EQ(admission_.Expected(), Nanos(Millis(25)));
  EXPECT_EQ(Arrives(Millis(24)), Verdict::kTooLate);
  EXPECT_EQ(Arrives(Millis(25)), Verdict::kWait);
}

TEST_F(AdmissionTest, BeforeAnyAnswerNobodyIsRefused) {
  Run(2, 2);
  EXPECT_EQ(Arrives(Nanos(0)), Verdict::kWait);
}

// Else a database that was slow once would never be asked again, and nobody would learn that it is fast.
TEST_F(AdmissionTest, TheOnlyOneGoesHoweverSlowItWasLately) {
  admission_.Took(std::chrono::seconds(5));
  EXPECT_EQ(Arrives(Millis(10)), Verdict::kGo);
  Run(1, 0);
  EXPECT_EQ(Arrives(Millis(10)), Verdict::kTooLate);
}

TEST_F(AdmissionTest, ForgetsASlowTimeWithinSomeAnswers) {
  admission_.Took(std::chrono::seconds(1));
  for (int i = 0; i < 60; ++i) admission_.Took(Millis(1));
  Run(2, 0);
  EXPECT_EQ(Arrives(Millis(10)), Verdict::kWait);
}

TEST(AdmissionFifoTest, ServesInTurnHoweverLate) {
  Admission admission({.concurrency = 1, .max_waiting = 2, .shed = false});
  admission.Took(std::chrono::seconds(1));
  admission.Begins();
  const Clock::time_point now(std::chrono::hours(1));
  EXPECT_EQ(admission.Arrives(now, now), Verdict::kWait);
  admission.Waits();
  admission.Waits();
  EXPECT_EQ(admission.Arrives(now, now), Verdict::kFull);
}

}  // namespace
}  // namespace lab::cacheapi
