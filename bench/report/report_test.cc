#include "bench/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "bench/model/quantile.h"
#include "bench/report/card.h"
#include "bench/report/chart.h"
#include "bench/report/html.h"
#include "bench/report/markdown.h"
#include "bench/report/summary.h"
#include "bench/report/testing/synthetic.h"
#include "bench/report/text.h"
#include "services/runtime/base/file.h"

namespace lab::bench {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

const Report& Sample() {
  static const auto* const report = new Report(MakeReport(testing::SyntheticLab(), testing::SyntheticRun(7, 1000)));
  return *report;
}

// Every opened element is closed in order; those that HTML never closes apart.
std::string FirstUnbalanced(const std::string& html) {
  std::vector<std::string> open;
  for (size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const size_t end = html.find('>', at);
    if (end == std::string::npos) return "unfinished tag";
    if (html[at + 1] == '!' || html[end - 1] == '/') continue;
    const bool closing = html[at + 1] == '/';
    const size_t begin = at + (closing ? 2 : 1);
    const std::string name = html.substr(begin, html.find_first_of(" >\n", begin) - begin);
    if (name == "meta" || name == "br") continue;
    if (!closing) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

TEST(TextTest, HtmlIsEscaped) {
  EXPECT_EQ(EscapeHtml("<script>alert('a\"&b')</script>"),
            "&lt;script&gt;alert(&#39;a&quot;&amp;b&#39;)&lt;/script&gt;");
  EXPECT_EQ(EscapeHtml("\x1b[31m\xff ä"), "\xEF\xBF\xBD[31m\xEF\xBF\xBD ä");
}

TEST(TextTest, MarkdownCellsStayCells) {
  EXPECT_EQ(EscapeMarkdown("a|b\n*c*_d_`e`<br>"), "a\\|b \\*c\\*\\_d\\_\\`e\\`&lt;br&gt;");
}

TEST(TextTest, TerminalsGetNoEscapeSequences) {
  EXPECT_EQ(PrintableText("a\x1b]0;title\x07\nb\xC2\x9B"), "a\xEF\xBF\xBD]0;title\xEF\xBF\xBD b\xEF\xBF\xBD");
}

TEST(TextTest, WidthsCountCharacters) {
  EXPECT_EQ(DisplayWidth("µs ✓ ▓"), 6);
  EXPECT_EQ(DisplayWidth("e\xCC\x81"), 1);
  EXPECT_EQ(PadLeft("µ", 3), "  µ");
  EXPECT_EQ(Truncate("aµbcd", 4), "aµb…");
  EXPECT_EQ(Truncate("abcd", 4), "abcd");
}

TEST(TextTest, NumbersAndShellWords) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(1234567), "1,234,567");
  EXPECT_EQ(ShortNumber(64400), "64k");
  EXPECT_EQ(ShortNumber(0.5), "0.5");
  EXPECT_EQ(ShellQuote("a=b,c"), "a=b,c");
  EXPECT_EQ(ShellQuote("it's $HOME"), "'it'\\''s $HOME'");
  EXPECT_EQ(ShellQuote(""), "''");
}

Op MakeOp(double intended_s, double done_s, Outcome outcome, Answer answer = Answer::kNone) {
  Op op;
  op.intended_ns = static_cast<int64_t>(intended_s * 1e9);
  op.sent_ns = outcome == Outcome::kDropped ? 0 : op.intended_ns + 1000;
  op.done_ns = outcome == Outcome::kDropped ? 0 : static_cast<int64_t>(done_s * 1e9);
  op.outcome = outcome;
  op.answer = answer;
  return op;
}

TEST(TimelineTest, CountsAnswersWhenTheyComeAndLatencyWhenItWasMeant) {
  Trial trial;
  trial.phases = {{"steady", 0, 1}};
  trial.ops = {MakeOp(0.1, 0.11, Outcome::kOk, Answer::kAdmitted), MakeOp(0.1, 0.9, Outcome::kOk, Answer::kLimited),
               MakeOp(0.3, 0, Outcome::kDropped), MakeOp(0.3, 2.3, Outcome::kUnknown)};
  const Timeline timeline = MakeTimeline(trial);
  ASSERT_EQ(timeline.buckets.size(), 10u);  // until the last answer, beyond the phases
  EXPECT_EQ(timeline.buckets[0].offered, 2u);
  EXPECT_EQ(timeline.buckets[0].ok, 1u);
  EXPECT_EQ(timeline.buckets[0].admitted, 1u);
  EXPECT_NEAR(timeline.buckets[0].max_s, 0.8, 1e-9);
  EXPECT_EQ(timeline.buckets[1].dropped, 1u);
  EXPECT_EQ(timeline.buckets[1].samples, 1u);
  EXPECT_EQ(timeline.buckets[3].limited, 1u);
  EXPECT_EQ(timeline.buckets[9].unknown, 1u);
  ASSERT_EQ(timeline.phases.size(), 1u);
  EXPECT_EQ(timeline.phases[0].offered, 4u);
  EXPECT_EQ(timeline.phases[0].unknown, 1u);
  EXPECT_EQ(timeline.phases[0].samples, 3u);
  EXPECT_NEAR(timeline.phases[0].max_s, 2.0, 1e-9);
  EXPECT_TRUE(timeline.phases[0].spectrum_s.empty()) << "three samples carry no percentile";
}

TEST(TimelineTest, EveryOperationIsCountedOnce) {
  for (size_t i = 0; i < Sample().run.trials.size(); ++i) {
    uint64_t offered = 0, ended = 0;
    for (const Bucket& bucket : Sample().timelines[i].buckets) {
      offered += bucket.offered;
      ended += bucket.ok + bucket.failed + bucket.unknown + bucket.dropped;
    }
    EXPECT_EQ(offered, Sample().run.trials[i].ops.size());
    EXPECT_EQ(ended, offered);
  }
}

TEST(TimelineTest, QuantilesAreOfTheSample) {
  std::vector<int64_t> values;
  for (int i = 1000; i >= 1; --i) values.push_back(i);
  EXPECT_EQ(QuantileOf(values, 0.5), 500);
  EXPECT_EQ(QuantileOf(values, 0.99), 990);
  EXPECT_EQ(QuantileOf(values, 0.999), 999);
  EXPECT_EQ(QuantileOf(values, 1), 1000);
  std::vector<int64_t> one = {7};
  EXPECT_EQ(QuantileOf(one, 0.01), 7);
}

TEST(TimelineTest, AbsurdTimesStayBounded) {
  Trial trial;
  trial.phases = {{"steady", 0, 1e9}};
  trial.ops = {MakeOp(0.1, 9e8, Outcome::kOk)};
  EXPECT_LE(MakeTimeline(trial).buckets.size(), 3600u);
}

TEST(RulesTest, TheWorstThatCountsDecides) {
  Report report = Sample();
  auto rules = RulesOf(report);
  ASSERT_EQ(rules[0].name, "bounded-latency");
  EXPECT_EQ(rules[0].state, State::kPass) << "the control's violation is shown, not counted";
  report.run.verdict.findings[2].state = State::kInconclusive;
  EXPECT_EQ(RulesOf(report)[0].state, State::kInconclusive);
  report.run.verdict.findings[3].state = State::kFail;
  EXPECT_EQ(RulesOf(report)[0].state, State::kFail);
}

TEST(ReasonsTest, SharedOnesAreToldOnceAndProblemsAreAdded) {
  bench::Run run;
  run.verdict.reasons = {"2 of 3 checks have not enough evidence", "a (deny): was starved", "b (deny): was starved"};
  Trial trial;
  trial.variant = "deny";
  trial.problems = {"starved", "redis died"};
  run.trials = {trial, trial};
  EXPECT_THAT(DistinctReasons(run),
              ::testing::ElementsAre(run.verdict.reasons[0], run.verdict.reasons[1], "deny: redis died"));
}

TEST(HtmlTest, IsWellFormedAndSelfContained) {
  const std::string html = HtmlBody(Sample());
  EXPECT_EQ(FirstUnbalanced(html), "");
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("http://")));
  EXPECT_THAT(html, Not(HasSubstr("https://")));
  EXPECT_THAT(HtmlReport(Sample()), AllOf(HasSubstr("<html lang=\"en\">"), HasSubstr(html)));
  EXPECT_THAT(html, HasSubstr("limit 25 ms"));
  EXPECT_THAT(html, HasSubstr("no-deadline breaks bounded-latency"));
  EXPECT_THAT(html, HasSubstr("nothing was decided while the fault was in force"));
  EXPECT_LT(html.find("PASS"), html.find("id=\"expectations\""));
}

