#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace lab::rpc {

// A thread that waits for Asio's epoll descriptor while the loop sleeps elsewhere. It is one-shot: after it has seen
// the descriptor readable it does nothing until it is armed again, so it costs nothing while the loop is busy.
class AsioWatch {
 public:
  // `wake` runs on the watch's thread, when the descriptor is readable while the loop sleeps.
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
  // Both sequentially consistent: either BeginSleep sees that the watch has fired and arms it again, or the watch sees
  // that the loop sleeps and wakes it.
  std::atomic<bool> armed_ = false;
  std::atomic<bool> sleeping_ = false;
  std::thread thread_;
};

}  // namespace lab::rpc
