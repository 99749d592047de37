#include "bench/explore/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "bench/explore/testing/model_world.h"

namespace lab::bench::explore {
namespace {

using ::testing::HasSubstr;

// Actors with fixed lists of steps, "a" … ; a step "lock" blocks while another actor has it, "free" gives it back.
class ListWorld : public World {
 public:
  explicit ListWorld(std::vector<std::vector<std::string>> lists) : lists_(std::move(lists)) {}
  absl::Status Begin() override {
    at_.assign(lists_.size(), 0);
    history_ = {};
    holder_ = -1;
    ++begun;
    return absl::OkStatus();
  }
  std::vector<Move> Enabled() override {
    std::vector<Move> moves;
    for (size_t i = 0; i < lists_.size(); ++i) {
      if (at_[i] < lists_[i].size()) moves.push_back({std::string(1, static_cast<char>('A' + i)), lists_[i][at_[i]]});
    }
    if (forgets && begun > 2 && history_.moves.size() == 1) moves.pop_back();
    return moves;
  }
  absl::StatusOr<Taken> Take(const Move& move) override {
    const int actor = move.actor[0] - 'A';
    if (move.step == "lock" && holder_ >= 0) return Taken::kBlocked;
    if (move.step == "lock") holder_ = actor;
    if (move.step == "free") holder_ = -1;
    ++at_[static_cast<size_t>(actor)];
    history_.moves.push_back({move, {}, false, 1});
    return Taken::kDone;
  }
  absl::StatusOr<History> Finish() override { return history_; }
  absl::StatusOr<bool> Abandon() override { return deadlocks; }

  bool forgets = false, deadlocks = false;
  int begun = 0;

 private:
  const std::vector<std::vector<std::string>> lists_;
  std::vector<size_t> at_;
  History history_;
  int holder_ = -1;
};

struct Found {
  SearchCounts counts;
  std::set<std::string> schedules;
};

Found All(World& world) {
  Found found;
  const absl::StatusOr<SearchCounts> counts = Search(
      world, [&](const History& history) { found.schedules.insert(Format(history.schedule())); }, [] { return true; });
  EXPECT_TRUE(counts.ok()) << counts.status();
  if (counts.ok()) found.counts = *counts;
  return found;
}

TEST(SearchTest, FindsEveryMergeOnce) {
  ListWorld two({{"a", "b", "c"}, {"a", "b"}});
  const Found merged = All(two);
  EXPECT_EQ(merged.counts.schedules, 10u);  // 5! / (3! 2!)
  EXPECT_EQ(merged.schedules.size(), 10u);
  EXPECT_TRUE(merged.counts.all);
  ListWorld three({{"a", "b", "c"}, {"a", "b", "c"}, {"a", "b"}});
  const Found more = All(three);
  EXPECT_EQ(more.counts.schedules, 560u);  // 8! / (3! 3! 2!)
  EXPECT_EQ(more.schedules.size(), 560u);
}

TEST(SearchTest, AnOrderThatBlocksIsNoScheduleOfItsOwn) {
  ListWorld world({{"lock", "x", "free"}, {"lock", "y", "free"}});
  const Found found = All(world);
  // One after the other, both ways round; of each, the other's lock is tried at two places.
  EXPECT_EQ(found.schedules,
            (std::set<std::string>{"A:lock A:x A:free B:lock B:y B:free", "B:lock B:y B:free A:lock A:x A:free"}));
  EXPECT_EQ(found.counts.infeasible, 4u);
  EXPECT_EQ(found.counts.deadlocks, 0u);
  world.deadlocks = true;
  EXPECT_EQ(All(world).counts.deadlocks, 4u);
}

TEST(SearchTest, AWorldThatIsNotTheSameTwiceIsRefused) {
  ListWorld world({{"a", "b"}, {"a", "b"}});
  world.forgets = true;
  const absl::StatusOr<SearchCounts> counts = Search(
      world, [](const History&) {}, [] { return true; });
  EXPECT_EQ(counts.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(counts.status().message()), HasSubstr("does not do the same twice: after A:a"));
}

TEST(SearchTest, EndsWhenItIsTold) {
  ListWorld world({{"a", "b"}, {"a", "b"}});
  int left = 3;
  const absl::StatusOr<SearchCounts> counts = Search(
      world, [](const History&) {}, [&] { return left-- > 0; });
  ASSERT_TRUE(counts.ok());
  EXPECT_EQ(counts->schedules, 3u);
  EXPECT_FALSE(counts->all);
}

TEST(SearchTest, WhatComesNextMayDependOnWhatCameBefore) {
  ModelWorld world({}, *ParseCast("R1 R2"));
  const Found found = All(world);
  EXPECT_EQ(found.schedules.count("R1:get R1:select R1:set R2:get"), 1u) << "a hit ends there";
  EXPECT_EQ(found.schedules.count("R1:get R1:select R1:set R2:get R2:select R2:set"), 0u);
  EXPECT_EQ(found.counts.schedules, 20u);  // 18 merges of two misses, and a hit behind each of the two
}

TEST(ReplayTest, MakesTheMovesAndThenTheFirstOnes) {
  ListWorld world({{"a", "b"}, {"a", "b"}});
  const absl::StatusOr<History> history = Replay(world, *ParseSchedule("B:a A:a"));
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_EQ(Format(history->schedule()), "B:a A:a A:b B:b");
}

TEST(ReplayTest, SaysWhatCanBeDoneInstead) {
  ListWorld world({{"a", "b"}, {"a", "b"}});
  const absl::StatusOr<History> history = Replay(world, *ParseSchedule("B:a B:c"));
  EXPECT_EQ(history.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(history.status().message()),
              HasSubstr("move 2, B:c, cannot be made there; what can: A:a B:b"));
  ListWorld locks({{"lock", "free"}, {"lock", "free"}});
  EXPECT_EQ(Replay(locks, *ParseSchedule("A:lock B:lock")).status().code(), absl::StatusCode::kAborted);
}

}  // namespace
}  // namespace lab::bench::explore
