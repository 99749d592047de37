#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "bench/cli/arguments.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
#include "bench/cli/predictions.h"
#include "bench/cli/progress.h"
#include "bench/cli/run_request.h"
#include "bench/cli/terminal.h"
#include "bench/judge/judge.h"
#include "bench/report/testing/synthetic.h"
#include "bench/report/text.h"
#include "bench/run/runner.h"

namespace lab::bench::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

CommandSpec Spec() {
  return {"run",  "<lab>", 1, 1, {{"--quick", "", ""}, {"--seed", "N", ""}, {"--set", "PART.KEY=VALUE", "", true}},
          "Runs", ""};
}

std::string ParseError(const Words& words) {
  const absl::StatusOr<Arguments> arguments = ParseArguments(Spec(), words);
  return arguments.ok() ? "" : std::string(arguments.status().message());
}

Catalogue SyntheticCatalogue() {
  Catalogue catalogue;
  catalogue.knobs["redis"] = {};
  catalogue.knobs["ratelimit"] = {{"redis.deadline", "duration", "5ms", "", "", {}}};
  catalogue.check_expression = CheckExpression;
  return catalogue;
}

absl::StatusOr<RunOptions> Options(Words words) {
  words.push_back("rate-limit-outage");
  const absl::StatusOr<Arguments> arguments = ParseArguments(RunCommand().spec, words);
  if (!arguments.ok()) return arguments.status();
  return ReadRunOptions(*arguments, testing::SyntheticLab(), SyntheticCatalogue());
}

TEST(ArgumentsTest, ReadsFlagsValuesAndOperands) {
  const absl::StatusOr<Arguments> arguments =
      ParseArguments(Spec(), {"--quick", "--set", "a.b=c", "--set=d.e=f", "lab", "--seed=7"});
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_THAT(arguments->operands, ElementsAre("lab"));
  EXPECT_TRUE(arguments->Has("--quick"));
  EXPECT_THAT(arguments->All("--set"), ElementsAre("a.b=c", "d.e=f"));
  EXPECT_EQ(**arguments->Number("--seed", 0, 10), 7u);
  EXPECT_TRUE(ParseArguments(Spec(), {"--", "--quick"})->Has("--quick") == false);
}

TEST(ArgumentsTest, ErrorsNameTheNearest) {
  EXPECT_THAT(ParseError({"lab", "--quik"}), HasSubstr("did you mean \"--quick\"?"));
  EXPECT_THAT(ParseError({}), HasSubstr("needs <lab>"));
  EXPECT_THAT(ParseError({"a", "b"}), HasSubstr("\"b\" is one argument too many"));
  EXPECT_THAT(ParseError({"lab", "--seed"}), HasSubstr("--seed needs a value"));
  EXPECT_THAT(ParseError({"lab", "--seed", "1", "--seed", "2"}), HasSubstr("twice"));
  EXPECT_THAT(ParseError({"lab", "--quick=yes"}), HasSubstr("takes no value"));
  EXPECT_EQ(ParseError({"--help"}), "") << "help is there without operands";
}

TEST(ArgumentsTest, NumbersAreChecked) {
  for (const char* text : {"-1", "x", "1.5", "", " 3", "99999999999999999999", "11"}) {
    const absl::StatusOr<Arguments> arguments = ParseArguments(Spec(), {"lab", "--seed", text});
    EXPECT_FALSE(arguments->Number("--seed", 0, 10).ok()) << text;
  }
}

