#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_replace.h"
#include "bench/labfile/lab.h"
#include "bench/labfile/quantity.h"
#include "services/runtime/base/temporary_folder.h"

namespace lab::bench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Stands for bench/judge, which is above this folder: an expression is wrong when it says so.
std::string FakeCheck(const Lab&, const std::string& text, ExpressionUse use) {
  if (text.find("wrong") != std::string::npos) return "column 1: wrong";
  if (use == ExpressionUse::kExpectation && text.find("p99 >= 1mb") != std::string::npos) return "a time and a size";
  return "";
}

Catalogue TestCatalogue() {
  Catalogue catalogue;
  catalogue.knobs["redis"] = {{"maxmemory", "string", "", "", "", {}}};
  catalogue.knobs["ratelimit"] = {
      {"redis.deadline", "duration", "5ms", "0 s … 1 min", "", {}},
      {"redis.connections", "int", "1", "1 … 64", "", {}},
      {"redis.share", "number", "0.5", "0 … 1", "", {}},
      {"debug", "bool", "false", "", "", {}},
      {"replicas", "int", "1", "1 … 16", "", {}},
      {"rules.path", "string", "", "", "", {}},
      {"rules.on_store_failure", "one of: allow, deny, local", "deny", "", "", {"allow", "deny", "local"}}};
  catalogue.faults = {
      {"redis.pause", {}}, {"redis.kill", {}}, {"redis.flush", {}}, {"redis.expire", {"key"}}, {"process.stop", {}}};
  catalogue.check_fault = [](const Lab& lab, const FaultSpec& fault) {
    const auto key = fault.options.find("key");
    return key != fault.options.end() && key->second == "none" ? "no such key in " + lab.name : std::string();
  };
  catalogue.targets = {{"ratelimit.grpc", {"domain", "key"}}, {"ratelimit.http", {"domain"}}};
  catalogue.wired["ratelimit"] = {"redis.port"};
  catalogue.invariants = {"every-arrival-accounted", "limit-holds"};
  catalogue.check_expression = &FakeCheck;
  return catalogue;
}

const char kGood[] = R"yaml(lab: outage
title: The limiter loses its Redis
answers: [Q1, rate-limiter]
needs: [redis]
budget: {run: 3m, quick: 45s}
system:
  redis: {}
  ratelimit:
    replicas: 2
    set: {redis.deadline: 5ms, redis: {connections: 2}, rules.path: "@rules.yaml"}
    files:
      rules.yaml: |
        domain: outage
reference: deny
variants:
  no-deadline: {ratelimit: {redis.deadline: 0s}, control: broken, caught_by: bounded-latency, note: waits}
  deny: {ratelimit: {rules.on_store_failure: deny}, request: {main: {key: other}}}
load:
  - {target: ratelimit.grpc, rate: 4000/s, keys: "zipf(1.0, 10000)", timeout: 10s, request: {domain: outage, key: tenant}}
phases: {warmup: 2s, steady: 4s, pause: 4s, after: 3s}
quick: {warmup: 1s, steady: 1s, pause: 2s, after: 1s}
faults:
  - {at: pause+0.5s, do: redis.pause, for: 100%}
  - {at: after, do: redis.expire, key: hot, repeat: every 500ms}
  - {at: after+50%, do: process.stop, on: ratelimit, replica: 1, for: 100ms}
values:
  p99: "latency_p99{phase=steady}"
  max_fault: {is: "latency_max{phase=pause}", show: maximum in the fault}
predict:
  - {id: p99-deny, ask: "p99?", unit: ms, value: deny.p99}
expect:
  bounded-latency: each.max_fault <= 25ms
invariants: [every-arrival-accounted, "limit-holds{limit=1, window=1s}"]
)yaml";

absl::StatusOr<Lab> Parse(const std::string& text) { return ParseLab(text, "labs/outage/lab.yaml", TestCatalogue()); }

// The good file with one thing replaced; fails loudly when that thing is not in it.
std::string ErrorsWith(const std::string& from, const std::string& to) {
  const std::string good = kGood;
  const size_t at = good.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  std::string bad = good;
  bad.replace(at, from.size(), to);
  const absl::StatusOr<Lab> lab = Parse(bad);
  return lab.ok() ? "no error" : std::string(lab.status().message());
}

