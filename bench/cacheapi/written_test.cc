#include "bench/cacheapi/written.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lab::bench::cacheapi {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

Op Write(uint32_t key, Outcome outcome, Answer answer = Answer::kNone, uint32_t version = 0) {
  Op op;
  op.key = key;
  op.ask = Ask::kWrite;
  op.outcome = outcome;
  op.answer = answer;
  op.version = version;
  return op;
}

TEST(WrittenTest, TheNewestVersionThatWasTold) {
  EXPECT_THAT(LeastVersions({Write(3, Outcome::kOk, Answer::kWritten, 5), Write(3, Outcome::kOk, Answer::kWritten, 4)}),
              ElementsAre(Pair(3, 5)));
}

TEST(WrittenTest, AWriteInTheQueueMakesOneMore) {
  EXPECT_THAT(LeastVersions({Write(3, Outcome::kOk, Answer::kQueued), Write(3, Outcome::kOk, Answer::kQueued),
                             Write(4, Outcome::kOk, Answer::kQueued)}),
              ElementsAre(Pair(3, 3), Pair(4, 2)));
}

TEST(WrittenTest, WhatIsNotAcknowledgedIsReadAndAsksForNothing) {
  Op read;
  read.key = 9;
  read.outcome = Outcome::kOk;
  read.version = 8;
  EXPECT_THAT(LeastVersions({Write(1, Outcome::kUnknown), Write(2, Outcome::kFailed), Write(3, Outcome::kDropped),
                             Write(4, Outcome::kOk, Answer::kLimited), read}),
              ElementsAre(Pair(1, 0), Pair(2, 0), Pair(4, 0)));
}

}  // namespace
}  // namespace lab::bench::cacheapi
