#include "services/cacheapi/origin/admission.h"

#include <algorithm>

namespace lab::cacheapi {
namespace {

constexpr double kWeight = 1.0 / 8;

Admission::Options Bounded(Admission::Options options) {
  options.concurrency = std::max(options.concurrency, 1);
  options.max_waiting = std::max(options.max_waiting, 0);
  return options;
}

}  // namespace

Admission::Admission(const Options& options) : options_(Bounded(options)) {}

Admission::Verdict Admission::Arrives(Clock::time_point now, Clock::time_point deadline) const {
  if (options_.shed && now + Expected() > deadline) return Verdict::kTooLate;
  if (waiting_ == 0 && MayGo()) return Verdict::kGo;
  return waiting_ >= options_.max_waiting ? Verdict::kFull : Verdict::kWait;
}

void Admission::Took(Nanos time) {
  const auto took = static_cast<double>(time.count());
  mean_ns_ = mean_ns_ == 0 ? took : mean_ns_ + kWeight * (took - mean_ns_);
}

// While all places are taken, one becomes free each mean / concurrency.
Nanos Admission::Expected() const {
  const bool free = waiting_ == 0 && MayGo();
  const double turns = free ? 0 : static_cast<double>(waiting_ + 1) / options_.concurrency;
  // The first of all, whose time is too short for what a read took lately, goes nevertheless: nothing is ahead of it,
  // and lately may be over.
  if (free && running_ == 0) return Nanos(0);
  return Nanos(static_cast<int64_t>((turns + 1) * mean_ns_));
}

}  // namespace lab::cacheapi
