#include "bench/explore/feed_state.h"

#include <gtest/gtest.h>

#include "bench/explore/history.h"

namespace lab::bench::explore {
namespace {

TEST(FeedStateTest, WithoutAFeedAllIsTold) {
  FeedState state(FeedKind::kNone);
  state.Made({"W", "commit"}, 2);
  EXPECT_EQ(state.told(), kAllTold);
  EXPECT_FALSE(state.MayTake());
}

TEST(FeedStateTest, AnOutboxTellsOfWhatItHasTaken) {
  FeedState state(FeedKind::kOutbox);
  EXPECT_FALSE(state.MayTake());
  state.Made({"W1", "commit"}, 2);
  EXPECT_TRUE(state.MayTake());
  state.Made({kFeed, "take"}, 2);
  EXPECT_FALSE(state.MayTake());
  state.Made({"W2", "commit"}, 3);
  EXPECT_TRUE(state.MayTake()) << "behind the batch";
  state.Made({kFeed, "apply"}, 3);
  EXPECT_EQ(state.told(), 2u) << "the second is not in it";
  state.Made({kFeed, "commit"}, 3);
  EXPECT_TRUE(state.MayTake());
}

TEST(FeedStateTest, WhatAFeedHasNotEndedComesAgain) {
  for (const FeedKind kind : {FeedKind::kOutbox, FeedKind::kQueue}) {
    FeedState state(kind);
    state.Made({"W", kind == FeedKind::kOutbox ? "commit" : "enqueue"}, 2);
    state.Made({kFeed, "take"}, 2);
    state.Made({kFeed, kDie}, 2);
    EXPECT_TRUE(state.MayTake());
    EXPECT_EQ(state.told(), 1u);
    state.Begin();
    EXPECT_FALSE(state.MayTake());
  }
}

TEST(FeedStateTest, TheLogTellsOfEachCommitInItsTurn) {
  FeedState state(FeedKind::kLog);
  state.Made({"W1", "commit"}, 2);
  state.Made({"W2", "commit"}, 3);
  EXPECT_EQ(state.coming(), 2u);
  state.Made({kFeed, kDie}, 3);
  EXPECT_EQ(state.coming(), 2u) << "they come again";
  state.Made({kFeed, "apply"}, 3);
  EXPECT_EQ(state.told(), 2u);
  EXPECT_EQ(state.coming(), 1u);
}

TEST(FeedStateTest, TheQueueCommitsByItself) {
  FeedState state(FeedKind::kQueue);
  state.Made({"W", "enqueue"}, 1);
  state.Made({kFeed, "take"}, 1);
  state.Made({kFeed, "commit"}, 2);
  EXPECT_EQ(state.told(), 1u);
  state.Made({kFeed, "apply"}, 2);
  EXPECT_EQ(state.told(), 2u);
}

}  // namespace
}  // namespace lab::bench::explore