TEST(HtmlTest, CarriesEachTrialForItsScript) {
  const Report report = Sample();
  const nlohmann::json data = nlohmann::json::parse(HtmlData(report));
  ASSERT_EQ(data["trials"].size(), report.run.trials.size());
  const nlohmann::json& trial = data["trials"][0];
  const Timeline& timeline = report.timelines[0];
  EXPECT_EQ(trial["variant"], report.run.trials[0].variant);
  EXPECT_EQ(trial["faults"].size(), report.run.trials[0].faults.size());
  for (const char* column : {"offered", "achieved", "errors", "dropped", "admitted", "p50_s", "p99_s", "max_s"}) {
    ASSERT_EQ(trial["columns"][column].size(), timeline.buckets.size()) << column;
  }
  const Bucket& bucket = timeline.buckets[3];
  EXPECT_NEAR(trial["columns"]["offered"][3], static_cast<double>(bucket.offered) / timeline.step_s, 1);
  EXPECT_NEAR(trial["columns"]["p99_s"][3], bucket.p99_s, bucket.p99_s / 1000);
}

TEST(HtmlTest, BalanceCheckSeesWhatIsWrong) {
  EXPECT_NE(FirstUnbalanced("<div><p></div>"), "");
  EXPECT_NE(FirstUnbalanced("<div>"), "");
}

