#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "bench/judge/testing/cache_trials.h"

// What can be said of writes that are acknowledged before they are applied, and tell no version.
namespace lab::bench {
namespace {

using testing::kMs;
using testing::NumberOf;
using testing::OneKey;

// Acknowledged after 2 ms.
Op Queued(int64_t at_ms, uint16_t session) {
  Op op = testing::At(at_ms * kMs, 2 * kMs, Answer::kQueued);
  op.ask = Ask::kWrite;
  op.session = session;
  return op;
}

Op Read(int64_t at_ms, uint32_t version, uint16_t session) {
  Op op = testing::At(at_ms * kMs, 1 * kMs, Answer::kHitShared);
  op.version = version;
  op.session = session;
  return op;
}

TEST(QueuedWritesTest, AReadThatMissesAnAcknowledgedWriteIsStale) {
  const Trial trial = OneKey({Queued(100, 1), Read(101, 1, 2), Read(110, 1, 2), Read(150, 1, 1), Read(160, 2, 1)});
  EXPECT_EQ(NumberOf(trial, "stale_reads"), 2) << "not the one that overlaps it, not the one that has it";
  EXPECT_EQ(NumberOf(trial, "staleness_max"), 0.048);
  EXPECT_EQ(NumberOf(trial, "read_your_writes"), 1);
  EXPECT_EQ(NumberOf(trial, "monotonic_reads"), 0);
  EXPECT_EQ(NumberOf(trial, "inconsistent_after{t=10ms}"), 1);
}

TEST(QueuedWritesTest, OnceItIsAppliedNothingIsStale) {
  const Trial trial = OneKey({Queued(100, 1), Queued(200, 1), Read(210, 3, 1), Read(1'210, 3, 2)});
  EXPECT_EQ(NumberOf(trial, "stale_reads"), 0);
  EXPECT_EQ(NumberOf(trial, "read_your_writes"), 0);
  EXPECT_EQ(NumberOf(trial, "inconsistent_after{t=10ms}"), 0);
}

TEST(QueuedWritesTest, WhatWasThereBeforeIsNotCounted) {
  const Trial trial = OneKey({Read(50, 7, 1), Queued(100, 1), Read(110, 8, 1), Read(120, 7, 2)});
  EXPECT_EQ(NumberOf(trial, "stale_reads"), 1) << "version 7 was there before the first write";
  EXPECT_EQ(NumberOf(trial, "read_your_writes"), 0);
}

// Either of two that overlap may be the one that is applied first: one of them is missing, nobody knows whose.
TEST(QueuedWritesTest, OfTwoAtATimeNobodyIsSaidToMissTheirOwn) {
  const Trial trial = OneKey({Queued(100, 1), Queued(101, 2), Read(110, 2, 1), Read(110, 2, 2)});
  EXPECT_EQ(NumberOf(trial, "stale_reads"), 2);
  EXPECT_EQ(NumberOf(trial, "read_your_writes"), 0);
}

TEST(QueuedWritesTest, AWriteWithoutAnAnswerOnlyMakesMoreVersions) {
  Op unknown = Queued(90, 3);
  unknown.outcome = Outcome::kUnknown;
  unknown.answer = Answer::kNone;
  const Trial trial = OneKey({unknown, Read(95, 2, 1), Queued(100, 1), Read(110, 3, 1), Read(120, 2, 2)});
  EXPECT_EQ(NumberOf(trial, "read_your_writes"), 0);
  EXPECT_EQ(NumberOf(trial, "stale_reads"), 0) << "version 2 may be the one that was acknowledged";
  EXPECT_EQ(NumberOf(trial, "monotonic_reads"), 0);
}

TEST(QueuedWritesTest, WhereVersionsAreToldTheyAreNotCounted) {
  Op told = Queued(300, 1);
  told.answer = Answer::kWritten;
  told.version = 4;
  const Trial trial = OneKey({Queued(100, 1), Read(110, 1, 1), told, Read(310, 3, 2)});
  EXPECT_EQ(NumberOf(trial, "stale_reads"), 1) << "by version 4 alone";
}

}  // namespace
}  // namespace lab::bench
