#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/cli/calibration.h"
#include "bench/cli/compare_runs.h"
#include "bench/report/testing/synthetic.h"

namespace lab::bench::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Ansi kPlain(false);

RunHeadline Said(const std::string& id, double predicted, double measured) {
  RunHeadline run;
  run.lab = "rate-limit-outage";
  run.started = "2026-11-21T10:00:00+0000";
  PredictionScore score{id, "p99 while it is away", "ms", predicted, measured, {}, ""};
  score.factor = std::max(predicted / measured, measured / predicted);
  score.band = *score.factor <= 2 ? "within 2x" : *score.factor <= 4 ? "within 4x" : "off";
  run.predictions = {score};
  return run;
}

TEST(CalibrationTest, ShowsHowAQuestionWasAnsweredOverTime) {
  const std::string text =
      CalibrationText({Said("p99", 0.080, 0.005), Said("p99", 0.015, 0.005), Said("p99", 0.009, 0.005)}, kPlain);
  EXPECT_THAT(text, HasSubstr("p99  p99 while it is away  █▄▂"));
  EXPECT_THAT(text, HasSubstr("80 ms  5 ms      16x     off"));
  EXPECT_THAT(text, HasSubstr("15 ms  5 ms      3x      within 4x"));
  EXPECT_THAT(text, HasSubstr("within a factor of two: 1 of 3 (33 %)"));
  EXPECT_THAT(text, Not(HasSubstr("earlier"))) << "three answers have no halves worth naming";
}

TEST(CalibrationTest, TheShareOfTheLaterHalfShowsTheTrend) {
  const std::string text =
      CalibrationText({Said("a", 10, 1), Said("b", 10, 1), Said("a", 1, 1), Said("b", 1.5, 1)}, kPlain);
  EXPECT_THAT(text, HasSubstr("2 of 4 (50 %); earlier 0 of 2 (0 %), later 2 of 2 (100 %)"));
}

TEST(CalibrationTest, WithoutPredictionsOrMeasurementsThereIsNothing) {
  EXPECT_EQ(CalibrationText({}, kPlain), "");
  RunHeadline open = Said("p99", 1, 1);
  open.predictions[0].measured.reset();
  EXPECT_EQ(CalibrationText({open}, kPlain), "");
}

TEST(CalibrationTest, BlocksGrowWithTheFactor) { EXPECT_EQ(FactorBlocks({1, 2, 4, 16, 1000, std::nullopt}), "▁▃▅███"); }

Report Sample(uint64_t seed) {
  return MakeReport(bench::testing::SyntheticLab(), bench::testing::SyntheticRun(seed, 500));
}

TEST(CompareRunsTest, ValuesSideBySideWithTheirRatio) {
  const Report before = Sample(7);
  Report after = Sample(7);
  for (Measured& measured : after.run.verdict.values) {
    if (measured.variant == "deny" && measured.name == "max_fault") measured.value = *measured.value * 2;
  }
  const std::string text = CompareRunsText(before, after, kPlain);
  EXPECT_THAT(text, ::testing::ContainsRegex("deny +max_fault +6.1 ms +12.2 ms +2x"));
  EXPECT_THAT(text, ::testing::ContainsRegex("deny +p99_before +1.3 ms +1.3 ms +1x"));
  EXPECT_THAT(text, ::testing::ContainsRegex("no-deadline +admitted_ratio +– +– +–"));
  EXPECT_THAT(text, HasSubstr("same host, revision, load and configuration"));
  EXPECT_THAT(text, HasSubstr("no comparison that the bench defends"));
}

TEST(CompareRunsTest, TellsWhatElseDiffers) {
  const Report before = Sample(7);
  Report after = Sample(8);
  after.run.revision = "0000000";
  after.run.host["cores"] = "64";
  after.run.changed["ratelimit.redis.deadline"] = "50ms";
  after.run.quick = true;
  const std::string text = CompareRunsText(before, after, kPlain);
  EXPECT_THAT(text, ::testing::ContainsRegex("host, cores +2 +64"));
  EXPECT_THAT(text, ::testing::ContainsRegex("revision +3f2a1c9 +0000000"));
  EXPECT_THAT(text, ::testing::ContainsRegex("seed +7 +8"));
  EXPECT_THAT(text, ::testing::ContainsRegex("kind of run +full +quick"));
  EXPECT_THAT(text, ::testing::ContainsRegex("--set ratelimit.redis.deadline +5ms +50ms"));
  EXPECT_THAT(text, Not(HasSubstr("same host")));
}

TEST(CompareRunsTest, WhatOnlyOneRunHasIsShownWithoutARatio) {
  const Report before = Sample(7);
  Report after = Sample(7);
  std::erase_if(after.run.verdict.values, [](const Measured& measured) { return measured.variant == "deny"; });
  for (Measured& measured : after.run.verdict.values) measured.at_least = measured.name == "right_again";
  const auto json = nlohmann::json::parse(CompareRunsJson(before, after));
  EXPECT_EQ(json["lab"], "rate-limit-outage");
  int without = 0;
  for (const auto& value : json["values"]) {
    if (value["variant"] == "deny") {
      EXPECT_TRUE(value["after"].is_null() && value["ratio"].is_null());
    }
    if (value["name"] == "right_again") {
      EXPECT_TRUE(value["ratio"].is_null()) << "what was cut off has no ratio";
    }
    without += value["ratio"].is_null();
  }
  EXPECT_GT(without, 5);
  EXPECT_TRUE(json["differing"].empty());
}

}  // namespace
}  // namespace lab::bench::cli