TEST(LabParserTest, ReadsEverything) {
  const absl::StatusOr<Lab> lab = Parse(kGood);
  ASSERT_TRUE(lab.ok()) << lab.status();
  EXPECT_EQ(lab->name, "outage");
  ASSERT_EQ(lab->system.size(), 2u);
  EXPECT_EQ(lab->system[1].replicas, 2);
  EXPECT_EQ(lab->system[1].set.at("redis.connections"), "2");
  EXPECT_EQ(lab->system[1].files.at("rules.yaml"), "domain: outage\n");
  ASSERT_EQ(lab->variants.size(), 2u);
  EXPECT_TRUE(lab->variants[0].broken);
  EXPECT_EQ(lab->variants[0].caught_by, "bounded-latency");
  EXPECT_EQ(lab->variants[1].set.at("ratelimit").at("rules.on_store_failure"), "deny");
  EXPECT_EQ(lab->variants[1].request.at("main").at("key"), "other");
  ASSERT_EQ(lab->load.size(), 1u);
  EXPECT_EQ(lab->load[0].name, "main");
  EXPECT_DOUBLE_EQ(lab->load[0].rate.per_s, 4000);
  EXPECT_EQ(lab->load[0].arrivals, Arrivals::kPoisson);
  EXPECT_EQ(lab->load[0].keys.kind, KeySpec::Kind::kZipf);
  EXPECT_EQ(lab->load[0].keys.count, 10000u);
  EXPECT_EQ(lab->load[0].request.at("key"), "tenant");
  ASSERT_EQ(lab->faults.size(), 3u);
  EXPECT_EQ(lab->faults[1].options.at("key"), "hot");
  EXPECT_EQ(lab->faults[2].part, "ratelimit");
  EXPECT_EQ(lab->faults[2].replica, 1);
  EXPECT_EQ(lab->values[1].show, "maximum in the fault");
  EXPECT_EQ(lab->expect[0].line, 32);
  EXPECT_THAT(lab->invariants, ElementsAre("every-arrival-accounted", "limit-holds{limit=1, window=1s}"));
}

TEST(LabParserTest, ALoadsTargetIsAPartWhoseKindSaysHowRequestsAreWritten) {
  std::string text = kGood;
  for (const auto& [from, to] : {std::pair{"  ratelimit:\n", "  edge:\n    kind: ratelimit\n"},
                                 {"no-deadline: {ratelimit:", "no-deadline: {edge:"},
                                 {"deny: {ratelimit:", "deny: {edge:"},
                                 {"target: ratelimit.grpc", "target: edge.grpc"},
                                 {"on: ratelimit", "on: edge"}}) {
    ASSERT_NE(text.find(from), std::string::npos) << from;
    text.replace(text.find(from), std::string(from).size(), to);
  }
  const absl::StatusOr<Lab> renamed = Parse(text);
  ASSERT_TRUE(renamed.ok()) << renamed.status();
  EXPECT_EQ(renamed->load[0].target, "edge.grpc");
  EXPECT_EQ(renamed->load[0].api, "ratelimit.grpc");
  EXPECT_EQ(Parse(kGood)->load[0].api, "ratelimit.grpc");
  text.replace(text.find("edge.grpc"), 9, "ratelimit.grpc");
  EXPECT_THAT(std::string(Parse(text).status().message()), HasSubstr("known: edge.grpc"));
}

TEST(LabParserTest, FaultsFollowTheirPhase) {
  const absl::StatusOr<Lab> lab = Parse(kGood);
  ASSERT_TRUE(lab.ok()) << lab.status();
  const std::vector<FaultSpec> full = FaultsOf(*lab, false, 1);
  ASSERT_EQ(full.size(), 1u + 6u + 1u);
  EXPECT_EQ(full[0].offset, Millis(500));
  EXPECT_EQ(*full[0].length, Millis(3500));
  EXPECT_EQ(full[2].offset, Millis(500));
  EXPECT_EQ(full[7].offset, Millis(1500));
  const std::vector<FaultSpec> quick = FaultsOf(*lab, true, 1);
  ASSERT_EQ(quick.size(), 1u + 2u + 1u);
  EXPECT_EQ(*quick[0].length, Millis(1500));
  EXPECT_EQ(quick[3].offset, Millis(500));
}

