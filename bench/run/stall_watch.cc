#include "bench/run/stall_watch.h"

namespace lab::bench {
namespace {

constexpr Millis kTurn{20};
constexpr Millis kStall{300};
constexpr size_t kMaxStalls = 1000;

double Seconds(Nanos time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

StallWatch::StallWatch(Clock::time_point zero) : zero_(zero), thread_([this] { Run(); }) {}

StallWatch::~StallWatch() { (void)Stop(); }

std::vector<Stall> StallWatch::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  return stalls_;
}

void StallWatch::Run() {
  std::unique_lock lock(mutex_);
  Clock::time_point looked = Clock::now();
  while (!stopping_) {
    wake_.wait_for(lock, kTurn, [this] { return stopping_; });
    const Clock::time_point now = Clock::now();
    if (now - looked >= kStall && stalls_.size() < kMaxStalls) {
      stalls_.push_back({Seconds(looked - zero_), Seconds(now - looked)});
    }
    looked = now;
  }
}

}  // namespace lab::bench
