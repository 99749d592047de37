// Every fault that the catalogue has, in a whole run: without its effect nothing is proved, and with it there is a
// receipt.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>

#include "bench/cli/try_faults.h"
#include "bench/fault/fault.h"
#include "bench/judge/judge.h"
#include "bench/run/part_kind.h"
#include "bench/run/postgres_programs.h"
#include "bench/run/runner.h"
#include "bench/run/testing.h"

namespace lab::bench {
namespace {

using ::testing::HasSubstr;

struct Subject {
  std::string part;
  const FaultKind* kind;
  std::map<std::string, std::string> options = {};
  std::string fault() const { return part + "." + kind->action; }
};

void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.fault(); }

std::vector<Subject> FaultsOn(const std::string& part) {
  std::vector<Subject> subjects;
  const bool link = part.find("->") != std::string::npos;
  for (const FaultKind* kind : FaultsFor(link ? "link" : part)) subjects.push_back({part, kind});
  return subjects;
}

std::vector<Subject> AllFaults() {
  std::vector<Subject> all = FaultsOn("redis");
  for (const char* part : {"ratelimit", "ratelimit->redis", "postgres"}) {
    for (const Subject& subject : FaultsOn(part)) all.push_back(subject);
  }
  return all;
}

std::string NameOf(const ::testing::TestParamInfo<Subject>& info) {
  std::string name = info.param.part + "_" + info.param.kind->action;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == '>'; }, '_');
  return name;
}

// One short trial of the first variant with this fault, or with none; judged by what it shows of the fault alone: what
// a busy host does to a trial is taken out.
class FaultRunTest : public ::testing::TestWithParam<Subject> {
 protected:
  FaultRunTest() {
    lab_.links = {{"ratelimit", "redis"}, {"load", "ratelimit"}};
    lab_.phases = {{"steady", Millis(200)}, {"fault", Millis(400)}};
    lab_.invariants = {"every-arrival-accounted"};
    options_.root = state_.path();
    options_.variants = {"first"};
  }
  void SetUp() override {
    setenv("LAB_STATE", state_.path().c_str(), 1);
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    if (test->value_param() == nullptr) return;
    const FaultKind& kind = *GetParam().kind;
    const std::string why = kind.why_not_here == nullptr ? "" : kind.why_not_here();
    if (!why.empty()) GTEST_SKIP() << why;
    if (GetParam().part == "postgres" && !FindPostgres("", "").ok()) GTEST_SKIP() << FindPostgres("", "").status();
  }
  void TearDown() override { unsetenv("LAB_STATE"); }

  void Break(const Subject& subject) {
    FaultSpec fault;
    fault.phase = "fault";
    fault.fault = subject.fault();
    fault.part = subject.part;
    fault.options = subject.kind->on_idle;
    if (!subject.kind->instantaneous) fault.length = Millis(300);
    lab_.private_network = subject.kind->needs == "network";
    if (subject.kind->needs == "disk") {
      lab_.system[0].disk_bytes = 4 << 20;
      lab_.system[0].set["appendonly"] = "yes";
    }
    if (subject.part == "postgres") {
      PartSpec postgres;
      postgres.name = postgres.kind = "postgres";
      lab_.system.push_back(postgres);
    }
    for (const auto& [name, value] : subject.options) fault.options[name] = value;
    lab_.faults = {fault};
    if (subject.kind->action == "failpoint") lab_.system.at(1).set["failpoints.enabled"] = "true";
  }
  // Fills run_ and its verdict.
  void RunIt() {
    Progress silent;
    absl::StatusOr<bench::Run> run = RunLab(lab_, options_, silent);
    ASSERT_TRUE(run.ok()) << run.status();
    run_ = *std::move(run);
    ASSERT_EQ(run_.trials.size(), 1u);
    run_.trials[0].problems.clear();
    run_.verdict = Judge(lab_, run_);
    ASSERT_EQ(run_.verdict.findings.size(), 1u);
  }

  TemporaryFolder state_;
  Lab lab_ = TinyLab();
  RunOptions options_;
  bench::Run run_;
};

using DefusedTest = FaultRunTest;

TEST_P(DefusedTest, IsInconclusive) {
  Break(GetParam());
  options_.defuse = {GetParam().fault()};
  RunIt();
  const FaultRecord& fault = run_.trials.at(0).faults.at(0);
  EXPECT_TRUE(fault.applied_s);
  EXPECT_FALSE(fault.seen_s) << fault.evidence;
  EXPECT_EQ(run_.verdict.state, State::kInconclusive);
  EXPECT_EQ(ExitStatus(run_), 2);
  EXPECT_THAT(run_.verdict.findings[0].why, HasSubstr(fault.id + " was never seen to have an effect"));
}

INSTANTIATE_TEST_SUITE_P(All, DefusedTest, ::testing::ValuesIn(AllFaults()), NameOf);

using AppliedTest = FaultRunTest;

TEST_P(AppliedTest, IsSeenAndHealed) {
  Break(GetParam());
  RunIt();
  const FaultRecord& fault = run_.trials.at(0).faults.at(0);
  EXPECT_EQ(fault.error, "");
  EXPECT_TRUE(fault.seen_s && fault.healed_s);
  EXPECT_NE(fault.evidence, "");
  EXPECT_EQ(ExitStatus(run_), 0) << run_.verdict.findings[0].why;
}

// On Redis fault_test applies all but those for which a lab has to give something.
std::vector<Subject> NotTriedElsewhere() {
  std::vector<Subject> subjects = FaultsOn("ratelimit");
  for (const char* store : {"redis", "postgres"}) {
    for (const Subject& subject : FaultsOn(store)) {
      if (!subject.kind->needs.empty()) subjects.push_back(subject);
    }
  }
  // That a restart of a cluster comes in time for a run, and a lock goes with its phase.
  for (const char* action : {"kill", "lock"}) subjects.push_back({"postgres", FindFault("postgres", action)});
  return subjects;
}