TEST(LabParserTest, RatesPerPhaseBurstsAndLanes) {
  const absl::StatusOr<Lab> lab = Parse(absl::StrReplaceAll(
      kGood, {{"  - {target: ratelimit.grpc, rate: 4000/s, keys: \"zipf(1.0, 10000)\", timeout: 10s, ",
               "  - {target: ratelimit.grpc, arrivals: constant, keys: \"hot(0.4, 1000)\",\n"
               "     rate: {warmup: 0/s, steady: 10/s, pause: 20/s, after: 10/s},\n"
               "     bursts: [{phase: steady, every: 4s, at: [0.48, 0.52], count: 10}],\n"
               "     lanes: {a: {key: a}, b: {key: b}}, "}}));
  ASSERT_TRUE(lab.ok()) << lab.status();
  const LoadSpec& load = lab->load[0];
  EXPECT_DOUBLE_EQ(load.rate.by_phase.at("pause"), 20);
  EXPECT_DOUBLE_EQ(load.keys.hot_share, 0.4);
  EXPECT_THAT(load.bursts[0].at, ElementsAre(0.48, 0.52));
  EXPECT_EQ(load.lanes[1].second.at("key"), "b");
}

struct Wrong {
  const char* from;
  const char* to;
  const char* error;  // what the message must contain
};

class LabErrorTest : public ::testing::TestWithParam<Wrong> {};

TEST_P(LabErrorTest, IsToldWithItsLineAndARemedy) {
  const std::string errors = ErrorsWith(GetParam().from, GetParam().to);
  EXPECT_THAT(errors, HasSubstr(GetParam().error));
  EXPECT_THAT(errors, HasSubstr("labs/outage/lab.yaml:"));
}