TEST(CheckoutTest, RunsAreInTheOrderOfTheirTime) {
  const std::string state = ::testing::TempDir() + "lab-cli-test-" + std::to_string(getpid());
  for (const char* run : {"20260102-000000", "20260101-000000-10", "20260101-000000-2", "20260101-000000"}) {
    std::filesystem::create_directories(state + "/runs/tiny/" + run);
    std::ofstream(state + "/runs/tiny/" + run + "/result.json") << "{}";
  }
  std::filesystem::create_directories(state + "/runs/tiny/20270101-000000");  // without a result: it never ended
  setenv("LAB_STATE", state.c_str(), 1);
  std::vector<std::string> names;
  for (const std::string& folder : RunFolders("/nowhere")) {
    names.push_back(std::filesystem::path(folder).filename().string());
  }
  const absl::StatusOr<std::string> latest = FindRun("/nowhere", "");
  unsetenv("LAB_STATE");
  std::filesystem::remove_all(state);
  EXPECT_THAT(names, ElementsAre("20260101-000000", "20260101-000000-2", "20260101-000000-10", "20260102-000000"));
  EXPECT_THAT(*latest, ::testing::EndsWith("20260102-000000"));
}

TEST(CommandsTest, EachHasHelpAndItsNameOnce) {
  std::set<std::string> names;
  for (const Command& command : Commands()) {
    EXPECT_TRUE(names.insert(command.spec.name).second);
    EXPECT_THAT(HelpText(command.spec), HasSubstr("./lab " + command.spec.name));
    EXPECT_NE(command.spec.summary, "");
  }
}

TEST(RunOptionsTest, ReadsEverything) {
  const absl::StatusOr<RunOptions> options = Options({"--quick", "--variants", "deny, local", "--seed", "7", "--repeat",
                                                      "2", "--set", "ratelimit.redis.deadline=9ms", "--predict",
                                                      "p99-deny=50ms", "--predict", "open=9", "--starve-load", "50%"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->quick);
  EXPECT_THAT(options->variants, ElementsAre("deny", "local"));
  EXPECT_EQ(options->seed, 7u);
  EXPECT_EQ(options->repeat, 2);
  EXPECT_EQ(options->set.at("ratelimit").at("redis.deadline"), "9ms");
  EXPECT_DOUBLE_EQ(options->predictions.at("p99-deny"), 0.05);
  EXPECT_DOUBLE_EQ(options->predictions.at("open"), 9);
  EXPECT_DOUBLE_EQ(options->starve_load, 0.5);
}

absl::StatusOr<SweepRequest> SweepOptions(Words words, const Catalogue& catalogue) {
  words.push_back("rate-limit-outage");
  const absl::StatusOr<Arguments> arguments = ParseArguments(SweepCommand().spec, words);
  if (!arguments.ok()) return arguments.status();
  Lab lab = testing::SyntheticLab();
  lab.reference = "deny";
  return ReadSweepRequest(*arguments, lab, catalogue);
}

absl::StatusOr<SweepRequest> SweepOptions(const Words& words) {
  Catalogue catalogue = SyntheticCatalogue();
  catalogue.knobs["ratelimit"].push_back({"coalesce", "bool", "true", "", "share entries", {}});
  return SweepOptions(words, catalogue);
}

// Programs of a learner's own: all know "limit", and only those that are called "b" know "window".
Catalogue WithPrograms() {
  Catalogue catalogue = SyntheticCatalogue();
  catalogue.knobs["ratelimit"].push_back({"binary", "string", "", "", "", {}});
  catalogue.knobs_of_binary = [](const std::string&,
                                 const std::string& binary) -> absl::StatusOr<std::vector<Catalogue::Knob>> {
    std::vector<Catalogue::Knob> knobs = {{"limit", "int", "1", "", "how many a window", {}},
                                          {"binary", "string", "", "", "", {}}};
    if (binary.ends_with("/b")) knobs.push_back({"window", "duration", "1s", "", "", {}});
    return knobs;
  };
  return catalogue;
}

std::string SweepError(const Words& words) { return std::string(SweepOptions(words).status().message()); }

TEST(SweepRequestTest, OneKnobHasSeveralValues) {
  const absl::StatusOr<SweepRequest> request = SweepOptions(
      {"--set", "ratelimit.redis.deadline=2ms, 5ms,20ms", "--set", "ratelimit.coalesce=false", "--seed", "7"});
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->plan.part, "ratelimit");
  EXPECT_EQ(request->plan.key, "redis.deadline");
  EXPECT_THAT(request->plan.values, ElementsAre("2ms", "5ms", "20ms"));
  EXPECT_EQ(request->knob.type, "duration");
  EXPECT_EQ(request->options.set.at("ratelimit").at("coalesce"), "false");
  EXPECT_THAT(request->options.variants, ElementsAre("deny")) << "the reference";
  EXPECT_EQ(request->options.repeat, 5);
  EXPECT_EQ(SweepOptions({"--set", "ratelimit.redis.deadline=2ms,5ms", "--quick"})->options.repeat, 1);
  EXPECT_EQ(SweepOptions({"--set", "ratelimit.redis.deadline=2ms,5ms", "--repeat", "3"})->options.repeat, 3);
}

