#include "bench/run/core_watch.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "bench/run/testing.h"
#include "gtest/gtest.h"

namespace lab::bench {
namespace {

// A process of its own, so that it can be stopped: it watches itself until told to say what it saw.
TEST(CoreWatchTest, SeesThatItsProcessWasStopped) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    const Clock::time_point zero = Clock::now();
    CoreWatch watch(zero);
    std::this_thread::sleep_for(Millis(50));
    kill(getpid(), SIGSTOP);
    std::this_thread::sleep_for(Millis(50));
    double longest = 0;
    for (const Wait& wait : watch.Stop()) longest = std::max(longest, wait.length_s);
    _exit(write(ends[1], &longest, sizeof(longest)) == sizeof(longest) ? 0 : 1);
  }
  close(ends[1]);
  ASSERT_TRUE(Eventually([&] { return ReadProcess(pid)->state == 'T'; }));
  std::this_thread::sleep_for(Millis(500));
  kill(pid, SIGCONT);
  double longest = 0;
  ASSERT_EQ(read(ends[0], &longest, sizeof(longest)), static_cast<ssize_t>(sizeof(longest)));
  waitpid(pid, nullptr, 0);
  close(ends[0]);
  EXPECT_GE(longest, 0.45);
}

// A core that somebody else has, as a hypervisor would.
TEST(CoreWatchTest, SeesThatACoreWasTakenAway) {
  const Clock::time_point zero = Clock::now();
  CoreWatch watch(zero);
  std::this_thread::sleep_for(Millis(50));
  bool allowed = false;
  std::thread thief([&] {
    sched_param parameter{};
    parameter.sched_priority = 50;
    allowed = sched_setscheduler(0, SCHED_FIFO, &parameter) == 0;
    const Clock::time_point end = Clock::now() + Millis(60);
    while (allowed && Clock::now() < end) {
    }
  });
  thief.join();
  double longest_s = 0;
  for (const Wait& wait : watch.Stop()) {
    longest_s = std::max(longest_s, wait.length_s);
    EXPECT_GT(wait.at_s, 0);
  }
  if (!allowed) GTEST_SKIP() << "this user may not have real-time priority, nor take a core from anybody with it";
  EXPECT_GE(longest_s, 0.05);
}

TEST(CoreWatchTest, TheLoadOfPartsIsNoWait) {
  sched_param parameter{};
  parameter.sched_priority = sched_get_priority_min(SCHED_FIFO);
  bool allowed = false;
  std::thread([&] { allowed = sched_setscheduler(0, SCHED_FIFO, &parameter) == 0; }).join();
  if (!allowed) GTEST_SKIP() << "this user may not have real-time priority";
  std::vector<std::thread> load;
  CoreWatch watch(Clock::now());
  const Clock::time_point end = Clock::now() + Millis(500);
  for (unsigned i = 0; i < 4 * std::thread::hardware_concurrency(); ++i) {
    load.emplace_back([end] {
      while (Clock::now() < end) {
      }
    });
  }
  for (std::thread& one : load) one.join();
  double waited_s = 0;
  for (const Wait& wait : watch.Stop()) waited_s += wait.length_s;
  EXPECT_LT(waited_s, 0.25) << "of 0.5 s in which threads waited for one another";
}

}  // namespace
}  // namespace lab::bench
