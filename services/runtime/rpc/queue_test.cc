#include "services/runtime/rpc/queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <thread>
#include <vector>

namespace lab::rpc {
namespace {

TEST(QueueTest, MayBeDestroyedUnused) {
  async::Loop loop;
  Queue queue(loop);
}

TEST(QueueTest, AWakeBeforeASleepEndsIt) {
  async::Loop loop;
  Queue queue(loop);
  boost::asio::steady_timer never(loop.io(), std::chrono::hours(1));
  never.async_wait([](auto) {});
  loop.io().poll();
  queue.Wake();
  queue.Wake();
  loop.Post([&] { loop.Stop(); });
  loop.Run();
}

// The loop sleeps in gRPC's queue; posts come through the alarm, timers through the watch on Asio's descriptor. Each
// thread waits for its post, so one lost wake-up stops the test.
TEST(QueueTest, NeverLosesAWakeUp) {
  constexpr int kThreads = 3;
  constexpr int kPosts = 3'000;
  constexpr int kTicks = 500;
  async::Loop loop;
  Queue queue(loop);
  std::atomic<int> ran = 0;
  std::atomic<bool> ticked = false;
  int ticks = 0;
  boost::asio::steady_timer timer(loop.io());
  std::function<void()> tick = [&] {
    timer.expires_after(Micros(200));
    timer.async_wait([&](auto) {
      if (++ticks < kTicks) return tick();
      ticked = true;
      ticked.notify_one();
    });
  };
  loop.Post([&] { tick(); });
  std::thread runner([&] { loop.Run(); });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kPosts; ++i) {
        std::atomic<bool> done = false;
        loop.Post([&] {
          ++ran;
          done = true;
          done.notify_one();
        });
        done.wait(false);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  ticked.wait(false);
  loop.Stop();
  runner.join();
  EXPECT_EQ(ran, kThreads * kPosts);
  EXPECT_EQ(ticks, kTicks);
}

}  // namespace
}  // namespace lab::rpc