TEST(SweepRequestTest, AllErrorsAtOnce) {
  EXPECT_THAT(SweepError({}), HasSubstr("nothing to sweep"));
  EXPECT_THAT(SweepError({"--set", "ratelimit.redis.deadline=2ms"}), HasSubstr("nothing to sweep"));
  EXPECT_THAT(SweepError({"--set", "ratelimit.redis.deadline=2ms,5ms", "--set", "ratelimit.coalesce=true,false"}),
              HasSubstr("one knob a sweep"));
  const std::string wrong = SweepError({"--set", "ratelimit.redis.deadline=2ms,5,2ms", "--variants", "dney"});
  EXPECT_THAT(wrong, HasSubstr("stands there twice"));
  EXPECT_THAT(wrong, HasSubstr("ratelimit.redis.deadline"));
  EXPECT_THAT(wrong, HasSubstr("did you mean \"deny\"?"));
  const std::string unknown = SweepError({"--set", "ratelimit.redis.dedline=2ms,5ms"});
  EXPECT_THAT(unknown, HasSubstr("did you mean \"redis.deadline\"?"));
  EXPECT_EQ(unknown.find('\n'), std::string::npos) << "told once, not for each value: " << unknown;
  EXPECT_THAT(SweepError({"--set", "ratelimit.redis.deadline=2ms,5ms", "--set", "ratelimit.redis.deadline=9ms"}),
              HasSubstr("swept, and fixed too"));
}

TEST(SweepRequestTest, AKnobOfAForeignProgramIsDescribedByIt) {
  const auto request = SweepOptions({"--set", "ratelimit.binary=./a", "--set", "ratelimit.limit=1,2"}, WithPrograms());
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->knob.type, "int");
  EXPECT_EQ(request->knob.doc, "how many a window");
}

TEST(SweepRequestTest, AFixedSettingHasToFitEverySweptProgram) {
  const auto request =
      SweepOptions({"--set", "ratelimit.limit=4", "--set", "ratelimit.binary=./a,./b"}, WithPrograms());
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->options.set.at("ratelimit").at("limit"), "4");
  ASSERT_EQ(request->plan.values.size(), 2u);
  EXPECT_THAT(request->plan.values[1], ::testing::EndsWith("/b"));
  const auto error = [](const Words& words) {
    return std::string(SweepOptions(words, WithPrograms()).status().message());
  };
  const std::string unknown = error({"--set", "ratelimit.binary=./a,./b", "--set", "ratelimit.window=2s"});
  EXPECT_THAT(unknown, HasSubstr("--set ratelimit.window: unknown key \"window\" of a"));
  EXPECT_EQ(unknown.find('\n'), std::string::npos) << "b knows it: " << unknown;
  EXPECT_THAT(error({"--set", "ratelimit.binary=./a,./b", "--set", "ratelimit.binary=./c"}),
              HasSubstr("swept, and fixed too"));
  EXPECT_THAT(error({"--set", "ratelimit.binary=./a,./b", "--set", "nonsense"}), HasSubstr("--set"));
}

