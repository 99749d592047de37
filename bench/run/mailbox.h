#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <utility>

namespace lab::bench {

// What other threads have to say to the one that runs a trial or keeps a system, and that alone tells others of it.
class Mailbox {
 public:
  void Post(std::function<void()> message) {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
  }
  void Deliver() {
    std::deque<std::function<void()>> messages;
    {
      const std::lock_guard lock(mutex_);
      messages.swap(messages_);
    }
    for (const std::function<void()>& message : messages) message();
  }

 private:
  std::mutex mutex_;
  std::deque<std::function<void()>> messages_;
};

}  // namespace lab::bench
