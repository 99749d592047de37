// Every way to lose the store, over real gRPC on a real Redis with two replicas: healthy, away, right again. What is
// asserted is what a fault lets through; the bounds on time are judged by labs/rate-limit-outage.

#include <gmock/gmock.h>

#include <stdexcept>
#include <thread>
#include <vector>

#include "services/ratelimit/service_testing.h"
#include "services/runtime/redis/test_server.h"

namespace lab::ratelimit {
namespace {

using testing::HasSubstr;

// Six a day by two algorithms and each policy, and a rule that shows whether the store answers. Days, so that nothing
// comes back during a test.
constexpr char kOutageRules[] = R"(
domain: shop
descriptors:
  - {key: probe, rate_limit: {unit: day, requests_per_unit: 1000000, on_store_failure: deny}}
  - {key: window-allow, rate_limit: {unit: day, requests_per_unit: 6, on_store_failure: allow}}
  - {key: window-deny, rate_limit: {unit: day, requests_per_unit: 6, on_store_failure: deny}}
  - {key: window-local, rate_limit: {unit: day, requests_per_unit: 6, on_store_failure: local}}
  - {key: bucket-allow, rate_limit: {unit: day, requests_per_unit: 6, burst: 4, algorithm: gcra, on_store_failure: allow}}
  - {key: bucket-deny, rate_limit: {unit: day, requests_per_unit: 6, burst: 4, algorithm: gcra, on_store_failure: deny}}
  - {key: bucket-local, rate_limit: {unit: day, requests_per_unit: 6, burst: 4, algorithm: gcra, on_store_failure: local}}
)";

constexpr int kReplicas = 2;
constexpr int kLimit = 6, kBurst = 4;
constexpr int kAsked = 8;  // of each replica: more than any of them may admit

Options OfReplica(int port) {
  Options options = OnRedis(port);
  options.replicas = kReplicas;
  options.redis.deadline = Millis(50);
  return options;
}

// How a fault begins and ends. `end` brings the store back.
struct Fault {
  const char* name;
  bool goes_away;  // calls fail until `end`
  bool loses_state;
  void (*begin)(redis::TestServer& redis);
  void (*end)(redis::TestServer& redis);
};

void Nothing(redis::TestServer&) {}

void KeepBusy(redis::TestServer& redis) {
  redis.Command({"CONFIG", "SET", "lua-time-limit", "10"});  // from then on it answers BUSY, and takes SCRIPT KILL
  std::thread([&redis] {
    try {
      redis.Command({"EVAL", "while true do end", "0"});
    } catch (const std::runtime_error&) {  // no reply in 5 s; the script goes on
    }
  }).detach();
}

const Fault kFaults[] = {
    {"paused", true, false, [](redis::TestServer& redis) { redis.Pause(); },
     [](redis::TestServer& redis) { redis.Continue(); }},
    {"killed", true, true, [](redis::TestServer& redis) { redis.Kill(); },
     [](redis::TestServer& redis) { redis.Start(); }},
    {"client_pause", true, false,
     [](redis::TestServer& redis) {
       redis.Command({"CLIENT", "PAUSE", "600000", "WRITE"});
     },
     [](redis::TestServer& redis) {
       redis.Command({"CLIENT", "UNPAUSE"});
     }},
    {"busy", true, false, &KeepBusy,
     [](redis::TestServer& redis) {
       ASSERT_TRUE(WaitUntil([&] { return redis.Command({"SCRIPT", "KILL"}).find("OK") != std::string::npos; }));
     }},
    {"flushed", false, true,
     [](redis::TestServer& redis) {
       redis.Command({"FLUSHALL"});
       redis.Command({"SCRIPT", "FLUSH"});
     },
     &Nothing},
    {"restarted", false, true,
     [](redis::TestServer& redis) {
       redis.Kill();
       redis.Start();
     },
     &Nothing},
    {"out_of_memory", true, false,
     [](redis::TestServer& redis) {
       redis.Command({"CONFIG", "SET", "maxmemory", "1"});
     },
     [](redis::TestServer& redis) {
       redis.Command({"CONFIG", "SET", "maxmemory", "0"});
     }},
    {"readonly", true, false,
     [](redis::TestServer& redis) {
       redis.Command({"REPLICAOF", "127.0.0.1", "1"});
     },
     [](redis::TestServer& redis) {
       redis.Command({"REPLICAOF", "NO", "ONE"});
     }},
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

class OutageTest : public testing::TestWithParam<std::tuple<Fault, const char*>> {
 protected:
  OutageTest() {
    for (ServiceUnderTest* replica : {&one_, &two_}) EXPECT_TRUE(replica->started.ok()) << replica->started;
  }
  // How many of kAsked requests to each replica pass, together.
  int Admitted(const std::string& rule, const std::string& value) {
    int admitted = 0;
    for (int i = 0; i < kAsked; ++i) {
      for (ServiceUnderTest* replica : {&one_, &two_}) admitted += replica->Admitted(rule, value, 1);
    }
    return admitted;
  }
  // The store answers every replica, or none: each is asked until it is so.
  bool Answers(bool wanted) {
    const auto code = wanted ? RateLimitResponse::OK : RateLimitResponse::OVER_LIMIT;
    for (ServiceUnderTest* replica : {&one_, &two_}) {
      if (!WaitUntil([&] { return replica->Ask("probe", "p") == code; })) return false;
    }
    return true;
  }

  redis::TestServer redis_;
  ServiceUnderTest one_{OfReplica(redis_.port()), kOutageRules};
  ServiceUnderTest two_{OfReplica(redis_.port()), kOutageRules};
};

TEST_P(OutageTest, AdmitsNoMoreThanItsPolicyAndWhatIsLost) {
  const auto& [fault, policy] = GetParam();
  const std::string window = std::string("window-") + policy, bucket = std::string("bucket-") + policy;
  ASSERT_TRUE(Answers(true));
  EXPECT_EQ(Admitted(window, "before"), kLimit);
  EXPECT_EQ(Admitted(bucket, "before"), kBurst);

  fault.begin(redis_);
  if (fault.goes_away) {
    ASSERT_TRUE(Answers(false));
    const std::string named = policy;
    const int all = kReplicas * kAsked;
    // Local: each replica admits its share, 6 / 2 and 4 / 2. On keys of their own: a Redis that only refuses to write
    // still denies what is used up.
    EXPECT_EQ(Admitted(window, "away"), named == "allow" ? all : named == "deny" ? 0 : kLimit);
    EXPECT_EQ(Admitted(bucket, "away"), named == "allow" ? all : named == "deny" ? 0 : kBurst);
  }
  fault.end(redis_);

  ASSERT_TRUE(Answers(true));
  EXPECT_EQ(Admitted(window, "before"), fault.loses_state ? kLimit : 0) << "one more limit for a loss of state";
  EXPECT_EQ(Admitted(bucket, "before"), fault.loses_state ? kBurst : 0) << "one more burst for a loss of state";
  // Calls that timed out may have been applied; they count against the key, never for it.
  EXPECT_LE(Admitted(window, "away"), kLimit);
  EXPECT_LE(Admitted(bucket, "away"), kBurst);
}

INSTANTIATE_TEST_SUITE_P(EveryFault, OutageTest,
                         testing::Combine(testing::ValuesIn(kFaults), testing::Values("allow", "deny", "local")),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + "_" + std::get<1>(test.param);
                         });

TEST(OutageAnswerTest, JsonSays503WhenDeniedWithoutKnowing) {
  redis::TestServer redis;
  ServiceUnderTest service(OnRedis(redis.port()));
  redis.Kill();
  ASSERT_TRUE(WaitUntil([&] { return service.Ask("deny", "probe") == RateLimitResponse::OVER_LIMIT; }));
  const std::string body = R"({"domain":"shop","descriptors":[{"entries":[{"key":"deny","value":"j"}]}]})";
  EXPECT_THAT(Http(service.http_port(), "POST", "/json", body), HasSubstr("503"));
}

// Without a breaker every call is tried: what waits for Redis is bounded all the same, and nobody waits in the service.
TEST(OutageMemoryTest, CallsThatRedisHasYetToAnswerAreBounded) {
  redis::TestServer redis;
  Options options = OnRedis(redis.port());
  options.redis.breaker.failures = 1'000'000;
  options.redis.deadline = Millis(5);
  options.redis.max_outstanding = 4;
  ServiceUnderTest service(options);
  ASSERT_TRUE(WaitUntil([&] { return service.Ask("deny", "probe", 1) == RateLimitResponse::OVER_LIMIT; })) << "used up";
  redis.Pause();
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      for (int n = 0; n < 50; ++n) {
        EXPECT_EQ(service.Ask("allow", std::to_string(1000 * i + n)), RateLimitResponse::OK);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_TRUE(service.MetricsShow("redis_outstanding 4\n"));
  EXPECT_TRUE(WaitUntil([&] { return service.MetricsShow("rpc_server_in_flight 0\n"); }));
  redis.Continue();
  EXPECT_TRUE(WaitUntil([&] { return service.MetricsShow("redis_outstanding 0\n"); }));
}

// A stop answers what is in flight, also while Redis does not.
TEST(ServiceStopTest, StopsInOrderWhileRedisHangs) {
  redis::TestServer redis;
  ServiceUnderTest service(OnRedis(redis.port()));
  ASSERT_EQ(service.Admitted("tenant", "1", 1), 1);
  redis.Pause();
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      RateLimitResponse response;
      for (int n = 0; n < 50 && service.Call(Request("deny", "x"), &response).ok(); ++n) {
      }
    });
  }
  service.Stop();
  for (std::thread& caller : callers) caller.join();
  redis.Continue();
}

}  // namespace
}  // namespace lab::ratelimit