INSTANTIATE_TEST_SUITE_P(
    Everything, LabErrorTest,
    ::testing::Values(
        Wrong{"title:", "titel:", "lab.yaml:2: unknown key \"titel\"; did you mean \"title\"?"},
        Wrong{"lab: outage", "lab: outrage", "lab.yaml:1: lab: \"outrage\" is not the name of its folder, \"outage\""},
        Wrong{"needs: [redis]", "needs: [reddis]", "did you mean \"redis\"?"},
        Wrong{"redis.deadline: 5ms", "redis.dedline: 5ms", "did you mean \"redis.deadline\"?"},
        Wrong{"redis.deadline: 5ms", "redis.deadline: 5", "not a duration"},
        Wrong{"redis.deadline: 5ms", "redis.deadline: 2m", "out of range; allowed: 0 s … 1 min"},
        Wrong{"connections: 2", "connections: 2.5", "not a whole number"},
        Wrong{"connections: 2", "connections: 100", "out of range; allowed: 1 … 64"},
        Wrong{"\"@rules.yaml\"", "\"@rulez.yaml\"", "did you mean \"@rules.yaml\"?"},
        Wrong{"  redis: {}", "  redos: {}", "unknown part \"redos\"; did you mean \"redis\"?"},
        Wrong{"replicas: 2", "replicas: 0", "replicas"},
        Wrong{"rules.on_store_failure: deny}", "replicas: 17}", "out of range; allowed: 1 … 16"},
        Wrong{"rules.on_store_failure: deny}", "replicas: 1}", "replica"},
        Wrong{"reference: deny", "reference: denny", "unknown variant \"denny\"; did you mean \"deny\"?"},
        Wrong{"reference: deny", "reference: no-deadline", "a broken variant cannot be the reference"},
        Wrong{"on_store_failure: deny", "on_store_failure: denny", "did you mean \"deny\"?"},
        Wrong{"control: broken", "control: broke", "did you mean \"broken\"?"},
        Wrong{"control: broken, caught_by: bounded-latency", "control: broken", "says which expectation or invariant"},
        Wrong{"control: broken, ", "", "caught_by is only for"},
        Wrong{"caught_by: bounded-latency", "caught_by: bounded-latenzy", "did you mean \"bounded-latency\"?"},
        Wrong{"each.max_fault <= 25ms", "deny.max_fault <= 25ms", "says nothing about this variant"},
        Wrong{"  deny: {ratelimit:", "  deny: {ratelimt:",
              "unknown part or key \"ratelimt\"; did you mean \"ratelimit\"?"},
        Wrong{"  deny: {", "  Deny!: {", "is no name"},
        Wrong{"request: {main:", "request: {mein:", "unknown load \"mein\"; did you mean \"main\"?"},
        Wrong{"key: hot", "key: none", "no such key in outage"},
        Wrong{"target: ratelimit.grpc", "target: ratelimit.grcp", "did you mean \"ratelimit.grpc\"?"},
        Wrong{"rate: 4000/s", "rate: 4000/s, retries: {attempts: 11}", "a whole number in 1 … 10"},
        Wrong{"rate: 4000/s", "rate: 4000/s, retries: {budget: 10%}", "attempts"},
        Wrong{"rate: 4000/s", "rate: 4000/s, retries: {attempts: 3, budget: 200%}", "write a share from 0 to 100%"},
        Wrong{"request: {main:", "retries: {mein: {attempts: 2}}, request: {main:",
              "retries: unknown load \"mein\"; did you mean \"main\"?"},
        Wrong{"rate: 4000/s", "rate: 4000", "not a rate; write a number and its unit, as 4000/s"},
        Wrong{"rate: 4000/s", "rate: 4000ms", "not a rate"},
        Wrong{"rate: 4000/s", "rate: 99999999999999999999999999/s", "is more than 2000000/s"},
        Wrong{"rate: 4000/s", "rate: 0/s", "must be above 0"},
        Wrong{"rate: 4000/s", "rate: 4000/s, lanes: {}", "load[0].lanes: names no lane; leave it out"},
        Wrong{"rate: 4000/s", "rate: 4000/s, bursts: []", "names no burst; leave it out"},
        Wrong{"rate: 4000/s", "rate: 4000/s, bursts: [{phase: steady, every: 1s, at: [], count: 1}]", "names no place"},
        Wrong{"rate: 4000/s", "rate: 4000/s, bursts: [{phase: steady, every: 1ms, at: [0.5], count: 1000000}]",
              "would send 40000"},
        Wrong{"budget: {run: 3m, quick: 45s}", "budget: {}", "names no time; write {run: 3m, quick: 45s}"},
        Wrong{"invariants: [every-arrival-accounted, \"limit-holds{limit=1, window=1s}\"]", "invariants: []",
              "names no invariant; leave it out"},
        Wrong{"redis.deadline: 5ms", "redis.port: 1", "\"redis.port\" of ratelimit is not to be set: the runner"},
        Wrong{"rate: 4000/s", "rate: 60% of knee", "a share of the knee cannot be used here"},
        Wrong{"rate: 4000/s", "rate: {warmup: 1/s, steady: 1/s, pause: 1/s}", "no rate for phase \"after\""},
        Wrong{"rate: 4000/s", "rate: {warmup: 1/s, stedy: 1/s}", "did you mean \"steady\"?"},
        Wrong{"rate: 4000/s", "rate: 1000000/s", "operations a trial; at most 4500000"},
        Wrong{"rate: 4000/s", "rate: 4000/s, think: 1s", "only for arrivals: closed"},
        Wrong{"zipf(1.0, 10000)", "zipff(1.0, 10000)", "did you mean \"zipf\"?"},
        Wrong{"zipf(1.0, 10000)", "zipf(10000)", "write it as zipf(1.0, 10000)"},
        Wrong{"zipf(1.0, 10000)", "uniform(0)", "a whole number from 1"},
        Wrong{"key: tenant}", "kee: tenant}", "did you mean \"key\"?"},
        Wrong{"quick: {warmup: 1s, ", "quick: {", "phase \"warmup\" is missing"},
        Wrong{"quick: {warmup: 1s, ", "quick: {warmup: 1s, warm: 1s, ", "is no phase of the full run"},
        Wrong{"quick: {warmup: 1s, steady: 1s, ", "quick: {steady: 1s, warmup: 1s, ", "another order"},
        Wrong{"at: pause+0.5s", "at: pauze+0.5s", "unknown phase \"pauze\"; did you mean \"pause\"?"},
        Wrong{"at: pause+0.5s", "at: pause+5", "not a duration"},
        Wrong{"at: pause+0.5s", "at: pause+3s", "after the end of the quick phase pause"},
        Wrong{"for: 100%", "for: 4s", "beyond the end of the phase pause"},
        Wrong{"for: 100%", "for: 3s", "beyond the end of the quick phase pause (2 s); write a share of the phase"},
        Wrong{"for: 100%", "for: 150%", "between 1% and 100%"},
        Wrong{"do: redis.pause", "do: redis.pose", "did you mean \"redis.pause\"?"},
        Wrong{"do: redis.expire, key: hot", "do: redis.expire, kee: hot", "did you mean \"key\"?"},
        Wrong{"repeat: every 500ms", "repeat: often", "write how often"},
        Wrong{"on: ratelimit, replica: 1", "on: ratelimit, replica: 2", "replica"},
        Wrong{"on: ratelimit, replica: 1, ", "", "say which with on:"},
        Wrong{"\"latency_p99{phase=steady}\"", "\"wrong\"", "lab.yaml:27: values.p99: column 1: wrong"},
        Wrong{"deny.p99}", "wrong.p99}", "predict[0].value: column 1: wrong"},
        Wrong{"unit: ms", "unit: mb", "unit \"mb\" does not fit deny.p99"},
        Wrong{"each.max_fault <= 25ms", "each.wrong <= 25ms", "expect.bounded-latency: column 1: wrong"},
        Wrong{"[every-arrival-accounted,", "[every-arrival-acounted,", "did you mean \"every-arrival-accounted\"?"},
        Wrong{"run: 3m", "run: 20s",
              "the run takes 28 s (2 trials of 14 s, boot included), more than its budget of 20 s"},
        Wrong{"quick: 45s", "quick: 5s", "the quick run takes 12 s"}));

