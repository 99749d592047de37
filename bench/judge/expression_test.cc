#include "bench/judge/expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/judge/judge.h"
#include "bench/judge/testing/trials.h"

namespace lab::bench {
namespace {

using ::testing::HasSubstr;

struct Wrong {
  const char* text;
  const char* error;
};

class SyntaxErrorTest : public ::testing::TestWithParam<Wrong> {};

TEST_P(SyntaxErrorTest, NamesItsColumn) {
  const absl::StatusOr<Comparison> comparison = ParseComparison(GetParam().text);
  ASSERT_FALSE(comparison.ok());
  EXPECT_THAT(std::string(comparison.status().message()), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Everything, SyntaxErrorTest,
    ::testing::Values(
        Wrong{"", "column 1: a value is missing here"}, Wrong{"a.b", "column 4: a comparison is wanted here"},
        Wrong{"a.b <=", "column 7: a value is missing here"}, Wrong{"a.b = 1", "column 5: \"=\" does not compare"},
        Wrong{"a.b <= 25msec", "column 8: unknown unit \"msec\" in \"25msec\"; known: ns, us, ms"},
        Wrong{"(a.b <= 1", "column 6: \")\" is missing"}, Wrong{"a.b <= 1 2", "column 10: \"2\" does not belong here"},
        Wrong{"a.b <= -1", "column 8: a negative number"}, Wrong{"a.b within 1", "wants two bounds"},
        Wrong{"f{phase} <= 1", "column 8: \"=\" is missing after phase"},
        Wrong{"f{phase=} <= 1", "column 3: phase is empty"}, Wrong{"f{phase=x <= 1", "\"}\" is missing"},
        Wrong{"f{phase=x, phase=y} <= 1", "column 12: phase is given twice"},
        Wrong{"f{name=\"x} <= 1", "closing quote"}, Wrong{"f(x) <= 1", "selectors stand in braces: f{…}"},
        Wrong{"min(1, 2 <= 1", "\")\" is missing"}, Wrong{"a.b <= @", "column 8: a value is wanted here"}));

TEST(ExpressionTest, BoundsDepthAndLength) {
  EXPECT_FALSE(ParseValue(std::string(500, '(') + "1" + std::string(400, ')')).ok());
  EXPECT_FALSE(ParseValue(std::string(2000, '1')).ok());
}

double Number(const std::string& text) {
  const absl::StatusOr<Node> tree = ParseValue(text);
  EXPECT_TRUE(tree.ok()) << text << ": " << tree.status();
  if (!tree.ok()) return -1;
  const Evidence evidence =
      EvaluateReferences(*tree, [](const std::string&, const std::string&) { return Evidence::Of(7, 1); });
  EXPECT_TRUE(evidence.value.has_value()) << text;
  return evidence.value.value_or(-1);
}

TEST(ExpressionTest, ComputesWithPrecedenceAndUnits) {
  EXPECT_DOUBLE_EQ(Number("1 + 2 * 3"), 7);
  EXPECT_DOUBLE_EQ(Number("(1 + 2) * 3"), 9);
  EXPECT_DOUBLE_EQ(Number("8 / 2 / 2"), 2);
  EXPECT_DOUBLE_EQ(Number("5 - 2 - 1"), 2);
  EXPECT_DOUBLE_EQ(Number("max(25ms, 2s)"), 2);
  EXPECT_DOUBLE_EQ(Number("min(4000/s, 3, 10%)"), 0.1);
  EXPECT_DOUBLE_EQ(Number("64mb / 1mb"), 64);
  EXPECT_DOUBLE_EQ(Number("no-deadline.p99 - 1"), 6);
  EXPECT_DOUBLE_EQ(Number("10 / a.b"), 10.0 / 7);
}

TEST(ExpressionTest, SelectorsKeepTheirText) {
  const absl::StatusOr<Node> node = ParseValue("final{name=\"a,b}\", other=x{y=1, z=2}, phase=pause+kill }");
  ASSERT_TRUE(node.ok()) << node.status();
  ASSERT_EQ(node->selectors.size(), 3u);
  EXPECT_EQ(node->selectors[0].text, "a,b}");
  EXPECT_EQ(node->selectors[1].text, "x{y=1, z=2}");
  EXPECT_EQ(node->selectors[2].text, "pause+kill");
}

TEST(ExpressionTest, WithinTakesRangesWithAndWithoutSpaces) {
  for (const char* text : {"a.b within 1.9 .. 2.1", "a.b within 1..2", "a.b within 1.9..2.1"}) {
    const absl::StatusOr<Comparison> comparison = ParseComparison(text);
    ASSERT_TRUE(comparison.ok()) << text << comparison.status();
    EXPECT_TRUE(comparison->high.has_value());
  }
}

std::string Check(const std::string& text, ExpressionUse use = ExpressionUse::kExpectation) {
  return CheckExpression(testing::TestLab(), text, use);
}

TEST(CheckExpressionTest, AcceptsWhatIsRight) {
  for (const char* text :
       {"each.p99 <= 25ms", "a.p99 / b.p99 >= 5", "a.p99 <= 0", "each.p99 <= 2 * a.p99",
        "a.rate within 900/s .. 1100/s", "a.p99 * a.rate <= 10", "max(a.p99, 1s) < 2s", "0 * a.p99 + b.p99 <= 1s",
        "a.p99 / b.p99 <= b.p99 / a.p99", "a.p99 within b.p99 .. 2 * b.p99"}) {
    EXPECT_EQ(Check(text), "") << text;
  }
  for (const char* text :
       {"latency_p99{phase=pause}", "offered", "worst_window{limit=50, window=2s, aligned=yes, stream=main}",
        "admitted_ratio{fault=pause, limit=1, window=1s}", "max(recovery{phase=after}, detect{phase=pause})",
        "metric{part=ratelimit, name=redis_operations_total, outcome=ok, as=rate} / offered_rate",
        "burst{limit=50, window=2s, share=1/60}", "final{name=redis.memory_per_key{lane=gcra}}",
        "cpu{part=redis} + cpu{part=host}", "cpu_per_op{part=ratelimit, phase=steady+after}"}) {
    EXPECT_EQ(Check(text, ExpressionUse::kValue), "") << text;
  }
  EXPECT_EQ(Check("a.p99 / b.p99", ExpressionUse::kPrediction), "");
  EXPECT_EQ(Check("limit-holds{limit=1, window=1s}", ExpressionUse::kInvariant), "");
}

TEST(CheckExpressionTest, RefusesWhatIsNotWithARemedy) {
  const auto refused = [](const char* text, const char* error, ExpressionUse use = ExpressionUse::kExpectation) {
    EXPECT_THAT(Check(text, use), HasSubstr(error)) << text;
  };
  refused("each.p99 <= 25", "column 13: a time and a plain number do not go together: write 25ms or 25s");
  refused("25 >= each.p99", "write 25ms or 25s");
  refused("each.rate >= 4000", "write 4000/s");
  refused("each.p99 <= 25mb", "a time and a size");
  refused("each.p99 + 1 <= 25ms", "column 12: a time and a plain number");
  refused("each.p99 within 1 .. 2ms", "write 1ms or 1s");
  refused("each.p98 <= 25ms", "column 1: unknown value \"p98\"; did you mean \"p99\"?");
  refused("eech.p99 <= 25ms", "unknown variant \"eech\"; did you mean \"each\"?");
  refused("p99 <= 25ms", "of which variant? write each.p99");
  refused("latency_p99{phase=pause} <= 25ms", "define it under values");
  refused("1 <= 2", "compares nothing");
  refused("each.p99 within 7ms .. 1ms", "the range is empty: its first bound is above its second; exchange them");
  refused("each.p99 / 0 <= 1s", "column 12: divides by 0");
  refused("each.p99 / (2 - 2) <= 1s", "divides by 0");
  for (const char* decided : {"0 * each.p99 <= 0", "each.p99 - each.p99 <= 0", "each.p99 <= each.p99 + 1ms",
                              "2 * each.p99 - each.p99 >= each.p99", "each.p99 / each.p99 <= 2", "0 / each.p99 <= 1/s",
                              "each.p99 - each.p99 within 0 .. 1s"}) {
    refused(decided, "is decided before the run");
  }
  const auto value = ExpressionUse::kValue;
  refused("latency_p98{phase=pause}", "unknown function \"latency_p98\"; did you mean \"latency_p9", value);
  refused("latency_p99{phase=pauze}", "column 13: phase: unknown phase \"pauze\"; did you mean \"pause\"?", value);
  refused("latency_p99{phaze=pause}", "no selector \"phaze\"; did you mean \"phase\"?", value);
  refused("latency_p99{fault=pause}", "no selector \"fault\"", value);
  refused("admitted{fault=steady}", "no fault begins in phase \"steady\"", value);
  refused("admitted{fault=pause, phase=pause}", "exclude each other", value);
  refused("admitted_ratio{limit=1}", "admitted_ratio needs window=…", value);
  refused("admitted_ratio{limit=1, window=1}", "window: \"1\" is not a time above 0; write it as 1s", value);
  refused("admitted_ratio{limit=0, window=1s}", "limit", value);
  refused("admitted{stream=mein}", "unknown stream \"mein\"; did you mean \"main\"?", value);
  refused("cpu{part=redos}", "unknown part \"redos\"; did you mean \"redis\"?", value);
  refused("worst_window{limit=1, window=1s, aligned=maybe}", "aligned", value);
  refused("burst{limit=1, window=1s, share=2}", "share", value);
  refused("metric{part=redis, name=x, as=median}", "as: unknown form", value);
  refused("recovery{phase=pause+after}", "name one phase", value);
  refused("a.p99", "functions of one trial", value);
  refused("5", "measures nothing", value);
  refused("0 * offered", "measures nothing", value);
  refused("offered / 0", "column 11: divides by 0", value);
  refused("latency_p99{phase=pause, after=100h}", "after: 100h leaves nothing of the phase pause", value);
  refused("max(offered, offered_rate)", "do not go together", value);
  refused("each.p99", "a prediction asks for one variant", ExpressionUse::kPrediction);
  refused("limit-holds{limit=1}", "needs window", ExpressionUse::kInvariant);
  refused("limit-hold{limit=1}", "did you mean \"limit-holds\"?", ExpressionUse::kInvariant);
}

TEST(QuantityTextTest, FormatsWithTheUnitThatFits) {
  EXPECT_EQ(FormatQuantity(0.0061, "s"), "6.1 ms");
  EXPECT_EQ(FormatQuantity(5, "s"), "5 s");
  EXPECT_EQ(FormatQuantity(0.00000025, "s"), "250 ns");
  EXPECT_EQ(FormatQuantity(0.05, "ms"), "50 ms");
  EXPECT_EQ(FormatQuantity(0.99999, "s"), "1 s");
  EXPECT_EQ(FormatQuantity(4000, "1/s"), "4,000/s");
  EXPECT_EQ(FormatQuantity(1234567, "ops"), "1,234,567");
  EXPECT_EQ(FormatQuantity(9.81, "x"), "9.81 x");
  EXPECT_EQ(FormatQuantity(0.125, "%"), "12.5 %");
  EXPECT_EQ(FormatQuantity(67108864, "bytes"), "64 MiB");
  EXPECT_EQ(FormatQuantity(0, "x"), "0 x");
  EXPECT_EQ(FormatQuantity(12, "loads"), "12 loads");
  Measured cut{"a", "right_again", 2.0, "s", 1, "", true};
  EXPECT_EQ(FormatMeasured(cut), "> 2 s");
  cut.value.reset();
  EXPECT_EQ(FormatMeasured(cut), "–");
}

TEST(QuantityTextTest, ReadsAnAnswerInTheUnitOfTheQuestion) {
  EXPECT_DOUBLE_EQ(*ParseQuantityIn("50", "ms"), 0.05);
  EXPECT_DOUBLE_EQ(*ParseQuantityIn("50 ms", "ms"), 0.05);
  EXPECT_DOUBLE_EQ(*ParseQuantityIn("2s", "ms"), 2);
  EXPECT_DOUBLE_EQ(*ParseQuantityIn("10", "x"), 10);
  EXPECT_DOUBLE_EQ(*ParseQuantityIn("10", "loads"), 10);
  EXPECT_DOUBLE_EQ(*ParseQuantityIn("10", "%"), 0.1);
  EXPECT_FALSE(ParseQuantityIn("10mb", "ms").ok());
  EXPECT_FALSE(ParseQuantityIn("many", "ms").ok());
  EXPECT_DOUBLE_EQ(*ParseQuantity("64mb"), 67108864);
}

}  // namespace
}  // namespace lab::bench
