#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <functional>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "services/runtime/base/time.h"

namespace lab::async {

// The one thread of a service, in turns. A turn takes what has arrived (events of the Source, ready handlers of Asio),
// then runs the end-of-turn hooks in phase order, so that all that was issued in the turn leaves in one batch, one
// write to each store and one burst of replies; then it sleeps until something arrives. Handlers and hooks run on the
// thread that called Run; only Post and Stop may be called from other threads.
//
// While a source is attached the loop sleeps outside Asio, and Asio does not wake a thread that is not inside it. So
// hand work over with Post, never with asio::post or a resolver's async_resolve from another thread.
class Loop {
 public:
  // Another queue of events that shares the thread (the gRPC completion queue). While a source is attached the loop
  // sleeps in the source, which is woken when Asio has work (reference form: one thread owns queue, loop and stores).
  class Source {
   public:
    virtual ~Source() = default;
    // Handles what is ready without waiting. Returns how many events ran code that may have issued more work; the
    // loop takes another turn before it sleeps when there was any.
    virtual size_t Drain() = 0;
    // Waits for an event of its own, for Wake(), or until Asio's epoll descriptor `asio_fd` is readable. Runs no
    // handler: the event that ended the wait is for the next Drain.
    virtual void Sleep(int asio_fd) = 0;
    // Ends a Sleep from any thread; when none is going on, the next one.
    virtual void Wake() = 0;
  };

  // The order in which hooks run at the end of a turn.
  enum class Phase { kDecide, kStoreWrite, kReply };

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  boost::asio::io_context& io() { return io_; }

  // Hooks run at the end of every turn for as long as the loop lives; make them cheap when there is nothing to do. What
  // they call must live as long: a part that may be destroyed earlier hands in a hook that knows it.
  void AtTurnEnd(Phase phase, std::function<void()> hook);

  // At most one. The source must outlive Run, or be detached on the loop's thread.
  void Attach(Source* source);
  void Detach(Source* source);

  // Stores report operations that were just sent and are answered within microseconds when healthy: for kDwell after
  // the last report the loop does not sleep in its source but goes on turning, and gives its core to whoever else can
  // use it in between. Waking a thread costs more than the answer takes, most of all on a virtual machine: one call
  // outstanding on Redis, 2.9k -> 4.6k calls/s. A store that stalls slows nothing down by that.
  void ExpectReply() { dwell_until_ = Clock::now() + kDwell; }
  static constexpr Nanos kDwell = Micros(150);

  // Runs until Stop; a Stop before Run ends the next Run after one turn. A handler that throws ends Run with the
  // exception.
  void Run();
  void Stop();                                    // thread-safe
  void Post(absl::AnyInvocable<void()> handler);  // thread-safe, wakes the loop; also runs what is posted before Run

  // Time at the start of this turn: one clock read a turn is enough for deadlines and counters. On the loop's thread.
  Clock::time_point turn_time() const {
    if (turn_time_ == Clock::time_point{}) turn_time_ = Clock::now();
    return turn_time_;
  }

 private:
  boost::asio::io_context io_;
  mutable Clock::time_point turn_time_{};  // zero: not read yet in this turn
  Clock::time_point dwell_until_{};
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::async
