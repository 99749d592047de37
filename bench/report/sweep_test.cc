#include "bench/report/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/judge/difference.h"
#include "bench/report/chart.h"
#include "bench/report/testing/synthetic.h"
#include "services/runtime/base/random.h"

namespace lab::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

const SweepKnob kDeadline{"ratelimit", "redis.deadline", "duration", "How long a call may take"};

// One trial of `deny`: a second of 400 operations before the fault that take `before_s`, and one in it that take
// `fault_s`.
Trial TrialOf(int repeat, double before_s, double fault_s) {
  Trial trial;
  trial.variant = "deny";
  trial.repeat = repeat;
  trial.complete = true;
  trial.phases = {{"steady", 0, 1}, {"pause", 1, 2}};
  trial.duration_s = 2;
  trial.streams = {{"main", "ratelimit.grpc", 1, 400, "", nullptr}};
  for (int i = 0; i < 800; ++i) {
    Op op;
    op.intended_ns = op.sent_ns = i * 2'500'000LL;
    op.done_ns = op.intended_ns + static_cast<int64_t>((i < 400 ? before_s : fault_s) * 1e9);
    op.outcome = Outcome::kOk;
    trial.ops.push_back(op);
  }
  return trial;
}

Lab SweptLab() {
  Lab lab = testing::SyntheticLab();
  lab.phases = {{"steady", std::chrono::seconds(1)}, {"pause", std::chrono::seconds(1)}};
  lab.values = {{"p99_before", "latency_p99{phase=steady}", "p99 before", 1},
                {"p99_fault", "latency_p99{phase=pause}", "p99 in the fault", 2},
                {"hidden", "latency_p50{phase=steady}", "", 3}};
  lab.expect = {{"deadline-holds", "each.p99_fault <= 7ms", 4}};
  lab.invariants.clear();
  lab.predict.clear();
  lab.reference = "deny";
  return lab;
}

// The deadline is what a call takes in the fault, with a little noise of the blocks.
std::vector<Run> RunsOf(const std::vector<double>& deadlines_s, int blocks) {
  std::vector<Run> runs;
  for (const double deadline_s : deadlines_s) {
    Run run;
    run.lab = "rate-limit-outage";
    run.title = "The limiter loses its Redis";
    run.seed = 7;
    run.command = {"./lab", "sweep", "rate-limit-outage"};
    run.host = {{"cores", "2"}};
    run.changed = {{kDeadline.name(), "x"}, {"ratelimit.coalesce", "false"}};
    for (int block = 1; block <= blocks; ++block) {
      run.trials.push_back(TrialOf(block, 0.001 + 0.0001 * block, deadline_s * (1 + 0.01 * block)));
    }
    runs.push_back(std::move(run));
  }
  return runs;
}

Sweep SweepOf(const std::vector<std::string>& plan, const std::vector<double>& deadlines_s, int blocks) {
  return MakeSweep(SweptLab(), kDeadline, plan, {"deny"}, blocks, RunsOf(deadlines_s, blocks));
}

TEST(SweepTest, EachPointHasItsMedianAndInterval) {
  const Sweep sweep = SweepOf({"20ms", "2ms", "5ms"}, {0.02, 0.002, 0.005}, 5);
  ASSERT_EQ(sweep.points.size(), 3u);
  EXPECT_EQ(sweep.points[0].value, "2ms") << "ascending, however they were given";
  EXPECT_EQ(sweep.points[2].value, "20ms");
  const SweepEstimate* estimate = FindEstimate(sweep.points[1], "deny", "p99_fault");
  ASSERT_NE(estimate, nullptr);
  EXPECT_NEAR(*estimate->median, 0.00515, 1e-9);
  EXPECT_NEAR(*estimate->low, 0.00505, 1e-9);
  EXPECT_NEAR(*estimate->high, 0.00525, 1e-9);
  EXPECT_DOUBLE_EQ(estimate->coverage, 0.9375);
  EXPECT_EQ(IntervalText(estimate), "5.05 … 5.25 ms");
  EXPECT_EQ(ExitStatus(sweep), 0);
  EXPECT_THAT(Lacking(sweep), IsEmpty());
  EXPECT_EQ(FindEstimate(sweep.points[0], "deny", "hidden"), nullptr);
  EXPECT_THAT(sweep.changed, SizeIs(1)) << "the knob itself is no further change";
}

