#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bench/cli/checkout.h"
#include "bench/cli/completion.h"
#include "bench/cli/keep_request.h"
#include "bench/cli/up_systems.h"
#include "bench/report/testing/synthetic.h"
#include "bench/report/text.h"

namespace lab::bench::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

Json State() {
  return Json::parse(R"({
    "load_factor": 2, "load_per_s": 4000,
    "links": [{"from": "load", "to": "ratelimit", "proxied": false}, {"from": "ratelimit", "to": "redis", "proxied": true},
              {"from": "load", "to": "other", "proxied": false}],
    "parts": [{"label": "redis", "state": "stopped", "pid": 12, "ports": {"redis": 20001}},
              {"label": "ratelimit", "state": "down", "pid": -1, "ports": {"grpc": 20002, "http": 20003}}],
    "second": {"offered": 8000.4, "achieved": 7900, "errors": 100, "dropped": 0, "admitted": 800, "p50_s": 0.0002,
               "p99_s": 0.0011, "p999_s": 0.0035, "max_s": 0.004, "in_flight": 3, "queues": {"ratelimit.redis_outstanding": 7}},
    "faults": [
      {"id": "redis.flush#1", "fault": "redis.flush", "asked_s": 1, "applied_s": 1, "seen_s": 1.02, "evidence": "a key is gone",
       "heal_asked_s": 1.02, "healed_s": 1.03, "error": "", "ends_s": null},
      {"id": "redis.pause#1", "fault": "redis.pause", "asked_s": 10, "applied_s": 10, "seen_s": 10.021,
       "evidence": "unanswered for 20 ms", "heal_asked_s": null, "healed_s": null, "error": "", "ends_s": 15}]})");
}

live::KeeperRecord Record() {
  live::KeeperRecord record;
  record.lab = "rate-limit-outage";
  record.variant = "deny";
  record.port = 4711;
  record.started_unix_s = 1000;
  record.ends_unix_s = 8200;
  return record;
}

std::string StatusText(const Json& state, double now_unix_s) {
  std::string text;
  for (const std::string& line : StatusLines(Record(), state, now_unix_s, Ansi(false))) text += line + "\n";
  return text;
}

TEST(StatusTest, ShowsRatesPercentilesPartsAndWhatIsBroken) {
  const std::string text = StatusText(State(), 1012);
  for (const char* shown :
       {"rate-limit-outage", "variant deny", "up for 12 s", "http://127.0.0.1:4711/", "load 8,000/s (2x)",
        "offered 8,000/s", "answered 7,900/s", "failed 100/s", "in flight 3", "p50 200 µs", "p99 1.1 ms",
        "p99.9 3.5 ms", "ratelimit.redis_outstanding 7", "stopped", "pid 12", "redis 20001", "grpc 20002, http 20003",
        "redis.pause#1  seen after 21 ms: unanswered for 20 ms; 3 s more", "last: redis.flush#1"}) {
    EXPECT_THAT(text, HasSubstr(shown));
  }
  EXPECT_THAT(text, Not(HasSubstr("pid -1")));
  EXPECT_THAT(text, Not(HasSubstr("nothing is broken")));
}

TEST(StatusTest, SaysWhenNothingIsBrokenAndLivesWithAStateThatIsNotAllThere) {
  Json state = State();
  state["faults"] = Json::array();
  EXPECT_THAT(StatusText(state, 1012), HasSubstr("nothing is broken"));
  state.erase("second");  // the first one has not passed yet
  EXPECT_THAT(StatusText(state, 1000.5), HasSubstr("redis 20001"));
}

TEST(StatusTest, AFaultTellsHowFarItIs) {
  Json fault = State()["faults"][1];
  fault["seen_s"] = nullptr;
  EXPECT_THAT(FaultLine(fault, 11), HasSubstr("not seen by a probe yet; 4 s more"));
  fault["heal_asked_s"] = 12;
  EXPECT_THAT(FaultLine(fault, 12.5), HasSubstr("being healed"));
  fault["error"] = "not seen well again\x1b[31m";
  EXPECT_THAT(FaultLine(fault, 20), HasSubstr("not seen well again"));
  EXPECT_THAT(FaultLine(fault, 20), Not(HasSubstr("\x1b")));
  EXPECT_THAT(FaultLine(State()["faults"][0], 3.03), HasSubstr("healed 2 s ago"));
}

TEST(StatusTest, DrawsTheSystemAsChains) {
  EXPECT_THAT(TopologyLines(State()), ElementsAre("load ─▶ other", "load ─▶ ratelimit ─◇▶ redis"));
  Json circle = State();
  circle["links"].push_back({{"from", "redis"}, {"to", "ratelimit"}, {"proxied", false}});
  EXPECT_THAT(TopologyLines(circle), Contains("load ─▶ other")) << "and it ends";
}

TEST(LoadFactorTest, IsAMultipleOrARate) {
  EXPECT_EQ(*ReadLoadFactor("2x", 4000), 2);
  EXPECT_EQ(*ReadLoadFactor("50%", 4000), 0.5);
  EXPECT_EQ(*ReadLoadFactor("8000/s", 4000), 2);
  EXPECT_EQ(*ReadLoadFactor("60/min", 4), 0.25);
  EXPECT_EQ(*ReadLoadFactor("0", 4000), 0);
  for (const char* text : {"2", "", "x", "-1x", "5ms", "fast", "2x2"}) {
    EXPECT_FALSE(ReadLoadFactor(text, 4000).ok()) << text;
  }
  EXPECT_FALSE(ReadLoadFactor("8000/s", 0).ok());
}

