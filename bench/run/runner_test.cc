#include "bench/run/runner.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <set>
#include <utility>

#include "bench/run/part_kind.h"
#include "bench/run/run_folder.h"
#include "bench/run/testing.h"
#include "bench/run/trial_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/redis/test_server.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Processes that carry the marker of this program's runs.
std::vector<std::string> OurChildren() {
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    std::error_code error;
    std::ifstream file(entry.path() / "environ");
    const std::string environment{std::istreambuf_iterator<char>(file), {}};
    if (environment.find("LAB_RUN=" + std::to_string(getpid()) + "-") != std::string::npos) {
      found.push_back(entry.path().filename());
    }
  }
  return found;
}

class Recorder : public Progress {
 public:
  void TrialStarts(const std::string& variant, int repeat, int, int) override {
    trials.push_back(variant + "-" + std::to_string(repeat));
  }
  void Boot(const std::string& text) override { boots.push_back(text); }
  void PhaseStarts(const Phase& phase) override {
    phases.push_back(phase.name);
    if (interrupt_at == phase.name) interrupted = 2;
    if (stand_still_at == phase.name && std::exchange(stand_still, false)) StandStill();
  }
  void FaultChanged(const FaultRecord& fault) override {
    if (interrupt_at == "fault seen" && fault.seen_s) interrupted = 2;
  }

  void Note(const std::string& text) override { notes.push_back(text); }

  // As on a host that has no time for us: this process is stopped for longer than requests may be late.
  static void StandStill() {
    const pid_t parent = getpid();
    if (fork() == 0) {
      kill(parent, SIGSTOP);
      usleep(700'000);
      kill(parent, SIGCONT);
      _exit(0);
    }
  }

  std::vector<std::string> trials, boots, phases, notes;
  std::string interrupt_at, stand_still_at;
  bool stand_still = true;  // once
  std::atomic<int> interrupted{0};
};

class RunnerTest : public testing::Test {
 protected:
  RunnerTest() {
    lab_.phases = {{"steady", Millis(400)}, {"pause", Millis(400)}};
    FaultSpec fault;
    fault.phase = "pause";
    fault.fault = "redis.pause";
    fault.part = "redis";
    fault.length = Millis(250);
    lab_.faults = {fault};
    options_.root = state_.path();
    options_.interrupted = &recorder_.interrupted;
  }
  void SetUp() override { setenv("LAB_STATE", state_.path().c_str(), 1); }
  void TearDown() override {
    EXPECT_THAT(OurChildren(), testing::IsEmpty());
    EXPECT_TRUE(!fs::exists(state_.path() + "/state") || fs::is_empty(state_.path() + "/state"));
    unsetenv("LAB_STATE");
  }
  absl::StatusOr<bench::Run> RunIt() { return RunLab(lab_, options_, recorder_); }

