#include "services/runtime/async/breaker.h"

namespace lab::async {

bool Breaker::Allow(Clock::time_point now) {
  if (state_ == State::kClosed) return true;
  if (state_ == State::kOpen) {
    if (now - opened_at_ < options_.open_for) return false;
    state_ = State::kHalfOpen;
    succeeded_in_row_ = 0;
    probing_ = false;
  }
  if (probing_ && now - probed_at_ < options_.open_for) return false;
  probing_ = true;
  probed_at_ = now;
  return true;
}

void Breaker::Succeeded(Clock::time_point now) {
  failed_in_row_ = 0;
  if (state_ == State::kClosed) return Count(false, now);
  if (state_ == State::kHalfOpen && probing_) {
    probing_ = false;
    if (++succeeded_in_row_ >= options_.probes) Close();
  }
}

void Breaker::Failed(Clock::time_point now) {
  if (state_ == State::kHalfOpen) return Open(now);
  if (state_ != State::kClosed) return;
  if (++failed_in_row_ >= options_.failures) return Open(now);
  Count(true, now);
}

void Breaker::Open(Clock::time_point now) {
  state_ = State::kOpen;
  opened_at_ = now;
  ++opened_;
  probing_ = false;
}

void Breaker::Close() {
  state_ = State::kClosed;
  failed_in_row_ = 0;
  window_calls_ = 0;
  window_failed_ = 0;
}

void Breaker::Count(bool failed, Clock::time_point now) {
  ++window_calls_;
  if (failed) ++window_failed_;
  if (window_calls_ < options_.window) return;
  const bool too_many = window_failed_ > options_.ratio * window_calls_;
  window_calls_ = 0;
  window_failed_ = 0;
  if (too_many) Open(now);
}

}  // namespace lab::async
