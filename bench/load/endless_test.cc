#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "bench/load/endless_arrivals.h"
#include "bench/load/op_log.h"
#include "bench/load/schedule.h"
#include "bench/load/testing/grpc_test_server.h"
#include "bench/load/testing/load_options.h"

namespace lab::bench {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

LoadSpec Load(Arrivals arrivals, double per_s) {
  LoadSpec load;
  load.name = "main";
  load.target = "ratelimit.grpc";
  load.arrivals = arrivals;
  load.rate.per_s = per_s;
  load.keys.count = 50;
  return load;
}

size_t CountUntil(EndlessArrivals& arrivals, int64_t end_ns) {
  size_t count = 0;
  for (; arrivals.next().intended_ns < end_ns; arrivals.Advance()) ++count;
  return count;
}

TEST(EndlessArrivalsTest, BeginAsAPlannedRunOfTheSameSeed) {
  for (const Arrivals kind : {Arrivals::kConstant, Arrivals::kPoisson}) {
    const LoadSpec load = Load(kind, 1000);
    const auto planned = MakeSchedule(load, {{"all", 0, 5}}, 7, 0, 100'000);
    ASSERT_TRUE(planned.ok());
    ASSERT_GT(planned->size(), 4000u);
    EndlessArrivals endless(load, 7);
    for (const Arrival& arrival : *planned) {
      ASSERT_NEAR(static_cast<double>(endless.next().intended_ns), static_cast<double>(arrival.intended_ns), 2);
      ASSERT_EQ(endless.next().key, arrival.key);
      endless.Advance();
    }
    EXPECT_GE(endless.next().intended_ns, 5 * kSecond);
  }
}

TEST(EndlessArrivalsTest, TheFactorChangesTheRateFromThenOn) {
  EndlessArrivals even(Load(Arrivals::kConstant, 100), 1);
  EXPECT_EQ(CountUntil(even, 10 * kSecond), 1000u);
  even.SetFactor(2, 10 * kSecond);
  EXPECT_EQ(even.per_s(), 200);
  EXPECT_EQ(CountUntil(even, 20 * kSecond), 2000u);
  even.SetFactor(0.5, 20 * kSecond);
  EXPECT_EQ(CountUntil(even, 30 * kSecond), 500u);

  EndlessArrivals random(Load(Arrivals::kPoisson, 1000), 1);
  for (const double factor : {1.0, 3.0, 0.25}) {
    const int64_t begin = random.next().intended_ns;
    random.SetFactor(factor, begin);
    const double expected = 1000 * factor * 20;
    EXPECT_NEAR(static_cast<double>(CountUntil(random, begin + 20 * kSecond)), expected, 5 * std::sqrt(expected));
  }
}

TEST(EndlessArrivalsTest, ARateOfZeroIsSilenceUntilItChanges) {
  EndlessArrivals arrivals(Load(Arrivals::kPoisson, 100), 3);
  arrivals.SetFactor(0, kSecond / 1000);
  EXPECT_EQ(arrivals.next().intended_ns, std::numeric_limits<int64_t>::max());
  arrivals.SetFactor(1, 60 * kSecond);
  EXPECT_GE(arrivals.next().intended_ns, 60 * kSecond);
  EXPECT_LT(arrivals.next().intended_ns, 62 * kSecond);
}

TEST(EndlessArrivalsTest, WhatIsDueStaysAtItsTime) {
  EndlessArrivals arrivals(Load(Arrivals::kConstant, 10), 1);
  const int64_t due = arrivals.next().intended_ns;
  arrivals.SetFactor(5, due + kSecond);  // the generator was late
  EXPECT_EQ(arrivals.next().intended_ns, due);
  arrivals.Advance();
  EXPECT_EQ(arrivals.next().intended_ns, due + kSecond / 50);
}

TEST(OpLogTest, AnEndlessOneIsAsLargeAsTheMostInFlight) {
  OpLog log;
  log.KeepOnlyInFlight();
  for (int i = 0; i < 1000; ++i) {
    const size_t first = log.Begin(), second = log.Begin();
    EXPECT_NE(first, second);
    log[first].key = 7;
    log.End(first);
    log.End(second);
    EXPECT_EQ(log[log.Begin()].key, 0u) << "a used place is a new operation";
    log.End(second);
  }
  EXPECT_EQ(log.size(), 2u);
  EXPECT_TRUE(log.Take().empty());
  OpLog all;
  all.End(all.Begin());
  all.End(all.Begin());
  EXPECT_EQ(all.Take().size(), 2u);
}

void WaitUntil(const std::function<bool()>& condition) {
  for (int i = 0; i < 4000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_TRUE(condition());
}

TEST(EndlessGeneratorTest, GoesOnAtTheAskedRateUntilItIsStopped) {
  GrpcTestServer server([](const std::string&, const std::string&) {
    return GrpcTestServer::Answer{GrpcTestServer::Answer::Kind::kMessage, 0, std::string("\x08\x01", 2)};
  });
  Generator::Options options = TestOptions("ratelimit.grpc", server.endpoint(), 500, 0);
  options.phases.clear();
  options.endless = true;
  std::atomic<double> offered{-1};
  options.on_second = [&](const LiveLoad& live) { offered = live.offered_per_s; };
  Generator generator(options);
  ASSERT_TRUE(generator.Connect().ok());
  absl::Status status;
  std::thread thread([&] { status = generator.Run(); });
  WaitUntil([&] { return offered > 0 && server.received() > 300; });
  generator.SetRateFactor(0);
  WaitUntil([&] { return offered == 0; });
  generator.SetRateFactor(4);
  WaitUntil([&] { return offered > 0 && server.received() > 2000; });
  generator.Stop();
  thread.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(generator.TakeOps().empty());
  ASSERT_EQ(generator.streams().size(), 1u);
  EXPECT_EQ(generator.streams()[0].schedule, nullptr);
  EXPECT_EQ(generator.streams()[0].offered_per_s, 500);
  EXPECT_GT(generator.lag().count(), 2000u);
}

TEST(EndlessGeneratorTest, RefusesWhatHasNoRateOfItsOwn) {
  for (const Arrivals kind : {Arrivals::kClosed, Arrivals::kReplay, Arrivals::kRamp}) {
    Generator::Options options = TestOptions("ratelimit.grpc", "127.0.0.1:1", 100, 1);
    options.loads[0].arrivals = kind;
    options.endless = true;
    const absl::Status status = Generator(options).Connect();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("main"));
  }
}

}  // namespace
}  // namespace lab::bench
