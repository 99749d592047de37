#include "services/runtime/async/probed_breaker.h"

#include <utility>

namespace lab::async {
namespace {

// The breaker's own wait is zero: it is decided here when to probe.
Breaker::Options WithoutWait(Breaker::Options options) {
  options.open_for = Nanos(0);
  return options;
}

}  // namespace

ProbedBreaker::ProbedBreaker(Loop& loop, Breaker::Options options, obs::Gauge& state, Hooks hooks)
    : options_(options),
      breaker_(WithoutWait(options)),
      shown_(state),
      hooks_(std::move(hooks)),
      timer_(loop.io()),
      alive_(std::make_shared<bool>(true)) {}

ProbedBreaker::~ProbedBreaker() { *alive_ = false; }

void ProbedBreaker::Stop() {
  stopped_ = true;
  timer_.cancel();
}

void ProbedBreaker::Show(bool opened) {
  shown_.Set(static_cast<double>(breaker_.state()));
  if (log_limit_.Allow(Clock::now())) hooks_.changed(opened, log_limit_.suppressed());
}

void ProbedBreaker::Count(Result result, Clock::time_point now) {
  // Results of operations from before it opened say nothing about now; then only probes count.
  if (stopped_ || !closed()) return;
  if (result == Result::kAnswer) return breaker_.Succeeded(now);
  breaker_.Failed(now);
  if (closed()) return;
  Show(true);
  // At a high rate a hiccup of some milliseconds is enough to open it, so the first probe leaves at once. Not for a
  // server that answers but refuses.
  Arm(result == Result::kRefusal ? options_.open_for : Nanos(0));
}

void ProbedBreaker::Arm(Nanos delay) {
  timer_.expires_after(delay);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (*alive && !error) Probe();
  });
}

// One probe at a time that counts. One that expired may still be answered, which is the first sign of life: Probe is
// called again then, so that a store that goes on is noticed at once, not after open_for.
void ProbedBreaker::Probe() {
  if (stopped_ || probing_ || closed()) return;
  const Clock::time_point now = Clock::now();
  if (!breaker_.Allow(now)) return Arm(Millis(1));
  shown_.Set(static_cast<double>(breaker_.state()));
  probing_ = true;
  if (hooks_.send_probe()) return;
  // Without a connection there is nothing to probe: a new one closes the breaker by its handshake.
  probing_ = false;
  breaker_.Failed(now);
  shown_.Set(static_cast<double>(breaker_.state()));
  Arm(options_.open_for);
}

void ProbedBreaker::Probed(bool answered) {
  probing_ = false;
  if (stopped_ || closed()) return;
  const Clock::time_point now = Clock::now();
  answered ? breaker_.Succeeded(now) : breaker_.Failed(now);
  switch (breaker_.state()) {
    case Breaker::State::kClosed:
      return Show(false);
    case Breaker::State::kHalfOpen:
      return Probe();
    case Breaker::State::kOpen:
      shown_.Set(static_cast<double>(breaker_.state()));
      return Arm(options_.open_for);
  }
}

void ProbedBreaker::Connected() {
  if (closed()) return;
  breaker_ = Breaker(WithoutWait(options_));
  Show(false);
}

}  // namespace lab::async
