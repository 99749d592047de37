#include "bench/explore/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lab::bench::explore {
namespace {

using ::testing::HasSubstr;

TEST(ScheduleTest, ReadsWhatItWrites) {
  const std::string text = "R1:get W1@1:write C:evict W1@1:die R1:select";
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(Format(*schedule), text);
  EXPECT_EQ((*schedule)[1], (Move{"W1@1", "write"}));
}

TEST(ScheduleTest, SaysWhichWordIsWrong) {
  for (const char* bad : {"R1", "R1:", ":get", "R1:GET", "R1:get W1;commit"}) {
    EXPECT_FALSE(ParseSchedule(bad).ok()) << bad;
  }
  EXPECT_THAT(std::string(ParseSchedule("R1:get nonsense").status().message()), HasSubstr("\"nonsense\""));
  EXPECT_FALSE(ParseSchedule("  ").ok());
  std::string endless;
  for (size_t i = 0; i <= kMostMoves; ++i) endless += "R:get ";
  EXPECT_FALSE(ParseSchedule(endless).ok());
}

TEST(CastTest, NamesActorsAndEvents) {
  const absl::StatusOr<Cast> cast = ParseCast("R1 R2@1 W evict die");
  ASSERT_TRUE(cast.ok()) << cast.status();
  ASSERT_EQ(cast->actors.size(), 3u);
  EXPECT_FALSE(cast->actors[0].writes);
  EXPECT_EQ(cast->actors[1].replica, 1);
  EXPECT_TRUE(cast->actors[2].writes);
  EXPECT_TRUE(cast->evict && cast->die);
  EXPECT_FALSE(cast->expire);
  EXPECT_TRUE(cast->MayDie("W", true));
  EXPECT_FALSE(cast->MayDie("R1", false));
}

TEST(CastTest, NamesWhoElseMayDie) {
  const absl::StatusOr<Cast> cast = ParseCast("R W R:die feed:die");
  ASSERT_TRUE(cast.ok()) << cast.status();
  EXPECT_TRUE(cast->MayDie("R", false) && cast->MayDie(kFeed, false));
  EXPECT_FALSE(cast->MayDie("W", true));
  EXPECT_THAT(std::string(ParseCast("R W R2:die").status().message()), HasSubstr("R2:die"));
}

TEST(CastTest, RefusesWhatIsNone) {
  for (const char* bad : {"", "evict", "X", "R R", "R@x", "R@99", "R1 R2 R3 W1 W2", "r", "R R:dies", "R :die"}) {
    EXPECT_FALSE(ParseCast(bad).ok()) << bad;
  }
}

TEST(CastTest, IsThatOfASchedule) {
  const absl::StatusOr<Cast> cast = CastOf(*ParseSchedule("R1:get W:commit apply:apply C:expire W:die R1:select"));
  ASSERT_TRUE(cast.ok()) << cast.status();
  EXPECT_EQ(cast->text, "R1 W");
  EXPECT_TRUE(cast->expire && cast->MayDie("W", true));
  EXPECT_FALSE(cast->evict);
  EXPECT_FALSE(CastOf(*ParseSchedule("C:rain R:get")).ok());
}

}  // namespace
}  // namespace lab::bench::explore