  TemporaryFolder state_;
  Lab lab_ = TinyLab();
  RunOptions options_;
  Recorder recorder_;
};

TEST_F(RunnerTest, RunsInterleavedWithReceiptsSeriesAndFiles) {
  options_.repeat = 2;
  const absl::StatusOr<bench::Run> run = RunIt();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(recorder_.trials, testing::ElementsAre("first-1", "second-1", "second-2", "first-2"));
  EXPECT_EQ(recorder_.phases.size(), 8u);
  EXPECT_FALSE(run->interrupted);
  ASSERT_EQ(run->trials.size(), 4u);
  for (const Trial& trial : run->trials) {
    EXPECT_TRUE(trial.complete);
    EXPECT_NEAR(static_cast<double>(trial.ops.size()), 80, 2);
    std::set<Answer> answers;
    for (const Op& op : trial.ops) answers.insert(op.answer);
    EXPECT_EQ(answers.count(trial.variant == "first" ? Answer::kAdmitted : Answer::kLimited), 1u);
    ASSERT_EQ(trial.faults.size(), 1u);
    EXPECT_TRUE(trial.faults[0].seen_s && trial.faults[0].healed_s) << trial.faults[0].error;
    std::set<std::string> series;
    for (const Series& one : trial.series) series.insert(one.part + "." + one.name);
    EXPECT_THAT(series,
                testing::IsSupersetOf({"redis.redis_used_memory", "ratelimit.stub_answers_total",
                                       "ratelimit.process_resident_memory_bytes", "host.host_cpu_seconds_total"}));
    EXPECT_GT(trial.finals.at("redis.used_memory"), 0);
    ASSERT_EQ(trial.parts.size(), 2u);
    EXPECT_THAT(trial.parts[0].version, HasSubstr("redis "));
    const std::string folder = run->folder + "/trials/" + trial.variant + "-" + std::to_string(trial.repeat);
    for (const char* file : {"/ops.csv", "/series.csv", "/faults.json", "/logs/redis.log", "/config/ratelimit.yaml",
                             "/traces/ratelimit.jsonl"}) {
      EXPECT_GT(fs::file_size(folder + file), 0u) << file;
    }
    std::ifstream log(folder + "/logs/ratelimit.log");
    const std::string text{std::istreambuf_iterator<char>(log), {}};
    EXPECT_THAT(text, HasSubstr("rules domain: tiny"));
    EXPECT_THAT(text, HasSubstr("\"redis.port\": \"" + trial.parts[0].ports.at("redis").substr(10)));
  }
  EXPECT_EQ(run->trials[0].seed, run->trials[1].seed);
  EXPECT_NE(run->trials[0].seed, run->trials[2].seed);
  EXPECT_TRUE(fs::equivalent(state_.path() + "/runs/tiny/latest", run->folder));
}

TEST_F(RunnerTest, OneVariantRunsAgainInEachRepeatToShowTheNoise) {
  options_.repeat = 2;
  options_.again = "first";
  const absl::StatusOr<bench::Run> run = RunIt();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(recorder_.trials,
              testing::ElementsAre("first-1", "second-1", "first (again)-1", "first (again)-2", "second-2", "first-2"));
  ASSERT_EQ(run->trials.size(), 6u);
  EXPECT_EQ(run->trials[2].variant, "first");
  EXPECT_TRUE(run->trials[2].again && run->trials[3].again);
  EXPECT_FALSE(run->trials[0].again || run->trials[5].again);
  EXPECT_EQ(run->trials[0].seed, run->trials[2].seed) << "the same arrivals";
  EXPECT_GT(fs::file_size(run->folder + "/trials/first-1-again/ops.csv"), 0u);
}

TEST_F(RunnerTest, ATrialThatTheHostDisturbedIsRunOnceMore) {
  options_.variants = {"first"};
  lab_.phases = {{"steady", Millis(1500)}};
  lab_.faults.clear();
  options_.repeat_disturbed = true;
  recorder_.stand_still_at = "steady";
  const absl::StatusOr<bench::Run> run = RunIt();
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(recorder_.trials, testing::ElementsAre("first-1", "first-1"));
  ASSERT_EQ(run->trials.size(), 1u);
  EXPECT_THAT(run->trials[0].disturbed, testing::Contains(HasSubstr("stood still")));
  EXPECT_GT(fs::file_size(run->folder + "/trials/first-1/ops.csv"), 0u);
  EXPECT_GT(fs::file_size(run->folder + "/trials/first-1-disturbed/ops.csv"), 0u);
}

TEST_F(RunnerTest, WithoutThatADisturbedTrialStays) {
  options_.variants = {"first"};
  lab_.phases = {{"steady", Millis(1500)}};
  lab_.faults.clear();
  recorder_.stand_still_at = "steady";
  const absl::StatusOr<bench::Run> run = RunIt();
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(recorder_.trials, testing::ElementsAre("first-1"));
  EXPECT_THAT(run->trials.at(0).host_problems, testing::Contains(HasSubstr("stood still")));
}

TEST_F(RunnerTest, ADefusedFaultLeavesNoReceipt) {
  options_.variants = {"first"};
  options_.defuse = {"redis.pause"};
  const absl::StatusOr<bench::Run> run = RunIt();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_TRUE(run->trials.at(0).faults.at(0).applied_s);
  EXPECT_FALSE(run->trials.at(0).faults.at(0).seen_s);
  EXPECT_EQ(run->changed.count("defuse.redis.pause"), 1u);
}

TEST_F(RunnerTest, AnInterruptHealsStopsAndKeepsWhatThereIs) {
  lab_.phases[1].length = std::chrono::seconds(30);
  lab_.faults[0].length = std::chrono::seconds(29);
  for (const char* moment : {"steady", "fault seen"}) {
    recorder_.interrupt_at = moment;
    recorder_.interrupted = 0;
    const absl::StatusOr<bench::Run> run = RunIt();
    ASSERT_TRUE(run.ok()) << run.status();
    EXPECT_TRUE(run->interrupted);
    ASSERT_EQ(run->trials.size(), 1u) << "no further trial begins";
    EXPECT_FALSE(run->trials[0].complete);
    EXPECT_LT(run->duration_s, 20) << "far from the 30 s of the phase";
    EXPECT_THAT(OurChildren(), testing::IsEmpty());
  }
}

TEST_F(RunnerTest, APartThatDiesUnaskedIsAProblem) {
  options_.variants = {"first"};
  options_.set["ratelimit"]["die.after"] = "20";
  const absl::StatusOr<bench::Run> run = RunIt();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(run->trials.at(0).problems, testing::Contains(HasSubstr("ratelimit ended unasked: exit status 7")));
  EXPECT_EQ(run->changed.at("ratelimit.die.after"), "20");
}

TEST_F(RunnerTest, APartMayBeCalledDifferentlyFromItsKind) {
  options_.variants = {"first"};
  lab_.system[1].name = "edge";
  lab_.load[0].target = "edge.http";
  lab_.load[0].api = "ratelimit.http";
  const absl::StatusOr<bench::Run> run = RunIt();
  ASSERT_TRUE(run.ok()) << run.status();
  const Trial& trial = run->trials.at(0);
  EXPECT_EQ(trial.parts.at(1).name, "edge");
  EXPECT_EQ(trial.streams.at(0).target, "edge.http");
  EXPECT_GT(std::count_if(trial.ops.begin(), trial.ops.end(), [](const Op& op) { return op.outcome == Outcome::kOk; }),
            0);
}

TEST_F(RunnerTest, MetricsThatCannotBeReadAreAProblem) {
  options_.variants = {"first"};
  options_.set["ratelimit"]["metrics.extra"] = "stub answers 7";
  const absl::StatusOr<bench::Run> run = RunIt();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(run->trials.at(0).problems,
              testing::Contains(HasSubstr("ratelimit told metrics that could not be read")));
}

TEST_F(RunnerTest, MoreSeriesThanAreKeptAreAProblem) {
  options_.variants = {"first"};
  std::string many;
  for (int i = 0; i < 5'100; ++i) many += "a{n=\"" + std::to_string(i) + "\"} 1\n";
  lab_.system[1].set["metrics.extra"] = many;
  const absl::StatusOr<bench::Run> run = RunIt();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(run->trials.at(0).problems, testing::Contains(HasSubstr("ratelimit told more series than are kept")));
}

TEST_F(RunnerTest, ARunOverItsBudgetSaysSo) {
  options_.variants = {"first"};
  lab_.budget_run = std::chrono::minutes(2);
  lab_.budget_quick = Millis(200);
  for (const bool quick : {false, true}) {
    options_.quick = quick;
    lab_.quick_phases = lab_.phases;
    recorder_.notes.clear();
    const absl::StatusOr<bench::Run> run = RunIt();
    ASSERT_TRUE(run.ok()) << run.status();
    EXPECT_DOUBLE_EQ(run->budget_s, quick ? 0.1 : 60) << "one of the two trials of the lab";
    EXPECT_EQ(run->over_budget(), quick);
    const auto said = HasSubstr("more than its budget");
    EXPECT_THAT(recorder_.notes, quick ? testing::Matcher<std::vector<std::string>>(testing::Contains(said))
                                       : testing::Not(testing::Contains(said)));
  }
}

TEST_F(RunnerTest, MoreArrivalsThanAreKeptAreNoFullDisk) {
  lab_.load[0].rate.per_s = 1e9;
  const absl::Status status = RunIt().status();
  EXPECT_THAT(status.ToString(), HasSubstr("schedules more than"));
  EXPECT_FALSE(IsDiskFull(status));
  EXPECT_FALSE(fs::is_empty(state_.path() + "/runs/tiny")) << "what there is of it was thrown away";
}

TEST_F(RunnerTest, APartThatCannotStartIsAnErrorWithTheEndOfItsLog) {
  options_.set["ratelimit"]["die.after"] = "0";
  const absl::StatusOr<bench::Run> run = RunIt();
  EXPECT_THAT(run.status().ToString(),
              testing::AllOf(HasSubstr("ratelimit ended while it started: exit status 7"), HasSubstr("out of luck")));
  options_.set["ratelimit"] = {{"binary", "/no/such/service"}};
  EXPECT_THAT(RunIt().status().ToString(), HasSubstr("/no/such/service"));
}

TEST_F(RunnerTest, NamesThatAreNotThereAreToldBeforeAnythingStarts) {
  options_.variants = {"frist"};
  EXPECT_THAT(RunIt().status().ToString(), HasSubstr("did you mean \"first\""));
  EXPECT_THAT(recorder_.boots, testing::IsEmpty());
}

TEST(TrialFilesTest, AFullDiskIsNamed) {
  const TemporaryFolder folder;
  fs::create_symlink("/dev/full", folder.path() + "/ops.csv");
  const absl::Status status = WriteTrialFiles(Trial(), folder.path());
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_TRUE(IsDiskFull(status));
  EXPECT_THAT(status.ToString(), testing::AllOf(HasSubstr("ops.csv"), HasSubstr("No space left")));
}

TEST(TrialFilesTest, OperationsKeepWhatWasAskedAndWhatCame) {
  const TemporaryFolder folder;
  Trial trial;
  trial.streams = {{"main", "cacheapi.mixed", 10, 1, "", nullptr}};
  Op op;
  op.key = 7;
  op.outcome = Outcome::kOk;
  op.answer = Answer::kWritten;
  op.code = 200;
  op.ask = Ask::kWrite;
  op.session = 12;
  op.version = 3;
  trial.ops = {op};
  trial.at_rest = AtRest{1, 1, {{"cacheapi-1", "brand-7 window=24h", 3, 2, Answer::kHitLocal}}, ""};
  ASSERT_TRUE(WriteTrialFiles(trial, folder.path()).ok());
  EXPECT_EQ(folder.Read("ops.csv"),
            "stream,key,intended_us,sent_us,done_us,outcome,answer,code,ask,session,version,attempts\n"
            "main,7,0,0,0,ok,written,200,write,12,3,1\n");
  EXPECT_EQ(folder.Read("at_rest.csv"), "place,key,there,version,how\ncacheapi-1,brand-7 window=24h,3,2,l1\n");
}

TEST(RedisPartTest, GroupsOfKeysSpeakOfTheSameKeys) {
  for (const bool sizes : {true, false}) {
    // Without MEMORY every key is like one that expired between its name and its size.
    redis::TestServer server(sizes ? std::vector<std::string>{}
                                   : std::vector<std::string>{"--rename-command", "MEMORY", "gone"});
    for (int i = 0; i < 300; ++i) server.Command({"SET", "rl:{tiny}:g:2s:tenant=" + std::to_string(i), "1"});
    server.Command({"SET", "other", "1"});
    std::map<std::string, double> finals = FindPartKind("redis")->FinalReads({{"redis", server.port()}});
    EXPECT_EQ(finals["keys.g"], sizes ? 300 : 0);
    EXPECT_EQ(finals["keys.tenant"], finals["keys.g"]);
    EXPECT_EQ(finals.contains("bytes_per_key.g"), sizes);
  }
}

TEST(DescribePartsTest, ListsKnobsAndFaultsByKind) {
  Catalogue catalogue;
  DescribeParts("/no/checkout", &catalogue);
  EXPECT_THAT(catalogue.knobs.at("redis"), testing::Not(testing::IsEmpty()));
  EXPECT_THAT(catalogue.faults.at("redis.kill"), testing::ElementsAre("data"));
  EXPECT_EQ(catalogue.faults.count("ratelimit.pause"), 1u);
  EXPECT_EQ(catalogue.faults.count("ratelimit.flush"), 0u);
  for (const auto& [fault, options] : catalogue.faults) EXPECT_NE(FaultDocs().at(fault), "");
  EXPECT_THAT(ServicesAmong({"redis", "ratelimit"}), testing::ElementsAre("ratelimit"));
  EXPECT_THAT(ServicesAmong({"redis", "postgres", "cacheapi"}), testing::ElementsAre("cacheapi"));
  for (const char* path : {"postgres.host", "postgres.database", "redis.port"}) {
    EXPECT_TRUE(catalogue.wired.at("cacheapi").contains(path)) << path;
  }
}

}  // namespace
}  // namespace lab::bench
