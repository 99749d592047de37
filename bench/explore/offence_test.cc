#include "bench/explore/offence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lab::bench::explore {
namespace {

using Kind = Offence::Kind;
using ::testing::IsEmpty;

History At(uint64_t database, Stored stored, std::vector<AtRest::Served> served) {
  History history;
  history.rest.version = database;
  history.rest.stored = stored;
  history.rest.served = std::move(served);
  return history;
}
Stored V(uint64_t version) { return {Stored::Kind::kValue, version}; }

Ended Read(const char* actor, int asked, int answered, uint64_t version) {
  return {actor, false, 0, asked, answered, true, version, "hit", false};
}
Ended Written(const char* actor, int asked, int answered, uint64_t version) {
  return {actor, true, 0, asked, answered, true, version, "", true};
}

TEST(OffenceTest, WhatTheDatabaseHasMayBeServed) {
  EXPECT_THAT(Offences(At(2, V(2), {{2, 0, false}, {2, 0, true}})), IsEmpty());
  EXPECT_THAT(Offences(At(2, {}, {{2, 0, false}})), IsEmpty());
  EXPECT_THAT(Offences(At(2, {Stored::Kind::kTombstone, 1}, {{2, 0, false}})), IsEmpty());
}

TEST(OffenceTest, StaleAtRestIsToldOnceForEachPlace) {
  const std::vector<Offence> offences = Offences(At(3, V(2), {{2, 0, false}, {1, 0, true}, {3, 0, false}}));
  ASSERT_EQ(offences.size(), 2u);
  EXPECT_EQ(offences[0].kind, Kind::kStaleAtRest);
  EXPECT_EQ(offences[0].text, "at rest L2 serves v2, the database has v3");
  EXPECT_TRUE(offences[1].local);
  EXPECT_EQ(offences[1].text, "at rest L1 of replica 1 serves v1, the database has v3");
}

TEST(OffenceTest, WhatWasNeverCommittedIsAnother) {
  const std::vector<Offence> offences = Offences(At(1, V(2), {{2, 0, false}}));
  ASSERT_EQ(offences.size(), 1u);
  EXPECT_EQ(offences[0].kind, Kind::kNeverCommitted);
  History dirty = At(1, {}, {{1, 0, false}});
  dirty.ended = {Read("R", 0, 1, 2)};
  ASSERT_EQ(Offences(dirty).size(), 1u);
  EXPECT_EQ(Offences(dirty)[0].kind, Kind::kNeverCommitted);
}

TEST(OffenceTest, TheRightVersionOfOtherData) {
  History history = At(2, V(2), {{2, 9, false}});
  history.rest.correction = 1;
  ASSERT_EQ(Offences(history).size(), 1u);
  EXPECT_EQ(Offences(history)[0].kind, Kind::kOtherBody);
}

// W is told of v2 and R reads v1 in L2: wrong, unless who tells L2 has not come yet.
TEST(OffenceTest, WhatIsOnItsWayIsLate) {
  History history = At(2, {}, {{2, 0, false}});
  history.ended = {Written("W", 0, 0, 2), Read("R", 1, 1, 1)};
  history.ended[1].looked = 1;
  history.moves = {{{"W", "commit"}, V(1), false, 2, 1, {}}, {{"R", "get"}, V(1), false, 2, 1, {}}};
  std::vector<Offence> offences = Offences(history);
  ASSERT_EQ(offences.size(), 2u) << "who read, and whoever would have";
  EXPECT_TRUE(offences[0].late && offences[1].late);
  history.moves.push_back({{"feed", "apply"}, V(1), false, 2, 2, {}});
  offences = Offences(history);
  ASSERT_EQ(offences.size(), 2u);
  EXPECT_TRUE(offences[0].late);
  EXPECT_FALSE(offences[1].late) << "it was told, and L2 has the old one";
  for (Seen& seen : history.moves) seen.told = kAllTold;
  EXPECT_FALSE(Offences(history)[0].late);
}

TEST(OffenceTest, AReplicaIsLateWhileAPushIsOnItsWay) {
  History history = At(2, {}, {{2, 0, false}, {2, 0, false}});
  history.ended = {Written("W", 0, 0, 2), Read("R@1", 1, 1, 1)};
  history.ended[1].replica = history.ended[1].looked = 1;
  history.ended[1].how = "hit l1";
  history.moves = {{{"W", "delete"}, {}, false, 2, kAllTold, {1}}, {{"R@1", "ask"}, {}, false, 2, kAllTold, {1}}};
  ASSERT_EQ(Offences(history).size(), 1u);
  EXPECT_TRUE(Offences(history)[0].late);
  history.moves[1].untold_replicas = {0};
  EXPECT_FALSE(Offences(history)[0].late) << "to another one";
  history.moves[1].untold_replicas = {1};
  history.ended[1].how = "hit l2";
  EXPECT_FALSE(Offences(history)[0].late) << "L2 has been told";
}

TEST(OffenceTest, WhatIsLeftAtRestIsNeverLate) {
  History history = At(2, V(1), {{1, 0, false}});
  history.moves = {{{"W", "commit"}, V(1), false, 2, 1, {0}}};
  for (const Offence& offence : Offences(history)) EXPECT_FALSE(offence.late) << offence.text;
}

TEST(OffenceTest, WhoAsksAfterTheWriteMustSeeIt) {
  History history = At(2, {}, {{2, 0, false}});
  history.ended = {Written("W", 0, 3, 2), Read("R", 4, 5, 1)};
  ASSERT_EQ(Offences(history).size(), 1u);
  EXPECT_EQ(Offences(history)[0].kind, Kind::kReadYourWrites);
  EXPECT_EQ(Offences(history)[0].text, "R reads v1 after W was told that v2 is written");
  history.ended[1].asked = 3;  // before, or with, the answer: they overlap
  EXPECT_THAT(Offences(history), IsEmpty());
  history.ended[1].asked = 4;
  history.ended[0].answered = -1;  // the writer died: nobody knows of its write
  EXPECT_THAT(Offences(history), IsEmpty());
}

TEST(OffenceTest, WhatL2HoldsAfterTheWriteWouldBeRead) {
  History history = At(2, {}, {{2, 0, false}});
  history.moves = {{{"W", "commit"}, V(1), false, 2}, {{"W", "delete"}, {}, false, 2}};
  history.ended = {Written("W", 0, 1, 2)};
  EXPECT_THAT(Offences(history), IsEmpty()) << "it is told behind the delete";
  history.ended = {Written("W", 0, 0, 2)};
  ASSERT_EQ(Offences(history).size(), 1u);
  EXPECT_EQ(Offences(history)[0].kind, Kind::kReadYourWrites);
  EXPECT_EQ(Offences(history)[0].text, "for a while L2 serves v1 after W was told that v2 is written");
}

TEST(OffenceTest, ReadsGoForward) {
  History history = At(2, {}, {{2, 0, false}});
  history.ended = {Read("R1", 0, 2, 2), Read("R2", 3, 4, 1)};
  ASSERT_EQ(Offences(history).size(), 1u);
  EXPECT_EQ(Offences(history)[0].kind, Kind::kMonotonicRead);
  history.ended[1].asked = 1;
  EXPECT_THAT(Offences(history), IsEmpty());
}

TEST(OffenceTest, AnAcknowledgedWriteIsThere) {
  History history = At(1, {}, {{1, 0, false}});
  history.ended = {Written("W", 0, 3, 1)};
  EXPECT_THAT(Offences(history), IsEmpty());
  history.ended[0].applied = false;
  ASSERT_EQ(Offences(history).size(), 1u);
  EXPECT_EQ(Offences(history)[0].kind, Kind::kLostWrite);
}

}  // namespace
}  // namespace lab::bench::explore