TEST(LabParserTest, TellsAllErrorsAtOnceInTheirOrder) {
  std::string bad = kGood;
  for (const auto& [from, to] : {std::pair{"title:", "titel:"},
                                 {"rate: 4000/s", "rate: 4000"},
                                 {"do: redis.kill", ""},
                                 {"reference: deny", "reference: denny"}}) {
    const size_t at = bad.find(from);
    if (at != std::string::npos) bad.replace(at, std::string(from).size(), to);
  }
  const absl::StatusOr<Lab> lab = Parse(bad);
  ASSERT_FALSE(lab.ok());
  const std::string errors(lab.status().message());
  EXPECT_THAT(errors, AllOf(HasSubstr("titel"), HasSubstr("denny"), HasSubstr("not a rate")));
  EXPECT_LT(errors.find("titel"), errors.find("denny"));
  EXPECT_LT(errors.find("denny"), errors.find("not a rate"));
}

// What follows from an error is not an error of its own.
TEST(LabParserTest, OneFaultOfTheFileIsOneError) {
  const auto lines = [](const std::string& errors) { return 1 + std::count(errors.begin(), errors.end(), '\n'); };
  for (const char* rate : {"rate: 99999999999999999999999999/s", "rate: fast", "rate: 4000", "rate: 60% of knee"}) {
    const std::string errors = ErrorsWith("rate: 4000/s", rate);
    EXPECT_EQ(lines(errors), 1) << errors;
  }
  Catalogue catalogue = TestCatalogue();
  catalogue.check_expression = [](const Lab& lab, const std::string& text, ExpressionUse) -> std::string {
    const bool asks = text.find("phase=pause") != std::string::npos;
    const bool known = std::any_of(lab.faults.begin(), lab.faults.end(),
                                   [](const FaultSpec& fault) { return fault.phase == "pause"; });
    return asks && !known ? "no fault begins in phase \"pause\"" : "";
  };
  for (const auto& [from, to] :
       {std::pair{"do: redis.pause", "do: redis.pose"}, {"at: pause+0.5s", "at: pauze+0.5s"}}) {
    const std::string bad = absl::StrReplaceAll(kGood, {{from, to}});
    const std::string errors(ParseLab(bad, "labs/outage/lab.yaml", catalogue).status().message());
    EXPECT_EQ(lines(errors), 1) << errors;
    EXPECT_THAT(errors, HasSubstr("did you mean"));
  }
}

TEST(LabParserTest, ALabThatComparesPaysForItsNoise) {
  Catalogue catalogue = TestCatalogue();
  EXPECT_FALSE(ParseLab(kGood, "lab.yaml", catalogue)->compares);
  catalogue.comparisons = [](const Lab&) -> size_t { return 1; };
  EXPECT_TRUE(ParseLab(kGood, "lab.yaml", catalogue)->compares);
  const std::string tight = absl::StrReplaceAll(kGood, {{"run: 3m", "run: 30s"}});  // enough for two trials
  EXPECT_THAT(std::string(ParseLab(tight, "lab.yaml", catalogue).status().message()),
              HasSubstr("the run takes 42 s (3 trials of 14 s, boot included, the reference twice to show the noise), "
                        "more than its budget of 30 s"));
  catalogue.comparisons = nullptr;
  EXPECT_TRUE(ParseLab(tight, "lab.yaml", catalogue).ok());
}

