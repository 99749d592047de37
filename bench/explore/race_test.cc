#include "bench/explore/race.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "bench/explore/explorer.h"
#include "bench/explore/testing/model_world.h"

namespace lab::bench::explore {
namespace {

using Fill = ModelWorld::Fill;
using Options = ModelWorld::Options;

Options DeleteAfter(Fill fill) { return {fill, {"commit", "delete"}, false, false}; }
Options DeleteBefore(Fill fill) { return {fill, {"delete", "commit"}, false, false}; }
Options Inside(Fill fill) { return {fill, {"write", "delete", "commit"}, false, false}; }
Options Twice(Fill fill) { return {fill, {"delete", "commit", "delete"}, false, false}; }
Options SetAfter(Fill fill) { return {fill, {"commit", "select", "set"}, false, false}; }
Options Versioned(Fill fill) { return {fill, {"commit", "select", "set"}, true, false}; }
Options Through(Fill fill) { return {fill, {"write", "set", "commit"}, false, false}; }
Options Bury(Fill fill) { return {fill, {"commit", "delete"}, false, true}; }
bool ByVersion(const Options& options) { return options.newer_only || options.bury; }

Explored In(const Options& options, const std::vector<std::string>& casts) {
  Explored explored;
  for (const std::string& cast : casts) explored.casts.push_back(*ParseCast(cast));
  explored.world = [options](const Cast& cast) { return std::make_unique<ModelWorld>(options, cast); };
  explored.by_version = ByVersion(options);
  return explored;
}

// What one schedule is.
int RaceOfSchedule(const Options& options, const std::string& schedule) {
  const absl::StatusOr<Exploration> found = ReplayOne(In(options, {}), *ParseSchedule(schedule));
  EXPECT_TRUE(found.ok()) << found.status();
  if (!found.ok() || found->races.empty()) return -1;
  return found->races.front().race;
}

// The schedules of the table (reference: the lab's README), one by one.
TEST(RaceTest, TheSchedulesOfTheTable) {
  EXPECT_EQ(RaceOfSchedule(DeleteAfter(Fill::kPlain), "R:get R:select W:commit W:delete R:set"), 1);
  EXPECT_EQ(RaceOfSchedule(DeleteBefore(Fill::kLease), "W:delete R:get R:select R:set W:commit"), 2);
  EXPECT_EQ(RaceOfSchedule(DeleteBefore(Fill::kPlain), "R:get R:select W:delete W:commit R:set"), 1);
  EXPECT_EQ(RaceOfSchedule(Inside(Fill::kLease), "W:write W:delete R:get R:select R:set W:commit"), 2);
  EXPECT_EQ(RaceOfSchedule(SetAfter(Fill::kLease), "W1:commit W1:select W2:commit W2:select W2:set W1:set"), 3);
  EXPECT_EQ(RaceOfSchedule(SetAfter(Fill::kLease), "R:get R:select W:commit W:select W:set R:set"), 1);
  EXPECT_EQ(RaceOfSchedule(DeleteAfter(Fill::kLease), "R:get R:select R:set W:commit W:die"), 4);
  EXPECT_EQ(RaceOfSchedule(Versioned(Fill::kNewerOnly), "R:get R:select W:commit W:select W:set C:evict R:set"), 8);
  EXPECT_EQ(RaceOfSchedule(Bury(Fill::kNewerOnly), "R:get R:select W:commit W:delete C:evict R:set"), 8);
  EXPECT_EQ(RaceOfSchedule(Versioned(Fill::kLease), "W1:commit W1:select W2:commit W2:select W2:set C:evict W1:set"),
            8);
  EXPECT_EQ(RaceOfSchedule(Through(Fill::kPlain), "W:write W:set W:die"), 18);
  EXPECT_EQ(RaceOfSchedule(Twice(Fill::kPlain), "R:get W:delete R:select W:commit W:delete R:set"), 24);
  EXPECT_EQ(RaceOfSchedule(Twice(Fill::kPlain), "R:get R:select W:delete W:commit W:delete R:set"), 24);
}

TEST(RaceTest, WhatIsRightIsNone) {
  EXPECT_EQ(RaceOfSchedule(DeleteAfter(Fill::kLease), "R:get R:select W:commit W:delete R:set"), -1);
  EXPECT_EQ(RaceOfSchedule(DeleteAfter(Fill::kPlain), "R:get R:select R:set W:commit W:delete"), -1);
  EXPECT_EQ(RaceOfSchedule(Versioned(Fill::kNewerOnly), "R:get R:select W:commit W:select W:set R:set"), -1);
}

// A read that another one's load answers, a lost write, data that do not belong to the version.
TEST(RaceTest, WhatIsLeftNowhere) {
  History history;
  history.moves = {{{"W", "commit"}, {}, false, 2}, {{"W", "delete"}, {}, false, 2}, {{"R2", "ask"}, {}, false, 2}};
  Ended writer{"W", true, 0, 0, 1, true, 2, "", true};
  Ended reader{"R2", false, 0, 2, 2, true, 1, "coalesced", false};
  history.ended = {writer, reader};
  history.rest.version = 2;
  history.rest.served = {{2, 0, false}};
  std::vector<Offence> offences = Offences(history);
  ASSERT_EQ(offences.size(), 1u);
  EXPECT_EQ(offences[0].kind, Offence::Kind::kReadYourWrites);
  EXPECT_EQ(Classify(history, offences[0], false).number, 10);

  history.ended = {writer};
  history.ended[0].applied = false;
  offences = Offences(history);
  ASSERT_EQ(offences.size(), 1u);
  EXPECT_EQ(Classify(history, offences[0], false).number, 19);

  history.ended = {};
  history.rest.served = {{2, 7, false}};
  offences = Offences(history);
  ASSERT_EQ(offences.size(), 1u);
  EXPECT_EQ(Classify(history, offences[0], false).number, 9);

  history.rest.served = {{2, 0, false}, {1, 0, true}};
  offences = Offences(history);
  ASSERT_EQ(offences.size(), 1u);
  EXPECT_EQ(Classify(history, offences[0], false).number, 13);
}

// "There is none" across an INSERT is a fill across a delete.
TEST(RaceTest, ANegativeEntryAcrossAnInsert) {
  const Stored none{Stored::Kind::kValue, 0};
  History history;
  history.moves = {{{"R", "get"}, {}, false, 0, kAllTold, {}},
                   {{"R", "select"}, {}, false, 0, kAllTold, {}},
                   {{"N", "commit"}, {}, false, 1, kAllTold, {}},
                   {{"N", "delete"}, {}, false, 1, kAllTold, {}},
                   {{"R", "set"}, none, false, 1, kAllTold, {}}};
  history.ended = {{"R", false, 0, 0, 1, true, 0, "miss", false}, {"N", true, 0, 2, 3, true, 1, "", true}};
  history.rest.version = 1;
  history.rest.stored = none;
  history.rest.served = {{0, 0, false}};
  const std::vector<Offence> offences = Offences(history);
  ASSERT_EQ(offences.size(), 1u);
  EXPECT_EQ(Classify(history, offences[0], false).number, 12);
}

// Who writes is not a matter of names; a dead writer for whom a feed has told is no cause.
TEST(RaceTest, AFeedTellsForTheDead) {
  const Stored old{Stored::Kind::kValue, 1};
  History history;
  history.moves = {{{"R", "get"}, {}, false, 1, 1, {}},     {{"R", "select"}, {}, false, 1, 1, {}},
                   {{"A", "commit"}, {}, false, 2, 1, {}},  {{"A", kDie}, {}, false, 2, 1, {}},
                   {{kFeed, "apply"}, {}, false, 2, 2, {}}, {{"R", "set"}, old, false, 2, 2, {}}};
  history.ended = {{"R", false, 0, 0, 1, true, 1, "miss", false}, {"A", true, 0, 2, -1, false, 0, "", true}};
  history.rest.version = 2;
  history.rest.stored = old;
  history.rest.served = {{1, 0, false}};
  const std::vector<Offence> offences = Offences(history);
  ASSERT_EQ(offences.size(), 1u);
  EXPECT_EQ(Classify(history, offences[0], false).number, 1);
}

std::set<int> RacesIn(const Options& options) {
  const Exploration found =
      Explore(In(options, {"R W evict die", "W1 W2 evict die", "R W1 W2 evict", "R1 R2 W expire"}));
  EXPECT_EQ(found.problem, "");
  std::set<int> races;
  for (const RaceFound& race : found.races) {
    races.insert(race.race);
    EXPECT_NE(race.race, 0) << race.offence << ": " << race.schedule;
  }
  return races;
}

// Every offence of every schedule has a name, and each order of steps has just its own: the shape of the matrix.
TEST(RaceTest, EveryModeHasItsOwn) {
  using Set = std::set<int>;
  EXPECT_EQ(RacesIn(DeleteAfter(Fill::kPlain)), (Set{1, 4}));
  EXPECT_EQ(RacesIn(DeleteAfter(Fill::kLease)), (Set{4}));
  EXPECT_EQ(RacesIn(DeleteBefore(Fill::kPlain)), (Set{1, 2}));
  EXPECT_EQ(RacesIn(DeleteBefore(Fill::kLease)), (Set{2}));
  EXPECT_EQ(RacesIn(Inside(Fill::kPlain)), (Set{1, 2}));
  EXPECT_EQ(RacesIn(Inside(Fill::kLease)), (Set{2}));
  EXPECT_EQ(RacesIn(Twice(Fill::kPlain)), (Set{1, 2, 4, 24}));
  EXPECT_EQ(RacesIn(Twice(Fill::kLease)), (Set{2, 4}));
  EXPECT_EQ(RacesIn(SetAfter(Fill::kPlain)), (Set{1, 3, 4}));
  EXPECT_EQ(RacesIn(SetAfter(Fill::kLease)), (Set{1, 3, 4}));
  EXPECT_EQ(RacesIn(Versioned(Fill::kNewerOnly)), (Set{4, 8}));
  EXPECT_EQ(RacesIn(Versioned(Fill::kLease)), (Set{4, 8}));
  EXPECT_EQ(RacesIn(Through(Fill::kPlain)), (Set{1, 2, 18}));
  EXPECT_EQ(RacesIn(Through(Fill::kLease)), (Set{1, 2, 18}));
  EXPECT_EQ(RacesIn(Bury(Fill::kNewerOnly)), (Set{4, 8}));
  EXPECT_EQ(RacesIn(Bury(Fill::kLease)), (Set{4}));
}

}  // namespace
}  // namespace lab::bench::explore
