#include "services/runtime/async/backoff.h"

#include <algorithm>

namespace lab::async {
namespace {

constexpr int kMaxDoublings = 20;

Backoff::Options Bounded(Backoff::Options options) {
  options.min = std::max<Nanos>(options.min, Millis(1));
  options.max = std::max(options.max, options.min);
  return options;
}

}  // namespace

Backoff::Backoff(Options options, uint64_t seed) : options_(Bounded(options)), random_(seed) {}

Nanos Backoff::Next(Clock::time_point ready_at, Clock::time_point now) {
  const bool stood = ready_at != Clock::time_point{} && now - ready_at > options_.max;
  failed_ = stood ? 0 : std::min(failed_ + 1, kMaxDoublings);
  const Nanos bound = std::min(options_.max, options_.min * (int64_t{1} << failed_));
  const double spread = random_.Uniform() * static_cast<double>((bound - options_.min).count());
  return options_.min + Nanos(static_cast<int64_t>(spread));
}

}  // namespace lab::async