TEST(HtmlTest, EscapesWhatComesFromFiles) {
  bench::Run run = testing::SyntheticRun(7, 200);
  Lab lab = testing::SyntheticLab();
  const std::string evil = "<img src=x onerror=alert(1)>\"'&";
  lab.question = lab.title = run.title = run.lab = run.revision = run.started = evil;
  lab.variants[1].name = evil;
  lab.variants[1].note = evil;
  lab.values[0].show = lab.values[0].expression = evil;
  run.trials[1].variant = evil;
  run.trials[1].phases[1].name = run.trials[1].faults[0].fault = run.trials[1].faults[0].evidence = evil;
  run.trials[1].faults[0].error = run.trials[1].parts[0].version = evil;
  run.trials[1].parts[1].changed[evil] = evil;
  run.trials[1].problems = {evil};
  run.verdict.reasons = {evil, evil};
  for (Finding& finding : run.verdict.findings) {
    finding.rule = finding.text = finding.measured = finding.why = finding.variant = evil;
    finding.offenders = {evil};
  }
  run.verdict.catches[0].text = run.verdict.predictions[0].ask = run.verdict.predictions[0].band = evil;
  run.command = {"lab", evil};
  run.host[evil] = run.changed[evil] = evil;
  const Report report = MakeReport(lab, std::move(run));
  const std::string html = HtmlBody(report);
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_EQ(FirstUnbalanced(html), "");
  EXPECT_THAT(MarkdownReport(report), Not(ContainsRegex("[^`(]<img src=x onerror=alert\\(1\\)>.*\\|")));
}

TEST(HtmlTest, NothingMeasuredIsStillAPage) {
  bench::Run run;
  run.lab = "x";
  run.interrupted = true;
  const std::string html = HtmlBody(MakeReport(Lab(), std::move(run)));
  EXPECT_EQ(FirstUnbalanced(html), "");
  EXPECT_THAT(html, HasSubstr("INCONCLUSIVE"));
  EXPECT_THAT(html, HasSubstr("interrupted"));
}

