#include "bench/explore/diagram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/explore/testing/model_world.h"

namespace lab::bench::explore {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(DiagramTest, ShowsWhoDidWhatAndWhatWasThereThen) {
  ModelWorld world({ModelWorld::Fill::kLease, {"delete", "commit"}, false, false}, *ParseCast("R W"));
  const absl::StatusOr<History> history = Replay(world, *ParseSchedule("W:delete R:get R:select R:set W:commit"));
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_THAT(Diagram(*history), ElementsAre("     R                 W                | L2         PostgreSQL",
                                             "  1                    delete           | -          v1",
                                             "  2  get: lease                         | -, leased  v1",
                                             "  3  select: v1 => v1                   | -, leased  v1",
                                             "  4  set v1                             | v1         v1",
                                             "  5                    commit v2 => v2  | v1         v2"));
}

TEST(DiagramTest, ShowsWhatTheEnvironmentDoesAndStoresThatAreRefused) {
  ModelWorld world({ModelWorld::Fill::kLease, {"commit", "delete"}, false, false}, *ParseCast("R W die expire"));
  const absl::StatusOr<History> history = Replay(world, *ParseSchedule("R:get R:select C:expire R:set W:commit W:die"));
  ASSERT_TRUE(history.ok()) << history.status();
  const std::vector<std::string> lines = Diagram(*history);
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_THAT(lines[3], HasSubstr("expire"));
  EXPECT_THAT(lines[4], HasSubstr("set: no effect"));
  EXPECT_THAT(lines[6], HasSubstr("dies"));
}

}  // namespace
}  // namespace lab::bench::explore
