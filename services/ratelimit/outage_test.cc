// Every way to lose the store, over real gRPC on a real Redis: healthy, away, right again.

#include <gmock/gmock.h>

#include <thread>
#include <vector>

#include "services/ratelimit/service_testing.h"
#include "services/runtime/redis/test_server.h"

namespace lab::ratelimit {
namespace {

using testing::HasSubstr;

// What each policy gives while the store is away, and that counting is right again after.
class OutageTest : public testing::Test {
 protected:
  OutageTest() : service_(OnRedis(redis_.port())) {
    EXPECT_TRUE(service_.started.ok()) << service_.started;
    EXPECT_EQ(service_.Admitted("tenant", "before", 5), 3);
  }
  // With the store away: allow admits all, deny none, local its share.
  void ExpectPolicies() {
    ASSERT_TRUE(WaitUntil([&] { return service_.Ask("deny", "probe") == RateLimitResponse::OVER_LIMIT; }));
    EXPECT_EQ(service_.Admitted("allow", "away", 8), 8);
    EXPECT_EQ(service_.Admitted("deny", "away", 8), 0);
    EXPECT_EQ(service_.Admitted("local", "away", 8), 3);
  }
  void ExpectRecovery(const std::string& value) {
    int n = 0;
    ASSERT_TRUE(WaitUntil([&] { return service_.Ask("deny", value + std::to_string(++n)) == RateLimitResponse::OK; }));
    EXPECT_EQ(service_.Admitted("tenant", value, 5), 3);
  }

  redis::TestServer redis_;
  ServiceUnderTest service_;
};

TEST_F(OutageTest, Killed) {
  redis_.Kill();
  ExpectPolicies();
  const std::string body = R"({"domain":"shop","descriptors":[{"entries":[{"key":"deny","value":"j"}]}]})";
  EXPECT_THAT(Http(service_.http_port(), "POST", "/json", body), HasSubstr("503"));
  redis_.Start();
  ExpectRecovery("after kill");
  EXPECT_EQ(service_.Admitted("tenant", "before", 5), 3) << "a restart without its data: one more limit, no more";
}

TEST_F(OutageTest, Paused) {
  redis_.Pause();
  ExpectPolicies();
  redis_.Continue();
  ExpectRecovery("after pause");
  EXPECT_EQ(service_.Admitted("tenant", "before", 5), 0) << "nothing was lost";
}

TEST_F(OutageTest, FlushedLosesOneLimitAndItsScripts) {
  redis_.Command({"FLUSHALL"});
  redis_.Command({"SCRIPT", "FLUSH"});
  EXPECT_EQ(service_.Admitted("tenant", "before", 8), 3);
}

TEST_F(OutageTest, ReadOnly) {
  redis_.Command({"REPLICAOF", "127.0.0.1", "1"});
  ExpectPolicies();
  redis_.Command({"REPLICAOF", "NO", "ONE"});
  ExpectRecovery("after read-only");
}

TEST_F(OutageTest, OutOfMemory) {
  redis_.Command({"CONFIG", "SET", "maxmemory", "1"});
  ExpectPolicies();
  redis_.Command({"CONFIG", "SET", "maxmemory", "0"});
  ExpectRecovery("after out of memory");
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
