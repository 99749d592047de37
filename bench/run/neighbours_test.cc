#include "bench/run/neighbours.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lab::bench {
namespace {

// A grandchild whose parent has gone is a stranger; a child is ours. Both run until they are killed.
pid_t Spin(const char* name, bool orphan) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    const pid_t own = orphan ? fork() : 0;
    if (own > 0) _exit(0);
    prctl(PR_SET_NAME, name);
    alarm(30);
    const pid_t pid = getpid();
    if (write(pipe_ends[1], &pid, sizeof(pid)) != sizeof(pid)) _exit(1);
    while (getppid() >= 0) {  // always
    }
  }
  pid_t spinning = 0;
  if (read(pipe_ends[0], &spinning, sizeof(spinning)) != sizeof(spinning)) spinning = 0;
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  if (orphan) waitpid(child, nullptr, 0);
  return spinning;
}

TEST(NeighbourWatchTest, NamesStrangersThatRunAndNotOurChildren) {
  const NeighbourWatch watch;
  const pid_t stranger = Spin("a_stranger", true), ours = Spin("one_of_ours", false);
  ASSERT_GT(stranger, 0);
  ASSERT_GT(ours, 0);
  std::string busiest;
  for (int tries = 0; tries < 100 && busiest.find("a_stranger") == std::string::npos; ++tries) {
    usleep(100'000);
    busiest = watch.Busiest();
  }
  EXPECT_THAT(busiest, testing::ContainsRegex("a_stranger [0-9.]+"));
  EXPECT_THAT(busiest, testing::Not(testing::HasSubstr("one_of_ours")));
  kill(stranger, SIGKILL);
  kill(ours, SIGKILL);
  waitpid(ours, nullptr, 0);
}

}  // namespace
}  // namespace lab::bench