INSTANTIATE_TEST_SUITE_P(OfAPart, AppliedTest, ::testing::ValuesIn(NotTriedElsewhere()), NameOf);
INSTANTIATE_TEST_SUITE_P(OfALink, AppliedTest, ::testing::ValuesIn(FaultsOn("ratelimit->redis")), NameOf);

// Those that do not compare times: the stand-in behind this link is a script, and slow on a busy host. On Redis
// link_faults_test applies them all.
INSTANTIATE_TEST_SUITE_P(OfTheLoad, AppliedTest,
                         ::testing::Values(Subject{"load->ratelimit", FindFault("link", "down")},
                                           Subject{"load->ratelimit", FindFault("link", "limit_data")}),
                         NameOf);

// Every action of a failpoint: each has a receipt of its own.
class FailpointRunTest : public FaultRunTest {
 protected:
  void SetUp() override {
    FaultRunTest::SetUp();
    Break(GetParam());
  }
  const FaultRecord& Record() const { return run_.trials.at(0).faults.at(0); }
};

Subject FailpointThat(const std::string& action, const std::string& point) {
  return {"ratelimit", FindFault("ratelimit", "failpoint"), {{"point", point}, {"action", action}}};
}

TEST_P(FailpointRunTest, IsSeenAndHealed) {
  RunIt();
  EXPECT_EQ(Record().error, "");
  EXPECT_TRUE(Record().seen_s && Record().healed_s);
  EXPECT_EQ(ExitStatus(run_), 0) << run_.verdict.findings[0].why;
}

TEST_P(FailpointRunTest, IsInconclusiveWithoutItsEffect) {
  options_.defuse = {"ratelimit.failpoint"};
  RunIt();
  EXPECT_FALSE(Record().seen_s) << Record().evidence;
  EXPECT_EQ(ExitStatus(run_), 2);
}

// The service has the failpoint armed, but no operation comes by: armed is not seen.
TEST_P(FailpointRunTest, IsInconclusiveWhenNobodyComesBy) {
  lab_.load[0].rate.per_s = 0.5;
  RunIt();
  EXPECT_FALSE(Record().seen_s) << Record().evidence;
  EXPECT_TRUE(Record().healed_s) << Record().error;
  EXPECT_EQ(ExitStatus(run_), 2);
}

INSTANTIATE_TEST_SUITE_P(Every, FailpointRunTest,
                         ::testing::Values(FailpointThat("error", "redis.script.before"),
                                           FailpointThat("delay", "redis.script.before"),
                                           FailpointThat("crash", "redis.script.before"),
                                           FailpointThat("apply-then-timeout", "redis.script.after")),
                         [](const auto& test) {
                           const std::string& action = test.param.options.at("action");
                           return action.substr(0, action.find('-'));
                         });

TEST_F(FaultRunTest, AFailpointNeedsThemEnabled) {
  Break({"ratelimit", FindFault("ratelimit", "failpoint")});
  lab_.system.at(1).set.erase("failpoints.enabled");
  RunIt();
  EXPECT_THAT(run_.trials.at(0).faults.at(0).error, HasSubstr("set failpoints.enabled: true"));
  EXPECT_EQ(ExitStatus(run_), 2);
}

// Before anything starts, against the list that the service prints.
TEST_F(FaultRunTest, AFailpointIsCheckedWithTheLabFile) {
  Catalogue catalogue;
  DescribeParts(state_.path(), &catalogue);
  const auto error = [&](const std::map<std::string, std::string>& options) {
    Break({"ratelimit", FindFault("ratelimit", "failpoint"), options});
    return catalogue.check_fault(lab_, lab_.faults[0]);
  };
  EXPECT_EQ(error({}), "");
  EXPECT_THAT(error({{"point", "redis.scirpt.after"}}), HasSubstr("did you mean \"redis.script.after\"?"));
  EXPECT_THAT(error({{"action", "apply-then-timeout"}}), HasSubstr("takes no apply-then-timeout"));
  EXPECT_THAT(error({{"action", "crush"}}), HasSubstr("did you mean \"crash\""));
  lab_.variants[1].set["ratelimit"]["failpoints.enabled"] = "false";
  EXPECT_THAT(error({}), HasSubstr("needs failpoints.enabled: true in system.ratelimit.set"));
}

TEST_F(FaultRunTest, DoctorSeesEachFaultOfTheStoresComeAndGo) {
  const std::vector<cli::FaultTrial> tried = cli::TryFaults(state_.path());
  const auto of = [&](const std::string& store) {
    return std::count_if(tried.begin(), tried.end(),
                         [&](const cli::FaultTrial& trial) { return trial.fault.rfind(store + ".", 0) == 0; });
  };
  EXPECT_EQ(of("redis"), static_cast<ptrdiff_t>(FaultsFor("redis").size()));
  if (FindPostgres("", "").ok()) EXPECT_GE(of("postgres"), 6);  // those of the host are tried on Redis
  for (const cli::FaultTrial& trial : tried) {
    if (!trial.why_not_here.empty()) continue;
    EXPECT_EQ(trial.error, "") << trial.fault;
    EXPECT_NE(trial.evidence, "") << trial.fault;
  }
}

TEST_F(FaultRunTest, WithoutAFaultTheSameRunPasses) {
  RunIt();
  EXPECT_EQ(ExitStatus(run_), 0) << run_.verdict.findings[0].why;
}

}  // namespace
}  // namespace lab::bench
