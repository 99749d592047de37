#include "services/runtime/async/loop.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace lab::async {
namespace {

// A source as simple as can be: sleeps in poll() on Asio's descriptor and an eventfd of its own.
class TestSource final : public Loop::Source {
 public:
  TestSource() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~TestSource() override { close(wake_fd_); }

  size_t Drain() override { return 0; }
  void Sleep(int asio_fd) override {
    ++sleeps;
    std::array<pollfd, 2> fds{{{asio_fd, POLLIN, 0}, {wake_fd_, POLLIN, 0}}};
    // Far longer than a test may take: a lost wake-up is a failure, not a delay.
    poll(fds.data(), fds.size(), 30'000);
    eventfd_t ignored;
    eventfd_read(wake_fd_, &ignored);
  }
  void Wake() override { eventfd_write(wake_fd_, 1); }

  std::atomic<int> sleeps = 0;

 private:
  const int wake_fd_;
};

// Every test runs without a source and with one.
class LoopTest : public testing::TestWithParam<bool> {
 protected:
  LoopTest() {
    if (GetParam()) loop_.Attach(&source_);
  }
  ~LoopTest() override { loop_.Detach(&source_); }

  TestSource source_;
  Loop loop_;
};

INSTANTIATE_TEST_SUITE_P(Source, LoopTest, testing::Bool(),
                         [](const auto& test) { return std::string(test.param ? "Attached" : "None"); });

TEST_P(LoopTest, RunsWhatWasPostedBeforeRun) {
  bool ran = false;
  loop_.Post([&] {
    ran = true;
    loop_.Stop();
  });
  loop_.Run();
  EXPECT_TRUE(ran);
}

TEST_P(LoopTest, StopBeforeRunEndsIt) {
  loop_.Stop();
  loop_.Run();
  int turns = 0;
  loop_.AtTurnEnd(Loop::Phase::kReply, [&] { ++turns; });
  loop_.Post([&] { loop_.Stop(); });
  loop_.Run();  // may be run again
  EXPECT_EQ(turns, 1);
}

TEST_P(LoopTest, RunsHooksInPhaseOrderAtTheEndOfATurn) {
  std::vector<std::string> order;
  loop_.AtTurnEnd(Loop::Phase::kReply, [&] { order.push_back("reply"); });
  loop_.AtTurnEnd(Loop::Phase::kDecide, [&] { order.push_back("decide"); });
  loop_.AtTurnEnd(Loop::Phase::kStoreWrite, [&] { order.push_back("store"); });
  loop_.Post([&] { order.push_back("handler"); });
  loop_.Post([&] {
    order.push_back("handler");
    loop_.Stop();
  });
  loop_.Run();
  EXPECT_EQ(order, (std::vector<std::string>{"handler", "handler", "decide", "store", "reply"}));
}

TEST_P(LoopTest, TimersWakeIt) {
  boost::asio::steady_timer timer(loop_.io(), Millis(5));
  const auto start = Clock::now();
  timer.async_wait([&](auto) { loop_.Stop(); });
  loop_.Run();
  EXPECT_GE(Clock::now() - start, Millis(5));
}

TEST_P(LoopTest, RunsWhatAHookPostsToAsio) {
  int left = 3;
  loop_.AtTurnEnd(Loop::Phase::kStoreWrite, [&] {
    if (left-- > 0)
      boost::asio::post(loop_.io(), [&] {
        if (left == 0) loop_.Stop();
      });
  });
  loop_.Run();
  EXPECT_LE(left, 0);
}

TEST_P(LoopTest, TurnTimeIsReadAfterTheSleep) {
  boost::asio::steady_timer timer(loop_.io());
  Clock::time_point due;
  loop_.Post([&] {
    due = loop_.turn_time() + Millis(5);
    timer.expires_at(due);
    timer.async_wait([&](auto) {
      EXPECT_GE(loop_.turn_time(), due);
      const auto first = loop_.turn_time();
      EXPECT_EQ(loop_.turn_time(), first) << "one reading a turn";
      loop_.Stop();
    });
  });
  loop_.Run();
}

TEST_P(LoopTest, AnExceptionEndsRun) {
  loop_.Post([] { throw std::runtime_error("broken"); });
  EXPECT_THROW(loop_.Run(), std::runtime_error);
}

TEST_P(LoopTest, ExpectReplyDoesNotKeepItFromSleeping) {
  boost::asio::steady_timer timer(loop_.io());
  int rounds = 0;
  std::function<void()> look = [&] {
    if (source_.sleeps > 0 || ++rounds == (GetParam() ? 500 : 3)) return loop_.Stop();
    timer.expires_after(Millis(5));
    timer.async_wait([&](auto) { look(); });
  };
  loop_.Post([&] {
    loop_.ExpectReply();
    look();
  });
  loop_.Run();
  EXPECT_EQ(source_.sleeps > 0, GetParam()) << "the dwell ends though no reply comes";
}

TEST(LoopTest, RefusesASecondSource) {
  TestSource first, second;
  Loop loop;
  loop.Attach(&first);
  EXPECT_THROW(loop.Attach(&second), std::logic_error);
  loop.Detach(&first);
  loop.Attach(&second);
  loop.Detach(&second);
}

// Threads post one at a time and wait until it ran, so that the loop falls asleep all the time; one lost wake-up and
// the test stands still.
TEST_P(LoopTest, NeverLosesAPostFromAnotherThread) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 5'000;
  std::atomic<int> ran = 0;
  std::vector<std::thread> threads;
  std::thread runner([&] { loop_.Run(); });
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        std::atomic<bool> done = false;
        loop_.Post([&] {
          ++ran;
          done = true;
          done.notify_one();
        });
        // Half of the threads wait for each, the others keep the loop busy around its sleep.
        if (t % 2 == 0)
          done.wait(false);
        else
          while (!done) std::this_thread::yield();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  loop_.Stop();
  runner.join();
  EXPECT_EQ(ran, kThreads * kPosts);
}

}  // namespace
}  // namespace lab::async
