#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <utility>

#include "services/runtime/async/alive.h"
#include "services/runtime/async/wait_list.h"
#include "services/runtime/base/time.h"

namespace lab::async {

// A WaitList whose operations are told when their deadline has come: `start`, a member of theirs, and `deadline`, the
// same for all of them; zero or less: none has one. One timer, which is armed only while there are any. On the loop's
// thread.
template <typename T>
class DeadlineList {
 public:
  // `expired` gets each one that was not removed in time, already out of the list. It may add, remove and Stop.
  DeadlineList(boost::asio::io_context& io, Nanos deadline, std::function<void(T*, Clock::time_point now)> expired)
      : deadline_(deadline), expired_(std::move(expired)), timer_(io) {}

  // In the order of their `start`.
  void Add(T* operation) {
    list_.PushBack(operation);
    if (!armed_) Arm();
  }
  static void Remove(T* operation) { WaitList<T>::Remove(operation); }
  T* front() const { return list_.front(); }
  // None expires from now on.
  void Stop() {
    stopped_ = true;
    timer_.cancel();
  }

 private:
  void Arm() {
    if (stopped_ || deadline_ <= Nanos(0) || list_.front() == nullptr) return;
    armed_ = true;
    timer_.expires_at(list_.front()->start + deadline_);
    timer_.async_wait(alive_.Guard([this](const boost::system::error_code& error) {
      if (error) return;
      armed_ = false;
      Expire();
      if (!armed_) Arm();
    }));
  }
  void Expire() {
    const Clock::time_point now = Clock::now();
    while (T* operation = list_.front()) {
      if (stopped_ || operation->start + deadline_ > now) return;
      Remove(operation);
      expired_(operation, now);
    }
  }

  const Nanos deadline_;
  const std::function<void(T*, Clock::time_point)> expired_;
  WaitList<T> list_;
  boost::asio::steady_timer timer_;
  bool armed_ = false;
  bool stopped_ = false;
  Alive alive_;
};

}  // namespace lab::async