TEST(SweepMemoryTest, WhatWouldNotFitIsRefusedBeforeItStarts) {
  Lab lab;
  lab.phases = {{"steady", std::chrono::seconds(10)}};
  LoadSpec& load = lab.load.emplace_back();
  load.name = "main";
  load.arrivals = Arrivals::kConstant;
  load.rate.per_s = 1000;
  load.lanes = {{"a", {}}, {"b", {}}};
  const double one = 2 * 10'000.0 * sizeof(Op);
  EXPECT_TRUE(CheckSweepMemory(lab, {}, 100, 2.01 * 100 * one).ok());
  const absl::Status refused = CheckSweepMemory(lab, {}, 100, 1.99 * 100 * one);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("sweep fewer values or variants, or take fewer blocks"));
  load.arrivals = Arrivals::kClosed;
  load.closed_clients = 4;
  load.think = std::chrono::milliseconds(9);
  EXPECT_TRUE(CheckSweepMemory(lab, {}, 1, 2.01 * 8000 * sizeof(Op)).ok()) << "4 clients, 100 a second each, 2 lanes";
  EXPECT_FALSE(CheckSweepMemory(lab, {}, 1, 1.99 * 8000 * sizeof(Op)).ok());
}

TEST(RunOptionsTest, ABarePredictionIsInTheUnitOfTheQuestion) {
  EXPECT_DOUBLE_EQ(Options({"--predict", "p99-deny=50"})->predictions.at("p99-deny"), 0.05);
}