TEST(LabParserTest, LoadsAreCheckedAsEachVariantSendsThem) {
  Catalogue catalogue = TestCatalogue();
  catalogue.check_load = [](const LoadSpec& load, const std::vector<PhaseSpec>& phases) -> std::string {
    EXPECT_EQ(phases.size(), 4u);
    if (load.arrivals == Arrivals::kReplay) return "replay: " + load.replay_file;
    return load.request.at("key").empty() ? "request: key: is needed" : "";
  };
  const auto errors = [&](const char* from, const char* to) {
    const std::string bad = absl::StrReplaceAll(kGood, {{from, to}});
    return std::string(ParseLab(bad, "labs/outage/lab.yaml", catalogue).status().message());
  };
  EXPECT_EQ(errors("title:", "title:"), "");
  EXPECT_EQ(errors("key: tenant}", "key: \"\"}"), "labs/outage/lab.yaml:19: load[0]: request: key: is needed");
  EXPECT_EQ(errors("{key: other}", "{key: \"\"}"), "labs/outage/lab.yaml:17: variants.deny: request: key: is needed");
  EXPECT_EQ(errors("rate: 4000/s", "arrivals: replay, replay: trace.csv"),
            "labs/outage/lab.yaml:19: load[0]: replay: labs/outage/trace.csv");
}

TEST(LabParserTest, AnUnknownPartIsToldAllKindsThereAre) {
  Catalogue catalogue = TestCatalogue();
  catalogue.knobs.erase("ratelimit");
  catalogue.not_here = {"ratelimit"};
  const std::string bad = absl::StrReplaceAll(kGood, {{"  redis: {}", "  nope: {}"}});
  EXPECT_THAT(std::string(ParseLab(bad, "labs/outage/lab.yaml", catalogue).status().message()),
              HasSubstr("unknown part \"nope\"; known: redis, ratelimit"));
}

TEST(LabParserTest, SyntaxErrorsAndBombsAreRefused) {
  EXPECT_FALSE(Parse("lab: [").ok());
  EXPECT_FALSE(Parse("").ok());
  EXPECT_FALSE(Parse("- 1").ok());
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i) bomb += std::string("*") + static_cast<char>(c - 1) + ", ";
    bomb += std::string("*") + static_cast<char>(c - 1) + "]\n";
  }
  EXPECT_FALSE(Parse(bomb).ok());
}

TEST(LabParserTest, WithoutAPartsProgramItsConfigurationIsNotChecked) {
  Catalogue catalogue = TestCatalogue();
  catalogue.knobs.erase("ratelimit");
  EXPECT_FALSE(ParseLab(kGood, "labs/outage/lab.yaml", catalogue).ok());
  catalogue.not_here = {"ratelimit"};
  const absl::StatusOr<Lab> lab = ParseLab(kGood, "labs/outage/lab.yaml", catalogue);
  ASSERT_TRUE(lab.ok()) << lab.status();
  EXPECT_EQ(lab->system.back().kind, "ratelimit");
}

TEST(CheckSetTest, IsAsStrictAsTheFile) {
  const absl::StatusOr<Lab> lab = Parse(kGood);
  ASSERT_TRUE(lab.ok());
  const Catalogue catalogue = TestCatalogue();
  EXPECT_TRUE(CheckSet(*lab, catalogue, "ratelimit", "redis.deadline", "7ms").ok());
  EXPECT_THAT(std::string(CheckSet(*lab, catalogue, "ratelimit", "redis.deadlin", "7ms").message()),
              HasSubstr("did you mean \"redis.deadline\"?"));
  EXPECT_THAT(std::string(CheckSet(*lab, catalogue, "ratelimt", "redis.deadline", "7ms").message()),
              HasSubstr("did you mean \"ratelimit\"?"));
  EXPECT_FALSE(CheckSet(*lab, catalogue, "ratelimit", "debug", "yes").ok());
  EXPECT_THAT(std::string(CheckSet(*lab, catalogue, "ratelimit", "redis.port", "1").message()),
              HasSubstr("--set ratelimit.redis.port: \"redis.port\" of ratelimit is not to be set"));
  EXPECT_FALSE(CheckSet(*lab, catalogue, "ratelimit", "redis.share", "1.5").ok());
}

// kGood with its rate as a share of the knee, and with `knee` as what the file says of the knee.
absl::StatusOr<Lab> ParseWithKnee(const std::string& rate, const std::string& knee) {
  Catalogue catalogue = TestCatalogue();
  catalogue.knee = true;
  const std::string text = absl::StrReplaceAll(
      kGood, {{"rate: 4000/s", "rate: " + rate}, {"reference: deny\n", "reference: deny\n" + knee}});
  return ParseLab(text, "labs/outage/lab.yaml", catalogue);
}