TEST(ChartTest, TicksCoverTheData) {
  EXPECT_EQ(LatencyTicks(0.0004, 4.9).front().second, "100 µs");
  EXPECT_EQ(LatencyTicks(0.0004, 4.9).back().second, "10 s");
  EXPECT_GE(LatencyTicks(1, 1).size(), 2u);
  EXPECT_LE(NumberTicks(5200).size(), 7u);
  EXPECT_EQ(SecondTicks(19)[1].second, "5 s");
}

TEST(ChartTest, CutsAtTheAxisAndSaysHowHighItWas) {
  Chart chart;
  chart.x = {0, 1, 2};
  chart.x_max = 2;
  chart.y_max = 100;
  chart.clipped_unit = "/s";
  chart.lines = {{"a", "a", {10.0, 64000.0, std::nullopt}}};
  const std::string svg = RenderSvg(chart);
  EXPECT_THAT(svg, HasSubstr("▲ 64k/s"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(CardTest, FillsPlaceholders) {
  const auto card =
      RenderCard("p99 {{deny.p99_fault}}, {{ no-deadline.admitted_ratio }}, seed {{run.seed}}", "card.md", Sample());
  ASSERT_TRUE(card.ok()) << card.status();
  EXPECT_THAT(*card, ::testing::MatchesRegex("p99 1.4[0]* ms, not measured, seed 7"));
}

TEST(CardTest, ErrorsNameFileLineAndNearestName) {
  const auto card = RenderCard("one\n{{deny.p99_falt}}\n{{dney.p99_fault}} {{run.sead}}\n{{x}}\n{{deny.p99\n",
                               "labs/x/card.md", Sample());
  ASSERT_EQ(card.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string text(card.status().message());
  EXPECT_THAT(text, HasSubstr("labs/x/card.md:2: {{deny.p99_falt}}: no such value; did you mean \"p99_fault\"?"));
  EXPECT_THAT(text, HasSubstr("labs/x/card.md:3: {{dney.p99_fault}}: no such variant; did you mean \"deny\"?"));
  EXPECT_THAT(text, HasSubstr("labs/x/card.md:3: {{run.sead}}"));
  EXPECT_THAT(text, HasSubstr("labs/x/card.md:4: {{x}}"));
  EXPECT_THAT(text, HasSubstr("labs/x/card.md:5: \"{{\" is not closed"));
}

TEST(CardTest, AVariantThatDidNotRunIsNotMeasured) {
  Report report = Sample();
  std::erase_if(report.run.verdict.values, [](const Measured& m) { return m.variant == "deny"; });
  EXPECT_EQ(*RenderCard("{{deny.p99_fault}}", "c", report), "not measured");
  EXPECT_TRUE(CheckCard("{{deny.p99_fault}}", "c", testing::SyntheticLab()).ok());
  EXPECT_FALSE(CheckCard("{{deny.p99}}", "c", testing::SyntheticLab()).ok());
}

TEST(CardTest, ALabWithoutATemplateGetsAPlainCard) {
  const auto card = CardOf(Sample(), "", "");
  ASSERT_TRUE(card.ok()) << card.status();
  EXPECT_THAT(*card, HasSubstr("p99 in the fault"));
}

TEST(CardTest, EveryCardSaysWhereItsNumbersComeFrom) {
  Report report = Sample();
  report.run.changed["ratelimit.redis.deadline"] = "2ms";
  const auto card = CardOf(report, "deny: {{deny.p99_fault}}\n", "card.md");
  ASSERT_TRUE(card.ok()) << card.status();
  EXPECT_THAT(*card, HasSubstr("--seed 7"));
  EXPECT_THAT(*card, HasSubstr("with ratelimit.redis.deadline=2ms"));
  EXPECT_THAT(*card, HasSubstr(StateWord(report.run.verdict.state)));
}

TEST(CardTest, NothingMeasuredGivesNoNumbersAndTheReason) {
  Report report = Sample();
  report.run.verdict.values.clear();
  report.run.verdict.reasons = {"a busy neighbour"};
  const auto card = CardOf(report, "costs {{deny.p99_fault}} at worst\n", "card.md");
  ASSERT_TRUE(card.ok()) << card.status();
  EXPECT_THAT(*card, HasSubstr("**No numbers.** a busy neighbour"));
  EXPECT_THAT(*card, Not(HasSubstr("at worst")));
}

TEST(WriteReportsTest, WritesFourFilesAndNamesWhatItCannot) {
  Report report = Sample();
  report.run.folder = ::testing::TempDir() + "/reports-" + std::to_string(getpid());
  EXPECT_THAT(std::string(WriteReports(report, "", "").message()), HasSubstr(report.run.folder));
  std::filesystem::create_directories(report.run.folder + "/trials/deny-1");
  std::ofstream(report.run.folder + "/trials/deny-1/ops.csv") << "x\n";
  ASSERT_TRUE(WriteReports(report, "{{deny.p99_fault}}", "card.md").ok());
  for (const char* name : {"result.json", "report.md", "report.html", "card.md"}) {
    EXPECT_GT(std::filesystem::file_size(report.run.folder + "/" + name), 3u) << name;
  }
  EXPECT_THAT(*ReadFile(report.run.folder + "/report.html"), HasSubstr("href=\"./trials/deny-1/ops.csv\""));
  std::filesystem::remove_all(report.run.folder);
}

TEST(SummaryTest, Golden) {
  const std::string file = std::string(LAB_SOURCE_DIR) + "/bench/report/testing/summary.golden.txt";
  const std::string text = Summary(Sample(), {false, 110}, ".lab/runs/x/report.html");
  if (std::getenv("LAB_UPDATE_GOLDEN") != nullptr) {
    ASSERT_TRUE(WriteFileAtomic(file, text).ok());
  }
  EXPECT_EQ(text, *ReadFile(file)) << "meant? LAB_UPDATE_GOLDEN=1 bench_report_test writes it anew";
}

TEST(SummaryTest, FitsTheTerminal) {
  for (const int width : {60, 80, 100, 132}) {
    const std::string text = Summary(Sample(), {false, width}, "r.html");
    size_t begin = 0;
    while (begin < text.size()) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      EXPECT_LE(DisplayWidth(text.substr(begin, end - begin)), width) << text.substr(begin, end - begin);
      begin = end + 1;
    }
  }
}

TEST(SummaryTest, ColourOnlyWhenAsked) {
  EXPECT_THAT(Summary(Sample(), {false, 100}, "r"), Not(HasSubstr("\x1b")));
  EXPECT_THAT(Summary(Sample(), {true, 100}, "r"), HasSubstr("\x1b[1;32mPASS\x1b[0m"));
}

TEST(SummaryTest, AFailureNamesVariantAndOffender) {
  Report report = Sample();
  report.run.verdict.state = State::kFail;
  report.run.verdict.findings[1].state = State::kFail;
  report.run.verdict.findings[1].measured = "31 ms > 25 ms";
  report.run.verdict.findings[1].offenders = {"arrival 12011 at 6.003 s"};
  const std::string text = Summary(report, {false, 110}, "r");
  EXPECT_THAT(text, HasSubstr(" ✗ bounded-latency"));
  EXPECT_THAT(text, HasSubstr("deny: 31 ms > 25 ms, first: arrival 12011 at 6.003 s"));
  EXPECT_THAT(text, HasSubstr(" FAIL"));
}

TEST(SummaryTest, AFaultThatNobodySawIsNotGreen) {
  Report report = Sample();
  report.run.trials[2].faults[0].seen_s.reset();
  EXPECT_THAT(Summary(report, {false, 120}, "r"), HasSubstr("? redis.pause  seen by a probe in 3 of 4 trials"));
}

}  // namespace
}  // namespace lab::bench