TEST(RunOptionsTest, AllErrorsAtOnceWithTheNearestName) {
  const absl::StatusOr<RunOptions> options =
      Options({"--variants", "denny", "--set", "ratelimit.redis.dedline=5ms", "--set", "x", "--set",
               "ratelimit.redis.deadline=5parsecs", "--predict", "p99-dney=5", "--predict", "open=5ms", "--starve-load",
               "2", "--repeat", "0"});
  ASSERT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string text(options.status().message());
  for (const char* part : {"did you mean \"deny\"?", "did you mean \"redis.deadline\"?", "--set takes", "5parsecs",
                           "did you mean \"p99-deny\"?", "--predict open", "--starve-load", "--repeat"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(PredictionsTest, AsksSkipsAndAsksAgain) {
  RunOptions options;
  std::istringstream in("soon\n50\n\n");
  std::ostringstream out;
  AskPredictions(testing::SyntheticLab(), in, out, options);
  EXPECT_DOUBLE_EQ(options.predictions.at("p99-deny"), 0.05);
  EXPECT_EQ(options.predictions.count("open"), 0u);
  EXPECT_THAT(out.str(), HasSubstr("[ms]"));
}

TEST(PredictionsTest, GivenOnesAreNotAskedAndTheEndOfInputEnds) {
  RunOptions options;
  options.predictions["p99-deny"] = 0.01;
  std::istringstream in("");
  std::ostringstream out;
  AskPredictions(testing::SyntheticLab(), in, out, options);
  EXPECT_THAT(out.str(), Not(HasSubstr("[ms]")));
  EXPECT_EQ(options.predictions.size(), 1u);
}

// On a terminal of its own: asks, as `run` does, and ends with the status 70 when that was interrupted.
[[noreturn]] void AskOnATerminal() {
  RunOptions options;
  const std::atomic<int>& interrupted = CatchSignals(false);
  AskPredictions(testing::SyntheticLab(), std::cin, std::cout, options);
  _exit(interrupted != 0 ? 70 : static_cast<int>(options.predictions.size()));
}

int StatusAfterTyping(const std::string& keys) {
  int terminal = -1;
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (pid == 0) AskOnATerminal();
  std::string shown;
  pollfd ready{terminal, POLLIN, 0};
  for (bool typed = false; poll(&ready, 1, 10'000) > 0;) {
    char buffer[1024];
    const ssize_t got = read(terminal, buffer, sizeof(buffer));
    if (got <= 0) break;  // it has ended
    shown.append(buffer, static_cast<size_t>(got));
    if (typed || shown.find("[ms]: ") == std::string::npos) continue;
    usleep(50'000);  // until it waits for the answer
    EXPECT_EQ(write(terminal, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
    typed = true;
  }
  kill(pid, SIGKILL);  // one that waits on is not 70
  int status = 0;
  waitpid(pid, &status, 0);
  close(terminal);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(PredictionsTest, CtrlCAtTheQuestionEndsIt) {
  EXPECT_EQ(StatusAfterTyping("\x03"), 70);
  EXPECT_EQ(StatusAfterTyping("50\n-\n"), 1) << "one was answered";
}

TEST(TerminalTest, LinesAreCutWithoutBreakingEscapes) {
  EXPECT_EQ(FitLine("abc", 5), "abc");
  EXPECT_EQ(FitLine("\x1b[1mabcdef\x1b[0m", 3), "\x1b[1mabc\x1b[0m");
  EXPECT_EQ(FitLine("µs▓▓", 3), "µs▓");
  EXPECT_EQ(FitLine("a\x1b[", 9), "a\x1b[\x1b[0m") << "an unfinished sequence must not run past the end";
}

TEST(ProgressTest, FaultsTellTheLatest) {
  FaultRecord fault;
  fault.fault = "redis.pause";
  fault.asked_s = 6;
  EXPECT_EQ(FaultText(fault), "redis.pause asked for");
  fault.seen_s = 6.021;
  fault.evidence = "PING unanswered";
  EXPECT_THAT(FaultText(fault), HasSubstr("seen by a probe after 21 ms: PING unanswered"));
  fault.heal_asked_s = 10;
  fault.healed_s = 10.003;
  EXPECT_THAT(FaultText(fault), HasSubstr("well again 3 ms later"));
  fault.error = "no";
  EXPECT_EQ(FaultText(fault), "redis.pause: no");
}

// A fault that is over as soon as it was, a flush, is healed when it is seen: nothing to tell twice.
TEST(ProgressTest, WhatAFaultHasToTellIsToldOnce) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  PlainProgress progress(ends[1]);
  FaultRecord flush;
  flush.id = "redis.flush#1";
  flush.fault = "redis.flush";
  flush.applied_s = flush.asked_s;
  for (int trial = 0; trial < 2; ++trial) {
    progress.TrialStarts("deny", trial + 1, trial, 2);
    FaultRecord record = flush;
    progress.FaultChanged(record);
    record.seen_s = 0.001;
    progress.FaultChanged(record);
    record.heal_asked_s = 0.001;
    progress.FaultChanged(record);
    record.healed_s = 0.001;
    progress.FaultChanged(record);
  }
  close(ends[1]);
  std::string told;
  for (char bytes[4096]; const ssize_t length = read(ends[0], bytes, sizeof(bytes));) {
    ASSERT_GT(length, 0);
    told.append(bytes, static_cast<size_t>(length));
  }
  close(ends[0]);
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 2 * 3) << told;
}

TEST(ProgressTest, AFrameShowsTrialPhaseRatesAndFaults) {
  Lab lab = testing::SyntheticLab();
  lab.phases = {{"steady", std::chrono::seconds(4)}, {"pause", std::chrono::seconds(4)}};
  ViewState state = PlannedView(lab, false, 7);
  state.variant = "deny";
  state.total = 4;
  state.index = 1;
  state.phase = "pause";
  state.at_s = 5.2;
  state.load.offered_per_s = 4012;
  state.load.p99_s = 0.0014;
  state.p99_s = {0.001, 0.0014};
  FaultRecord fault;
  fault.fault = "redis.pause";
  fault.asked_s = 4;
  fault.applied_s = 4.001;
  state.faults = {fault};
  state.events = {"redis up"};
  std::string text;
  for (const std::string& line : RenderFrame(state, {false, 100})) {
    EXPECT_LE(DisplayWidth(line), 130) << line;
    text += line + "\n";
  }
  for (const char* part :
       {"deny", "trial 2 of 4", "offered 4,012/s", "1.4 ms", "redis.pause applied", "redis up", "──"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace lab::bench::cli