TEST(KneeTest, ReadsSharesAndWhatTheKneeIs) {
  const absl::StatusOr<Lab> lab = ParseWithKnee("60% of knee", "knee: {p99: 20ms, errors: 0.5%, quick: 8000/s}\n");
  ASSERT_TRUE(lab.ok()) << lab.status();
  EXPECT_DOUBLE_EQ(lab->load[0].rate.of_knee, 0.6);
  ASSERT_TRUE(lab->knee);
  EXPECT_EQ(lab->knee->p99, Millis(20));
  EXPECT_DOUBLE_EQ(lab->knee->errors, 0.005);
  EXPECT_DOUBLE_EQ(lab->knee->quick_per_s, 8000);
  EXPECT_DOUBLE_EQ(WithKnee(*lab, 5000).load[0].rate.per_s, 3000);
}

TEST(KneeTest, AShareMayBeThatOfAPhase) {
  const absl::StatusOr<Lab> lab = ParseWithKnee("{warmup: 100/s, steady: 60% of knee, pause: 150% of knee, after: 0/s}",
                                                "knee: {p99: 20ms, quick: 4000/s}\n");
  ASSERT_TRUE(lab.ok()) << lab.status();
  EXPECT_DOUBLE_EQ(lab->knee->errors, 0.001) << "unless it says otherwise";
  const Lab rated = WithKnee(*lab, 2000);
  EXPECT_DOUBLE_EQ(rated.load[0].rate.by_phase.at("warmup"), 100);
  EXPECT_DOUBLE_EQ(rated.load[0].rate.by_phase.at("pause"), 3000);
  EXPECT_FALSE(UsesKnee(rated));
}

TEST(KneeTest, WhatIsMissingOrForNothingIsAnError) {
  const auto error = [](const std::string& rate, const std::string& knee) {
    return std::string(ParseWithKnee(rate, knee).status().message());
  };
  EXPECT_THAT(error("60% of knee", ""), HasSubstr("say what the knee is, as knee: {p99: 20ms, errors: 0.1%}"));
  EXPECT_THAT(error("4000/s", "knee: {p99: 20ms}\n"), HasSubstr("no rate is a share of the knee"));
  EXPECT_THAT(error("60% of knee", "knee: {p9: 20ms}\n"), HasSubstr("p99"));
  EXPECT_THAT(error("60% of knee", "knee: {p99: 20ms, errors: 3}\n"), HasSubstr("as 0.1%"));
  EXPECT_THAT(error("60% of knee", "knee: {p99: 20ms, quick: 8000}\n"), HasSubstr("write a number and its unit"));
  EXPECT_THAT(error("60% of knee, arrivals: replay, replay: x", "knee: {p99: 20ms}\n"), HasSubstr("no rate"));
  EXPECT_THAT(error("60% of knee, arrivals: ramp, to: 9000/s", "knee: {p99: 20ms}\n"),
              HasSubstr("for constant and poisson arrivals"));
}

TEST(KneeTest, TheBudgetHasRoomToLookForIt) {
  const std::string knee = "knee: {p99: 20ms}\n";
  EXPECT_THAT(std::string(ParseWithKnee("60% of knee", knee).status().message()), HasSubstr("for the knee"))
      << "the quick run of 45 s has none";
  EXPECT_TRUE(ParseWithKnee("60% of knee", "knee: {p99: 20ms, quick: 4000/s}\n").ok());
}

// A program that knows only `policy`.
Catalogue WithBinaries() {
  Catalogue catalogue = TestCatalogue();
  catalogue.knobs["ratelimit"].push_back({"binary", "string", "", "", "", {}});
  catalogue.knobs_of_binary = [](const std::string&,
                                 const std::string& binary) -> absl::StatusOr<std::vector<Catalogue::Knob>> {
    if (binary.find("mine") == std::string::npos) return absl::NotFoundError("there is no program " + binary);
    return std::vector<Catalogue::Knob>{{"policy", "one of", "", "", "", {"open", "closed"}},
                                        {"binary", "string", "", "", "", {}}};
  };
  return catalogue;
}