TEST(SweepTest, TellsWhatMovesFromWhatDoesNot) {
  const Sweep sweep = SweepOf({"2ms", "5ms"}, {0.002, 0.005}, 5);
  EXPECT_EQ(Moves(sweep, "p99_fault"), true);
  EXPECT_EQ(Moves(sweep, "p99_before"), false);
  EXPECT_EQ(Moves(SweepOf({"2ms", "5ms"}, {0.002, 0.005}, 3), "p99_fault"), std::nullopt) << "three blocks cannot say";
  EXPECT_THAT(IntervalNote(sweep), HasSubstr("94 %"));
  EXPECT_THAT(IntervalNote(sweep), HasSubstr("at most 5 % of sweeps, over its 1 comparison of two points"));
  const std::string few = IntervalNote(SweepOf({"2ms", "5ms"}, {0.002, 0.005}, 3));
  EXPECT_THAT(few, HasSubstr("Fewer than 90 %"));
  EXPECT_THAT(few, HasSubstr("cannot be said with 3 blocks: 1 comparison of two points take 4 (--repeat 4)"));
  EXPECT_THAT(IntervalNote(SweepOf({"2ms"}, {0.002}, 1)), HasSubstr("no interval"));
}

// A sweep of one value whose blocks are drawn by `draw(point)`.
template <typename Draw>
Sweep Drawn(size_t points, size_t variants, int blocks, const Draw& draw) {
  Sweep sweep;
  sweep.blocks = blocks;
  sweep.values = {{"v", "the value", ""}};
  for (size_t i = 0; i < variants; ++i) sweep.variants.push_back({std::string(1, static_cast<char>('a' + i)), "", ""});
  for (size_t point = 0; point < points; ++point) {
    SweepPoint& one = sweep.points.emplace_back();
    for (const VariantInfo& variant : sweep.variants) {
      SweepEstimate& estimate = one.estimates[{variant.name, "v"}];
      for (int block = 1; block <= blocks; ++block) estimate.blocks.push_back({block, draw(point), false, ""});
    }
  }
  return sweep;
}

TEST(SweepTest, WhatDoesNotMoveIsHardlyEverSaidTo) {
  Random random(20261124);
  const auto same = [&](size_t) { return std::pow(random.Uniform(), -0.5); };  // a heavy tail, as p99s have
  const struct {
    size_t points, variants;
    int blocks, sweeps;
  } shapes[] = {{2, 1, 4, 2000}, {4, 1, 5, 2000}, {6, 1, 6, 1000}, {3, 2, 5, 1000}, {24, 1, 8, 200}};
  for (const auto& shape : shapes) {
    int said = 0;
    for (int i = 0; i < shape.sweeps; ++i) {
      const std::optional<bool> moves = Moves(Drawn(shape.points, shape.variants, shape.blocks, same), "v");
      ASSERT_TRUE(moves.has_value()) << shape.points;
      said += *moves;
    }
    EXPECT_LE(said, 0.065 * shape.sweeps) << shape.points << " points x " << shape.blocks << " blocks";
  }
  EXPECT_EQ(Moves(Drawn(6, 1, 5, same), "v"), std::nullopt) << "15 comparisons take six blocks";
  EXPECT_EQ(BlocksToTell(Drawn(6, 1, 5, same)), 6u);
  EXPECT_EQ(Moves(Drawn(3, 1, 3, same), "v"), std::nullopt);
}

TEST(SweepTest, WhatMovesIsFound) {
  Random random(20261125);
  const auto planted = [&](size_t point) { return (point == 3 ? 1.5 : 1.0) * (1 + 0.1 * random.Uniform()); };
  EXPECT_EQ(Moves(Drawn(4, 1, 5, planted), "v"), true);
  EXPECT_EQ(Moves(Drawn(6, 1, 6, planted), "v"), true);
  EXPECT_EQ(Moves(Drawn(24, 2, 9, planted), "v"), true);
  EXPECT_EQ(Moves(Drawn(6, 1, 5, planted), "v"), std::nullopt) << "no claim, however far they lie apart";
}

