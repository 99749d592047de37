#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string_view>

#include "services/runtime/async/breaker.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/obs/log.h"
#include "services/runtime/obs/metrics.h"

namespace lab::async {

// The breaker of a store's client, which probes by an operation of its own (a PING, an empty query), so that no call of
// a user pays for it: at once when it opens (after refusals: after `open_for`), then `open_for` after each probe that
// was not answered in time, and as soon as a late answer shows that the store goes on. On the loop's thread.
class ProbedBreaker {
 public:
  enum class Result {
    kAnswer,
    kRefusal,   // it answers but refuses, which a probe cannot tell from health
    kNoAnswer,  // late, or the connection was lost
  };
  struct Hooks {
    // Sends a probe, whose end Probed is told; false when there is no connection to send it by.
    std::function<bool()> send_probe;
    // It has opened, or closed again; rarely enough for a log. `not_logged`: how often it was not told since.
    std::function<void(bool opened, uint64_t not_logged)> changed;
  };

  // `state` shows 0 closed, 1 open, 2 half-open. The options' own wait takes no part in probing.
  ProbedBreaker(Loop& loop, Breaker::Options options, obs::Gauge& state, Hooks hooks);
  ~ProbedBreaker();
  ProbedBreaker(const ProbedBreaker&) = delete;
  ProbedBreaker& operator=(const ProbedBreaker&) = delete;

  bool closed() const { return breaker_.state() == Breaker::State::kClosed; }
  Breaker::State state() const { return breaker_.state(); }

  // The end of an operation of a user that was sent.
  void Count(Result result, Clock::time_point now);
  // The end of a probe.
  void Probed(bool answered);
  // A sign of life: probe at once when it is not closed. One probe at a time.
  void Probe();
  // A new connection has answered its handshake: closed.
  void Connected();
  // No probe from now on.
  void Stop();

 private:
  void Arm(Nanos delay);
  void Show(bool opened);

  const Breaker::Options options_;
  Breaker breaker_;
  obs::Gauge& shown_;
  Hooks hooks_;
  boost::asio::steady_timer timer_;
  bool probing_ = false;  // a probe waits for its answer
  bool stopped_ = false;
  obs::LogLimit log_limit_{std::chrono::seconds(1)};
  std::shared_ptr<bool> alive_;  // shared with the timer's handler in flight
};

}  // namespace lab::async
