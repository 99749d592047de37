#include "bench/report/accounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/report/card.h"
#include "bench/report/html.h"
#include "bench/report/markdown.h"
#include "bench/report/result_json.h"
#include "bench/report/summary.h"
#include "bench/report/testing/synthetic.h"

namespace lab::bench {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

Report WithAccounts() {
  Report report = MakeReport(testing::SyntheticLab(), testing::SyntheticRun(7, 200));
  Verdict& verdict = report.run.verdict;
  verdict.noise = {{"deny", "p99_before", 1.01, 0.94, 1.07, 5, ""},
                   {"deny", "admitted_ratio", {}, {}, {}, 5, "has no ratio: it is 0 in some blocks"}};
  for (const char* variant : {"deny", "allow"}) {
    const bool deny = std::string(variant) == "deny";
    RecoveryAccount account{variant, "redis.pause#1", "pause", {}};
    account.values = {{variant, "detect", 0.0213, "s", 4, "", false},
                      {variant, "heal", 0.0031, "s", 4, "", false},
                      {variant, "right_again", 2.5, "s", 9'000, "", deny},
                      {variant, "goodput_lost", deny ? 1'600.0 : 0.0, "ops", 9'000, "", false},
                      {variant, "lost_time", deny ? 4.0 : 0.0, "s", 9'000, "", false},
                      {variant, "attempts", std::nullopt, "x", 0, "no part counts both", false},
                      {variant, "drained", 0.01, "s", 300, "", false}};
    verdict.recoveries.push_back(account);
  }
  return report;
}

TEST(AccountsTest, TheTerminalShowsWhatEachFaultCost) {
  const std::string text = Summary(WithAccounts(), {false, 100}, "x");
  EXPECT_THAT(text, ContainsRegex("fault +variant +right again +goodput lost +lost for +drained"));
  EXPECT_THAT(text, ContainsRegex("redis.pause#1 +deny +> 2.5 s +1,?600.* +4 s +10 ms"));
  EXPECT_THAT(text, ContainsRegex("\n +allow +2.5 s"));
  EXPECT_THAT(text, HasSubstr("noise: the same design (deny) against itself: p99_before 0.94 … 1.07x (5 blocks)"));
  Report without = WithAccounts();
  for (Noise& noise : without.run.verdict.noise) {
    noise.low.reset();
    noise.why = "is not known: a busy neighbour";
  }
  EXPECT_EQ(NoiseLine(without),
            "the same design (deny) against itself: p99_before, admitted_ratio is not known: a busy neighbour");
}

TEST(AccountsTest, TheReportsShowAllOfIt) {
  const Report report = WithAccounts();
  for (const std::string& text : {MarkdownReport(report), HtmlReport(report)}) {
    EXPECT_THAT(text, HasSubstr("attempts/request"));
    EXPECT_THAT(text, HasSubstr("21.3 ms"));
    EXPECT_THAT(text, HasSubstr("0.94 … 1.07x"));
    EXPECT_THAT(text, HasSubstr("is 0 in some blocks"));
  }
  EXPECT_THAT(HtmlReport(report), HasSubstr("title=\"no part counts both\""));
}

TEST(AccountsTest, EveryCardOfAComparisonCarriesItsNoise) {
  Report report = WithAccounts();
  const std::string noise = NoiseLine(report);
  EXPECT_THAT(*CardOf(report, "# A card\n", "card.md"), HasSubstr("**Noise.** " + noise));
  const std::string placed = *CardOf(report, "# A card, {{run.noise}}\n", "card.md");
  EXPECT_THAT(placed, HasSubstr("# A card, " + noise));
  EXPECT_THAT(placed, Not(HasSubstr("**Noise.**")));
  report.run.verdict.noise.clear();
  EXPECT_THAT(*CardOf(report, "# A card\n", "card.md"), Not(HasSubstr("Noise")));
}

TEST(AccountsTest, AreReadBackAsTheyWereWritten) {
  const Report report = WithAccounts();
  const absl::StatusOr<Report> read = ParseResult(ResultJson(report), "result.json");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(NoiseLine(*read), NoiseLine(report));
  ASSERT_EQ(read->run.verdict.recoveries.size(), 2u);
  EXPECT_EQ(AccountText(read->run.verdict.recoveries[0], "right_again"), "> 2.5 s");
  EXPECT_EQ(AccountWhy(read->run.verdict.recoveries[0], "attempts"), "no part counts both");
}

TEST(AccountsTest, ARunThatComparesNothingSaysNothingOfNoise) {
  const Report report = MakeReport(testing::SyntheticLab(), testing::SyntheticRun(7, 200));
  EXPECT_EQ(NoiseLine(report), "");
  EXPECT_THAT(Summary(report, {false, 100}, "x"), Not(HasSubstr("noise")));
  EXPECT_THAT(MarkdownReport(report), Not(HasSubstr("Recovery")));
}

}  // namespace
}  // namespace lab::bench
