#include "bench/report/exploration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/report/result_json.h"

namespace lab::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Two variants: one in which race 2 is open as expected, one in which 4 is closed against what was expected.
Report Explored(size_t variants) {
  Report report;
  report.run.lab = "cache-consistency";
  report.variants = {{"delete-before-update", "", "", true}, {"lease", "", "", false}};
  report.variants.resize(variants);
  for (const VariantInfo& variant : report.variants) {
    Trial trial;
    trial.variant = variant.name;
    trial.complete = true;
    Exploration explored;
    explored.casts = {{"R W", 1234, 5, 0, 3, 0.1, true}};
    explored.expected = {{2, "delete before update", variant.broken, "by its order"},
                         {4, "writer dies", !variant.broken, "nobody tells"}};
    if (variant.broken) {
      explored.races = {{2,
                         "delete before update",
                         3,
                         "R W",
                         "W:delete R:get",
                         "at rest L2 serves v1",
                         {"     R         W", "  1            delete"}}};
    }
    trial.exploration = explored;
    report.run.trials.push_back(trial);
    report.timelines.emplace_back();
  }
  return report;
}

TEST(ExplorationTest, TheTerminalShowsTableAndDiagram) {
  const std::string text = ExplorationLines(Explored(2), 100, Ansi(false));
  EXPECT_THAT(text, HasSubstr(" race                     2     4   schedules\n"));
  EXPECT_THAT(text, HasSubstr(" delete-before-update  open     -   1,234 (5 infeasible)\n"));
  EXPECT_THAT(text, HasSubstr(" lease                    -    -!   1,234 (5 infeasible)\n"));
  EXPECT_THAT(text, HasSubstr("race 2, delete before update: 3 schedules, the shortest of them: at rest L2 serves v1"));
  EXPECT_THAT(text, HasSubstr("  1            delete\n"));
  EXPECT_THAT(text, HasSubstr("--schedule \"W:delete R:get\""));
}

TEST(ExplorationTest, AReplayShowsItsDiagram) {
  Report report = Explored(1);
  report.run.trials[0].exploration->replay = true;
  report.run.trials[0].exploration->replayed = {"drawn"};
  const std::string text = ExplorationLines(report, 100, Ansi(false));
  EXPECT_THAT(text, HasSubstr("     drawn\n"));
  EXPECT_THAT(text, HasSubstr("race 2, delete before update: at rest L2 serves v1"));
  EXPECT_THAT(text, Not(HasSubstr("schedules")));
}

TEST(ExplorationTest, ThePagesShowItToo) {
  const Report report = Explored(2);
  for (const std::string& text : {ExplorationMarkdown(report), ExplorationHtml(report)}) {
    EXPECT_THAT(text, HasSubstr("delete before update"));
    EXPECT_THAT(text, HasSubstr("W:delete R:get"));
    EXPECT_THAT(text, HasSubstr("  1            delete"));
    EXPECT_THAT(text, HasSubstr("by its order"));
  }
}

TEST(ExplorationTest, NothingWhereNothingWasExplored) {
  Report report = Explored(1);
  report.run.trials[0].exploration.reset();
  EXPECT_EQ(ExplorationLines(report, 100, Ansi(false)), "");
  EXPECT_EQ(ExplorationMarkdown(report), "");
  EXPECT_EQ(ExplorationHtml(report), "");
}

TEST(ExplorationTest, IsReadBackFromItsResult) {
  const absl::StatusOr<Report> read = ParseResult(ResultJson(Explored(2)), "result.json");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_TRUE(read->run.trials[0].exploration.has_value());
  EXPECT_EQ(read->run.trials[0].exploration->races[0].diagram[1], "  1            delete");
  EXPECT_EQ(read->run.trials[1].exploration->expected[1].because, "nobody tells");
  EXPECT_EQ(ExplorationMarkdown(*read), ExplorationMarkdown(Explored(2)));
}

}  // namespace
}  // namespace lab::bench