TEST(BinaryTest, AVariantsOwnProgramIsCheckedByItsOwnSchema) {
  const auto parse = [](const std::string& variant) {
    return ParseLab(absl::StrReplaceAll(kGood, {{"deny: {ratelimit: {rules.on_store_failure: deny}", variant}}),
                    "labs/outage/lab.yaml", WithBinaries());
  };
  const absl::StatusOr<Lab> lab = parse("deny: {ratelimit: {policy: open, binary: ./mine.py}");
  ASSERT_TRUE(lab.ok()) << lab.status();
  const std::string binary = lab->variants[1].set.at("ratelimit").at("binary");
  EXPECT_EQ(binary, std::filesystem::absolute("labs/outage/mine.py")) << "from the lab file's folder";
  EXPECT_THAT(std::string(parse("deny: {ratelimit: {polcy: open, binary: mine.py}").status().message()),
              HasSubstr("unknown key \"polcy\" of mine.py; did you mean \"policy\"?"));
  EXPECT_THAT(
      std::string(parse("deny: {ratelimit: {rules.on_store_failure: deny, binary: mine.py}").status().message()),
      HasSubstr("unknown key \"rules.on_store_failure\" of mine.py"));
  EXPECT_THAT(std::string(parse("deny: {ratelimit: {policy: open, binary: other}").status().message()),
              HasSubstr("there is no program"));
}

TEST(BinaryTest, SetIsCheckedAgainstEveryProgramThatRuns) {
  const absl::StatusOr<Lab> lab = Parse(kGood);
  ASSERT_TRUE(lab.ok());
  const Catalogue catalogue = WithBinaries();
  EXPECT_TRUE(CheckSet(*lab, catalogue, "ratelimit", "redis.deadline", "7ms").ok());
  EXPECT_FALSE(CheckSet(*lab, catalogue, "ratelimit", "redis.deadline", "7ms", "/mine").ok());
  EXPECT_TRUE(CheckSet(*lab, catalogue, "ratelimit", "policy", "open", "/mine").ok());
  EXPECT_FALSE(CheckSet(*lab, catalogue, "ratelimit", "policy", "ajar", "/mine").ok());
  EXPECT_FALSE(CheckSet(*lab, catalogue, "ratelimit", "binary", "/gone", "/gone").ok());
  EXPECT_FALSE(CheckSet(*lab, catalogue, "ratelimit", "binary", "").ok()) << "a variable of a script that is empty";
  EXPECT_EQ(BinaryPath("/labs/x", "../mine"), "/labs/mine");
  EXPECT_EQ(BinaryPath("/labs/x", "/mine"), "/mine");
}

TEST(LabFilesTest, FindsLabsAndNamesAMissingOne) {
  const TemporaryFolder folder;
  const std::string& root = folder.path();
  for (const char* name : {"b-lab", "a-lab"}) {
    std::filesystem::create_directories(root + "/labs/" + name);
    std::ofstream(LabFile(root, name)) << "lab: x\n";
  }
  std::filesystem::create_directories(root + "/labs/no-lab");
  EXPECT_THAT(LabNames(root), ElementsAre("a-lab", "b-lab"));
  EXPECT_THAT(std::string(LoadLab(LabFile(root, "gone"), TestCatalogue()).status().message()), HasSubstr("gone"));
  EXPECT_THAT(std::string(LoadLab(LabFile(root, "a-lab"), TestCatalogue()).status().message()),
              HasSubstr("a-lab/lab.yaml:1: lab: \"x\" is not the name of its folder"));
  std::ofstream(LabFile(root, "b-lab")) << std::string((1 << 20) + 1, '#');
  EXPECT_THAT(std::string(LoadLab(LabFile(root, "b-lab"), TestCatalogue()).status().message()),
              HasSubstr("b-lab/lab.yaml: has 1048577 bytes, a lab file at most 1048576; shorten it"));
}

TEST(QuantityTest, ReadsUnitsAndRefusesOthers) {
  EXPECT_DOUBLE_EQ(QuantityOf("25ms")->value, 0.025);
  EXPECT_DOUBLE_EQ(QuantityOf("4000/s")->value, 4000);
  EXPECT_DOUBLE_EQ(QuantityOf("60/min")->value, 1);
  EXPECT_DOUBLE_EQ(QuantityOf("10%")->value, 0.1);
  EXPECT_DOUBLE_EQ(QuantityOf("64mb")->value, 67108864);
  EXPECT_DOUBLE_EQ(QuantityOf("9.8")->value, 9.8);
  EXPECT_THAT(std::string(QuantityOf("25 ms").status().message()), HasSubstr("25 ms"));
  EXPECT_THAT(std::string(QuantityOf("25msec").status().message()), HasSubstr("unknown unit \"msec\""));
  for (const char* bad : {"", "ms", "-1s", "inf", "nan", "1e400", "1/2/3", "0x10"})
    EXPECT_FALSE(QuantityOf(bad).ok()) << bad;
  EXPECT_DOUBLE_EQ(*ShareOf("1/60"), 1.0 / 60);
  EXPECT_FALSE(ShareOf("1/0").ok());
}

}  // namespace
}  // namespace lab::bench