TEST(SweepTest, BlocksWithoutAValueTakeTheClaimAway) {
  const auto draw = [](size_t point) { return point == 0 ? 1.0 : 2.0; };
  Sweep sweep = Drawn(2, 1, 5, draw);
  SweepEstimate& first = sweep.points[0].estimates[{"a", "v"}];
  first.blocks[4].value.reset();
  EXPECT_EQ(Moves(sweep, "v"), true) << "four with five";
  EXPECT_EQ(AllowedPairs(4, 5, kErrorBound), 1u) << "of the table: U <= 1 at 5 %, two-sided";
  EXPECT_EQ(AllowedPairs(5, 4, kErrorBound), 1u);
  first.blocks[3].value.reset();
  EXPECT_EQ(Moves(sweep, "v"), std::nullopt);
  EXPECT_EQ(GroupsOf(sweep)[0].title, "") << "nothing can be said of any value";
  // Of what is at least so large it is not known to be below anything.
  Sweep open = Drawn(2, 1, 5, draw);
  for (SweepBlock& block : open.points[0].estimates[{"a", "v"}].blocks) block.at_least = true;
  EXPECT_EQ(Moves(open, "v"), false);
  for (SweepBlock& block : open.points[1].estimates[{"a", "v"}].blocks) block.value = 0.5;
  EXPECT_EQ(Moves(open, "v"), true) << "but above what is less";
}

TEST(SweepTest, ExpectationsAreReportedAndDecideNothing) {
  const Sweep sweep = SweepOf({"2ms", "20ms"}, {0.002, 0.02}, 3);
  EXPECT_EQ(StateAt(sweep.points[0], "deadline-holds"), State::kPass);
  EXPECT_EQ(StateAt(sweep.points[1], "deadline-holds"), State::kFail);
  EXPECT_EQ(ExitStatus(sweep), 0);
}

TEST(SweepTest, APointWithoutEvidenceMakesTheCurveIncomplete) {
  std::vector<bench::Run> runs = RunsOf({0.002, 0.005}, 5);
  for (int i = 0; i < 2; ++i) runs[1].trials[i].problems = {"a busy neighbour"};
  const Sweep most = MakeSweep(SweptLab(), kDeadline, {"2ms", "5ms"}, {"deny"}, 5, runs);
  EXPECT_EQ(ExitStatus(most), 0) << "three of five blocks are more than half";
  EXPECT_EQ(FindEstimate(most.points[1], "deny", "p99_fault")->fit(), 3u);
  EXPECT_THAT(IntervalNote(most), HasSubstr("Median of 3 to 5 interleaved blocks; an interval of 3 (the range of the "
                                            "blocks) encloses the true median in 75 % of cases. Fewer than 90 %"));
  EXPECT_EQ(GroupsOf(most)[0].moves, std::nullopt);
  EXPECT_THAT(SweepSummary(most, {false, 100}, "page"), HasSubstr("  3 of 5 blocks\n"));
  EXPECT_THAT(SweepSummary(most, {false, 40}, "page"), HasSubstr("ms; 3 of 5 blocks)"));
  EXPECT_THAT(SweepMarkdown(most), HasSubstr("ms<br>3 of 5 blocks |"));
  EXPECT_THAT(SweepHtml(most), HasSubstr("<span class=\"note\">3 of 5 blocks</span>"));
  runs[1].trials[2].problems = {"a busy neighbour"};
  const Sweep few = MakeSweep(SweptLab(), kDeadline, {"2ms", "5ms"}, {"deny"}, 5, runs);
  EXPECT_EQ(ExitStatus(few), 2);
  ASSERT_THAT(Lacking(few), SizeIs(1));
  EXPECT_EQ(Lacking(few)[0], "deny at 5ms: everything: 2 of 5 blocks have a value; a busy neighbour");
  EXPECT_THAT(few.points[1].host_problems, IsEmpty());
  runs[1].trials[2].host_problems = {"a busy neighbour"};
  const auto json =
      nlohmann::json::parse(SweepJson(MakeSweep(SweptLab(), kDeadline, {"2ms", "5ms"}, {"deny"}, 5, runs)));
  EXPECT_EQ(json["points"][1]["problems"].size(), 3u);
  EXPECT_EQ(json["points"][1]["host_problems"], nlohmann::json({"deny (3): a busy neighbour"}));
}

