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
