#include "bench/load/poller.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>

namespace lab::bench {
namespace {

class Nobody : public Poller::Handler {
 public:
  void Ready(uint32_t) override { FAIL() << "nothing was added"; }
};

// It happens on the generator's thread in the middle of a load, where nobody would catch an exception.
TEST(PollerTest, ADescriptorThatCannotBeWatchedIsAnError) {
  Poller poller;
  Nobody nobody;
  const absl::Status added = poller.Add(-1, EPOLLIN, &nobody);
  EXPECT_EQ(added.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(added.message().find("Bad file descriptor"), std::string::npos) << added;
  EXPECT_FALSE(poller.Change(-1, EPOLLIN, &nobody).ok());
  poller.Wait(0);
}

}  // namespace
}  // namespace lab::bench