TEST(SweepTest, AnInterruptedOneKeepsWhatThereIs) {
  std::vector<bench::Run> runs = RunsOf({0.002, 0.005}, 5);
  for (bench::Run& run : runs) run.interrupted = true;
  runs[1].trials.clear();
  const Sweep sweep = MakeSweep(SweptLab(), kDeadline, {"2ms", "5ms"}, {"deny"}, 5, runs);
  EXPECT_EQ(ExitStatus(sweep), 70);
  EXPECT_NE(MedianText(FindEstimate(sweep.points[0], "deny", "p99_fault")), "–");
  EXPECT_EQ(MedianText(FindEstimate(sweep.points[1], "deny", "p99_fault")), "–");
  EXPECT_THAT(SweepSummary(sweep, {}, "page"), HasSubstr("INTERRUPTED"));
}

TEST(SweepTest, WithoutAKneeItSaysSo) {
  std::vector<bench::Run> runs = RunsOf({0.002}, 1);
  runs[0].trials.clear();
  runs[0].knee.emplace();
  runs[0].knee->why = "not even 200/s meets the objective";
  const Sweep sweep = MakeSweep(SweptLab(), kDeadline, {"2ms"}, {"deny"}, 1, runs);
  EXPECT_EQ(ExitStatus(sweep), 2);
  EXPECT_THAT(Lacking(sweep)[0], HasSubstr("no knee: not even 200/s"));
}

TEST(SweepTest, NamesHaveNoPlaceOnAnAxis) {
  const SweepKnob policy{"ratelimit", "rules.on_store_failure", "one of", ""};
  const Sweep sweep = MakeSweep(SweptLab(), policy, {"deny", "allow"}, {"deny"}, 1, RunsOf({0.002, 0.005}, 1));
  EXPECT_FALSE(sweep.points[0].x);
  EXPECT_EQ(sweep.points[0].value, "deny") << "as given";
  EXPECT_THAT(SweepHtml(sweep), Not(HasSubstr("class=\"guide\"")));
}

TEST(SweepTest, ThePageHasAChartWithUnitsIntervalsAndTheKnobItself) {
  const std::string page = SweepHtml(SweepOf({"2ms", "5ms", "20ms"}, {0.002, 0.005, 0.02}, 5));
  EXPECT_THAT(page, HasSubstr("ratelimit.redis.deadline (logarithmic)"));
  EXPECT_THAT(page, HasSubstr(">10 ms</text>"));
  EXPECT_THAT(page, HasSubstr("class=\"whisker line-lane0\""));
  EXPECT_THAT(page, HasSubstr("= redis.deadline"));
  EXPECT_THAT(page, HasSubstr("p99 in the fault over ratelimit.redis.deadline. deny: 2.06 ms at 2ms"));
}

TEST(SweepTest, WhatIsAtLeastSoLargeIsDrawnOpen) {
  Sweep sweep = SweepOf({"2ms", "5ms"}, {0.002, 0.005}, 5);
  EXPECT_THAT(SweepHtml(sweep), Not(HasSubstr("at least so large")));
  SweepEstimate& estimate = sweep.points[1].estimates[{"deny", "p99_fault"}];
  estimate.at_least = estimate.high_at_least = true;
  const std::string page = SweepHtml(sweep);
  EXPECT_THAT(page, HasSubstr("<circle class=\"whisker line-lane0\""));
  EXPECT_THAT(page, HasSubstr("m-3.5 4.5l3.5-4.5l3.5 4.5\"/>"));
  EXPECT_THAT(page, HasSubstr("at least so large: the median (hollow), the interval (arrow)</li>"));
}

TEST(SweepTest, TheCommandDrawsTheSameArrivalsAgain) {
  Sweep sweep = SweepOf({"2ms"}, {0.002}, 1);
  EXPECT_THAT(SweepHtml(sweep), HasSubstr("./lab sweep rate-limit-outage --seed 7</code>"));
  EXPECT_THAT(SweepMarkdown(sweep), HasSubstr("command: `./lab sweep rate-limit-outage --seed 7`"));
  sweep.command.push_back("--seed=7");
  EXPECT_THAT(SweepMarkdown(sweep), HasSubstr("rate-limit-outage --seed=7`"));
}