Lab TinyLab() {
  Lab lab = testing::SyntheticLab();
  lab.reference = "deny";
  for (const char* phase : {"warmup", "steady", "pause"}) lab.phases.push_back({phase, std::chrono::seconds(1)});
  return lab;
}

absl::StatusOr<KeepRequest> Request(Words words) {
  words.push_back("rate-limit-outage");
  const absl::StatusOr<Arguments> arguments = ParseArguments(UpCommand().spec, words);
  if (!arguments.ok()) return arguments.status();
  Catalogue catalogue;
  catalogue.knobs["redis"] = {};
  catalogue.knobs["ratelimit"] = {{"redis.deadline", "duration", "5ms", "", "", {}}};
  return ReadKeepRequest(*arguments, TinyLab(), catalogue, "");
}

TEST(KeepRequestTest, ReadsEverythingAndFallsBackToTheReference) {
  const absl::StatusOr<KeepRequest> given = Request({"--variant", "allow", "--set", "ratelimit.redis.deadline=9ms",
                                                     "--for", "90s", "--seed", "7", "--phase", "pause"});
  ASSERT_TRUE(given.ok()) << given.status();
  EXPECT_EQ(given->variant, "allow");
  EXPECT_EQ(given->set.at("ratelimit").at("redis.deadline"), "9ms");
  EXPECT_EQ(given->length, std::chrono::seconds(90));
  EXPECT_EQ(given->seed, 7u);
  EXPECT_EQ(given->phase, "pause");
  const absl::StatusOr<KeepRequest> plain = Request({});
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->variant, "deny");
  EXPECT_EQ(plain->phase, "steady");
  EXPECT_EQ(plain->length, std::chrono::hours(2));
}

TEST(KeepRequestTest, TellsAllErrorsAtOnce) {
  const absl::StatusOr<KeepRequest> wrong =
      Request({"--variant", "denny", "--set", "ratelimit.redis.dedline=1ms", "--for", "2 years", "--phase", "paus"});
  ASSERT_TRUE(absl::IsInvalidArgument(wrong.status()));
  for (const char* text : {"did you mean \"deny\"", "redis.deadline", "--for takes", "did you mean \"pause\""}) {
    EXPECT_THAT(std::string(wrong.status().message()), HasSubstr(text));
  }
}

class CompletionTest : public ::testing::Test {
 protected:
  CompletionTest() : session_{*FindRoot(), {"./lab"}} {
    state_ = ::testing::TempDir() + "lab-completion-" + std::to_string(getpid());
    std::filesystem::create_directories(state_);
    setenv("LAB_STATE", state_.c_str(), 1);
  }
  ~CompletionTest() override {
    unsetenv("LAB_STATE");
    std::filesystem::remove_all(state_);
  }
  Words Of(const Words& words) const { return Complete(session_, words); }

  const Session session_;
  std::string state_;
};

TEST_F(CompletionTest, CommandsAndTheirOptions) {
  EXPECT_THAT(Of({"ru"}), ElementsAre("run"));
  EXPECT_THAT(Of({""}), Contains("break"));
  EXPECT_THAT(Of({""}), Not(Contains("keep"))) << "hidden";
  EXPECT_THAT(Of({"help", "stat"}), ElementsAre("status"));
  EXPECT_THAT(Of({"up", "--va"}), ElementsAre("--variant"));
  EXPECT_THAT(Of({"nonsense", "x"}), IsEmpty());
  EXPECT_THAT(Of({}), Contains("run"));
}

TEST_F(CompletionTest, LabsVariantsAndPhases) {
  EXPECT_THAT(Of({"run", "rate-limit-o"}), ElementsAre("rate-limit-outage"));
  EXPECT_THAT(Of({"run", "rate-limit-outage", ""}), IsEmpty()) << "it takes one";
  EXPECT_THAT(Of({"up", "rate-limit-outage", "--variant", "de"}), ElementsAre("deny"));
  EXPECT_THAT(Of({"up", "rate-limit-outage", "--variant=de"}), ElementsAre("--variant=deny"));
  EXPECT_THAT(Of({"run", "rate-limit-outage", "--variants", "deny,al"}), ElementsAre("deny,allow"));
  EXPECT_THAT(Of({"up", "rate-limit-outage", "--phase", "st"}), ElementsAre("steady"));
  EXPECT_THAT(Of({"run", "--variants", "deny", "rate-limit-o"}), ElementsAre("rate-limit-outage"));
}

TEST_F(CompletionTest, WithoutASystemThatIsUpThereIsNothingToBreak) {
  EXPECT_THAT(Of({"break", ""}), IsEmpty());
  EXPECT_THAT(Of({"down", ""}), IsEmpty());
  EXPECT_THAT(Of({"load", "2"}), ElementsAre("2x"));
  EXPECT_THAT(Of({"completion", ""}), ElementsAre("bash", "fish", "zsh"));
}

TEST_F(CompletionTest, ThereIsAScriptForEachShell) {
  for (const char* shell : {"bash", "zsh", "fish"}) EXPECT_THAT(CompletionScript(shell), HasSubstr("__complete"));
  EXPECT_EQ(CompletionScript("csh"), "");
}

}  // namespace
}  // namespace lab::bench::cli
