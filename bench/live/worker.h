#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "absl/functional/any_invocable.h"

namespace lab::bench::live {

// A thread for work that may wait, one piece after the other, at most `bound` of them waiting.
class Worker {
 public:
  explicit Worker(size_t bound);
  // Waits for the piece under way; the others are dropped.
  ~Worker();
  // False when too many are waiting.
  bool Do(absl::AnyInvocable<void()> work);

 private:
  void Loop();

  const size_t bound_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<absl::AnyInvocable<void()>> waiting_;
  bool stop_ = false;
  std::thread thread_;
};

// A thread that no signal of the process is delivered to: the main thread has handlers that end its waits.
std::thread StartQuietThread(absl::AnyInvocable<void()> work);

}  // namespace lab::bench::live