TEST(SweepTest, WhatComesFromFilesIsEscaped) {
  Sweep sweep = SweepOf({"2ms", "5ms"}, {0.002, 0.005}, 3);
  sweep.title = "<b>&";
  sweep.values[0].label = "<i>|x";
  sweep.points[0].value = "\x1b[31m<u>";
  EXPECT_THAT(SweepHtml(sweep), Not(HasSubstr("<u>")));
  EXPECT_THAT(SweepHtml(sweep), Not(HasSubstr("<i>")));
  EXPECT_THAT(SweepMarkdown(sweep), HasSubstr("\\|x"));
  EXPECT_THAT(SweepSummary(sweep, {}, "page"), Not(HasSubstr("\x1b")));
}

TEST(SweepTest, TheTerminalHasItsTableInAnyWidth) {
  const Sweep sweep = SweepOf({"2ms", "5ms", "20ms"}, {0.002, 0.005, 0.02}, 5);
  const std::string wide = SweepSummary(sweep, {false, 100}, "sweep.html");
  EXPECT_THAT(wide, HasSubstr("5.05 … 5.25 ms"));
  EXPECT_THAT(wide, HasSubstr("moves with the knob"));
  EXPECT_THAT(wide, HasSubstr("COMPLETE"));
  const std::string narrow = SweepSummary(sweep, {false, 40}, "sweep.html");
  EXPECT_THAT(narrow, HasSubstr("p99 in the fault: 5.15 ms (5.05 … 5.25 ms)"));
}

TEST(SweepTest, JsonHasEveryBlock) {
  const auto json = nlohmann::json::parse(SweepJson(SweepOf({"2ms", "5ms"}, {0.002, 0.005}, 5)));
  EXPECT_EQ(json["schema"], "lab-sweep/1");
  EXPECT_EQ(json["exit_status"], 0);
  EXPECT_EQ(json["knob"]["name"], "ratelimit.redis.deadline");
  ASSERT_EQ(json["points"].size(), 2u);
  const auto& value = json["points"][1]["values"][1];
  EXPECT_EQ(value["value"], "p99_fault");
  EXPECT_EQ(value["blocks"].size(), 5u);
  EXPECT_NEAR(value["blocks"][4]["value"].get<double>(), 0.00525, 1e-9);
  EXPECT_EQ(json["values"][1]["moves"], true);
  EXPECT_EQ(json["points"][1]["findings"][0]["rule"], "deadline-holds");
}

TEST(ChartTest, QuantitiesHaveRoundTicksInTheirUnit) {
  const auto log = QuantityTicks(0.0021, 0.019, "s", true);
  EXPECT_EQ(log.front().second, "2 ms");
  EXPECT_EQ(log.back().second, "20 ms");
  const auto even = QuantityTicks(0.0021, 0.0033, "s", false);
  EXPECT_EQ(even.front().first, 0);
  EXPECT_GE(even.back().first, 0.0033);
  EXPECT_LE(even.size(), 7u);
  EXPECT_EQ(QuantityTicks(0, 3 * 1048576.0, "bytes", false).back().second, "3 MiB");
  EXPECT_GE(QuantityTicks(0, 0, "", false).size(), 2u) << "an axis has two ends";
}

TEST(ChartTest, BytesHaveRoundTicksInTheirUnitToo) {
  std::vector<std::string> labels;
  for (const auto& [place, label] : QuantityTicks(150 * 1024, 3 * 1048576.0, "bytes", true)) labels.push_back(label);
  EXPECT_THAT(labels, ElementsAre("100 KiB", "200 KiB", "500 KiB", "1 MiB", "2 MiB", "5 MiB"));
  const auto wide = QuantityTicks(3, 2e10, "bytes", true);
  EXPECT_EQ(wide.front().second, "1 bytes");
  EXPECT_EQ(wide.back().second, "100 GiB");
  EXPECT_LE(wide.size(), 12u);
  EXPECT_GE(QuantityTicks(5e13, 6e14, "bytes", true).back().first, 6e14);
}

TEST(ChartTest, WhatIsNegativeHasItsPlaceBelowZero) {
  const auto ticks = QuantityTicks(-0.03, 0.05, "s", false);
  EXPECT_EQ(ticks.front().second, "-40 ms");
  EXPECT_EQ(ticks.back().second, "60 ms");
  EXPECT_TRUE(std::any_of(ticks.begin(), ticks.end(), [](const auto& tick) { return tick.first == 0; }));
  EXPECT_EQ(QuantityTicks(-5, -2, "", false).back().first, 0);
  EXPECT_EQ(QuantityTicks(2, 5, "", false).front().first, 0);
}

}  // namespace
}  // namespace lab::bench
