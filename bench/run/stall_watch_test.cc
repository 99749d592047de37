#include "bench/run/stall_watch.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "bench/run/testing.h"
#include "gtest/gtest.h"

namespace lab::bench {
namespace {

// A process of its own, so that it can be stopped: it watches itself until told to say what it saw.
TEST(StallWatchTest, SeesThatItsProcessWasStopped) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    const Clock::time_point zero = Clock::now();
    StallWatch watch(zero);
    std::this_thread::sleep_for(Millis(50));
    kill(getpid(), SIGSTOP);
    std::this_thread::sleep_for(Millis(50));
    double longest = 0;
    for (const Stall& stall : watch.Stop()) longest = std::max(longest, stall.length_s);
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

}  // namespace
}  // namespace lab::bench
