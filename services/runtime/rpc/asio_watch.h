#pragma once

#include <functional>
#include <thread>

namespace lab::rpc {

// A thread that waits for Asio's epoll descriptor while the loop sleeps elsewhere. It is armed for the time of a sleep
// only, and for one event: an event that comes while the loop is awake costs no switch to it (measured with a store
// behind each call and one call outstanding: 2.0 switches a call instead of 3.0).
class AsioWatch {
 public:
  // `wake` runs on the watch's thread. It may come once more after a sleep has ended for another reason.
  explicit AsioWatch(std::function<void()> wake);
  ~AsioWatch();

  // Around the loop's sleep, on the loop's thread. Readable already counts as an event.
  void BeginSleep(int asio_fd);
  void EndSleep();

 private:
  void Watch();

  const std::function<void()> wake_;
  int epoll_fd_ = -1;
  int stop_fd_ = -1;
  int watched_fd_ = -1;
  std::thread thread_;
};

}  // namespace lab::rpc
