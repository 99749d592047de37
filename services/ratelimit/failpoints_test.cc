// Every failpoint of the store, with each action that does not end the process (tests/chaos has the crash), on a real
// Redis with two replicas and callers at once: healthy, failing, right again. What is asserted is how much may pass.

#include <gmock/gmock.h>

#include <atomic>
#include <thread>
#include <vector>

#include "services/ratelimit/service_testing.h"
#include "services/runtime/redis/test_server.h"

namespace lab::ratelimit {
namespace {

using failpoint::Action;
using failpoint::Point;

// A limit a day by each policy, so that nothing comes back during a test; and a rule that shows whether the store
// answers.
constexpr char kFailpointRules[] = R"(
domain: shop
descriptors:
  - {key: probe, rate_limit: {unit: day, requests_per_unit: 1000000, on_store_failure: deny}}
  - {key: allow, rate_limit: {unit: day, requests_per_unit: 12, on_store_failure: allow}}
  - {key: deny, rate_limit: {unit: day, requests_per_unit: 12, on_store_failure: deny}}
  - {key: local, rate_limit: {unit: day, requests_per_unit: 12, on_store_failure: local}}
)";

constexpr int kLimit = 12;
constexpr int kReplicas = 2;
constexpr int kCallers = 4;  // of each replica, at once
constexpr int kCallsOfEach = 8;
constexpr int kAsked = kReplicas * kCallers * kCallsOfEach;

// What the failpoint makes of store calls.
enum class Effect {
  kNone,           // answered as always, perhaps later
  kUndone,         // all fail, and Redis has counted none
  kUndoneInPart,   // some fail, and Redis has counted none of those
  kUnknown,        // all fail, and Redis may have counted them
  kUnknownInPart,  // some fail, and Redis may have counted those
};

struct Case {
  const char* point;
  const char* spec;
  Effect effect;
  bool reached = true;  // the limiter comes by there
};

const Case kCases[] = {
    {"redis.script.before", "error", Effect::kUndone},
    {"redis.script.before", "error share=0.4", Effect::kUndoneInPart},
    {"redis.script.before", "delay delay=10ms", Effect::kNone},
    {"redis.script.before", "delay delay=150ms", Effect::kUnknown},
    {"redis.script.after", "delay delay=10ms", Effect::kNone},
    {"redis.script.after", "delay delay=150ms", Effect::kUnknown},
    {"redis.script.after", "apply-then-timeout", Effect::kUnknown},
    {"redis.script.after", "apply-then-timeout share=0.4", Effect::kUnknownInPart},
    {"redis.script.after", "apply-then-timeout operation=another", Effect::kNone, false},
    {"redis.command.before", "error", Effect::kNone, false},
    {"redis.command.before", "delay delay=150ms", Effect::kNone, false},
    {"redis.command.after", "delay delay=150ms", Effect::kNone, false},
    {"redis.command.after", "apply-then-timeout", Effect::kNone, false},
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.point << " " << one.spec; }

// A deadline that healthy calls keep on a busy host; where calls are to miss it, one that is soon over.
Options OfReplica(int port, Effect effect) {
  Options options = OnRedis(port);
  options.replicas = kReplicas;
  const bool miss = effect == Effect::kUnknown || effect == Effect::kUnknownInPart;
  options.redis.deadline = miss ? Millis(60) : Millis(5000);
  return options;
}

class FailpointTest : public testing::TestWithParam<std::tuple<Case, const char*>> {
 protected:
  FailpointTest() {
    for (ServiceUnderTest* replica : replicas_) EXPECT_TRUE(replica->started.ok()) << replica->started;
  }
  // How many of kAsked requests pass.
  int Admitted(const std::string& rule, const std::string& value) {
    std::atomic<int> admitted = 0;
    std::vector<std::thread> callers;
    for (ServiceUnderTest* replica : replicas_) {
      for (int i = 0; i < kCallers; ++i) {
        callers.emplace_back([&, replica] { admitted += replica->Admitted(rule, value, kCallsOfEach); });
      }
    }
    for (std::thread& caller : callers) caller.join();
    return admitted;
  }
  void Arm(const std::string& spec) {
    for (ServiceUnderTest* replica : replicas_) replica->Arm(point_, spec);
  }
  bool StoreAnswersAll() {
    for (ServiceUnderTest* replica : replicas_) {
      if (!WaitUntil([&] { return replica->Ask("probe", "p") == RateLimitResponse::OK; })) return false;
    }
    return true;
  }
  // Operations on which the failpoint acted, of both replicas.
  bool Acted() {
    const std::string none = std::string("point=\"") + std::get<0>(GetParam()).point + "\"} 0\n";
    for (ServiceUnderTest* replica : replicas_) {
      const std::string text = replica->MetricsText();
      size_t zeros = 0;
      for (size_t at = text.find("failpoint_hits_total{"); at != std::string::npos;
           at = text.find("failpoint_hits_total{", at + 1)) {
        const std::string line = text.substr(at, text.find('\n', at) + 1 - at);
        zeros += line.find(none) != std::string::npos ? 1 : 0;
      }
      if (zeros < point_.actions().size()) return true;
    }
    return false;
  }

