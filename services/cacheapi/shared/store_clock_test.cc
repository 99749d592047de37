#include "services/cacheapi/shared/store_clock.h"

#include <optional>

#include "services/runtime/async/loop_fixture.h"
#include "services/runtime/redis/test_server.h"

namespace lab::cacheapi {
namespace {

class StoreClockTest : public async::LoopTest {
 protected:
  StoreClockTest() {
    redis::Options options;
    options.port = server_.port();
    options.deadline = Millis(1000);
    redis_.emplace(loop_, options, metrics_);
    EXPECT_TRUE(RunUntil([&] { return redis_->connected(); }));
  }
  ~StoreClockTest() override {
    redis_->Close();
    RunFor(Millis(1));
  }
  static int64_t UnixMs() {
    return std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch()).count();
  }

  redis::TestServer server_;
  std::optional<redis::Client> redis_;
};

TEST_F(StoreClockTest, IsThatOfTheServer) {
  StoreClock clock(loop_, *redis_, metrics_, Millis(10));
  ASSERT_TRUE(RunUntil([&] { return clock.known(); }));
  RunFor(Millis(50));
  EXPECT_NEAR(static_cast<double>(clock.At(Clock::now())), static_cast<double>(UnixMs()), 2) << "one host, one clock";
  EXPECT_LT(Metric("cacheapi_clock_error_seconds"), 0.5);
}

TEST_F(StoreClockTest, KeepsTheAnswerOfTheShortestRoundTrip) {
  StoreClock clock(loop_, *redis_, metrics_, std::chrono::hours(1));
  const Clock::time_point now = Clock::now();
  const Micros server(1'700'000'000'000'000);
  clock.Take(server, now - Millis(2), now);  // off by a millisecond at most
  const UnixMillis first = clock.At(now);
  EXPECT_EQ(first, 1'700'000'000'001);
  clock.Take(server + Millis(8), now - Millis(20), now + Millis(10));  // 12 ms later, give or take 15
  EXPECT_EQ(clock.At(now), first);
  clock.Take(server + Micros(10'500), now + Millis(10) - Micros(100), now + Millis(10) + Micros(100));
  EXPECT_EQ(clock.At(now), 1'700'000'000'000) << "better, and the first one was off by half a millisecond";
}

TEST_F(StoreClockTest, AJumpIsTakenOver) {
  StoreClock clock(loop_, *redis_, metrics_, std::chrono::hours(1));
  const Clock::time_point now = Clock::now();
  const Micros server(1'700'000'000'000'000);
  clock.Take(server, now, now);
  clock.Take(server - std::chrono::hours(1), now, now + Millis(50));
  EXPECT_NEAR(static_cast<double>(clock.At(now)), 1'700'000'000'000.0 - 3'600'000.0, 30);
}

}  // namespace
}  // namespace lab::cacheapi