  const Point& point_ = **failpoint::FindPoint(std::get<0>(GetParam()).point);
  redis::TestServer redis_;
  ServiceUnderTest one_{OfReplica(redis_.port(), std::get<0>(GetParam()).effect), kFailpointRules,
                        ServiceUnderTest::Failpoints::kPresent};
  ServiceUnderTest two_{OfReplica(redis_.port(), std::get<0>(GetParam()).effect), kFailpointRules,
                        ServiceUnderTest::Failpoints::kPresent};
  const std::vector<ServiceUnderTest*> replicas_ = {&one_, &two_};
};

TEST_P(FailpointTest, AdmitsNoMoreThanItsPolicyAndWhatIsUnknown) {
  const auto& [one, named] = GetParam();
  const std::string policy = named;
  ASSERT_TRUE(StoreAnswersAll());
  const bool exact = one.effect != Effect::kUnknown && one.effect != Effect::kUnknownInPart;
  // Where the deadline is short, a busy host may miss it without a failpoint.
  if (exact) {
    EXPECT_EQ(Admitted(policy, "before"), kLimit);
  }

  Arm(one.spec);
  const int during = Admitted(policy, "during");
  EXPECT_EQ(Acted(), one.reached);
  Arm("");
  ASSERT_TRUE(StoreAnswersAll());
  const int after = Admitted(policy, "during");
  RecordProperty("during", during);
  RecordProperty("after", after);

  // While all calls fail the policy decides alone: everybody, nobody, or the share of each replica.
  const int by_policy = policy == "allow" ? kAsked : policy == "deny" ? 0 : kLimit;
  const int most = policy == "allow" ? kAsked : policy == "deny" ? kLimit : 2 * kLimit;
  switch (one.effect) {
    case Effect::kNone:
      EXPECT_EQ(during, kLimit);
      EXPECT_EQ(after, 0);
      break;
    case Effect::kUndone:
      EXPECT_EQ(during, by_policy);
      EXPECT_EQ(after, kLimit) << "what failed for certain was not counted";
      break;
    case Effect::kUndoneInPart:
      EXPECT_LE(during, most);
      if (policy == "deny") {
        EXPECT_EQ(during + after, kLimit) << "what failed for certain was not counted";
      }
      break;
    case Effect::kUnknown:
      EXPECT_EQ(during, by_policy);
      EXPECT_LE(after, kLimit);
      break;
    case Effect::kUnknownInPart:
      EXPECT_LE(during, most);
      if (policy == "deny") {
        EXPECT_LE(during + after, kLimit) << "what passed was counted, always";
      }
      if (policy == "local") {
        EXPECT_LE(during + after, 2 * kLimit) << "the limit and the shares of the replicas";
      }
      break;
  }
  if (exact) {
    EXPECT_EQ(Admitted(policy, "before"), 0) << "its count is as it was";
  }
}

INSTANTIATE_TEST_SUITE_P(Every, FailpointTest,
                         testing::Combine(testing::ValuesIn(kCases), testing::Values("allow", "deny", "local")),
                         [](const auto& test) {
                           std::string name = std::string(std::get<0>(test.param).point) + "_" +
                                              std::get<0>(test.param).spec + "_" + std::get<1>(test.param);
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

TEST(FailpointCasesTest, CoverEveryPointAndActionOfTheLimiter) {
  for (const Point* point : failpoint::AllPoints()) {
    // The limiter calls nobody; some builds of this test link the client all the same.
    if (std::string_view(point->name()).starts_with("rpc.call.")) continue;
    for (const Action action : point->actions()) {
      if (action == Action::kCrash) continue;  // tests/chaos
      int cases = 0;
      for (const Case& one : kCases) {
        cases += one.point == point->name() && failpoint::ParseSpecText(*point, one.spec)->action == action ? 1 : 0;
      }
      EXPECT_GT(cases, 0) << point->name() << " " << failpoint::ActionName(action) << ": say above what must hold";
    }
  }
}

}  // namespace
}  // namespace lab::ratelimit
