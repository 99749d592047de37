#include "bench/load/schedule.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bench/load/keys.h"
#include "bench/load/rate_curve.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr size_t kMaxReplayBytes = 256 << 20;

absl::Status TooMany(const LoadSpec& load, size_t max_arrivals) {
  return absl::ResourceExhaustedError(Concat("load \"", load.name, "\" schedules more than ", max_arrivals,
                                             " arrivals; lower its rate or shorten the phases"));
}

absl::StatusOr<std::vector<Arrival>> AlongRate(const LoadSpec& load, const std::vector<Phase>& phases, uint64_t seed,
                                               size_t max_arrivals) {
  if (UsesKnee(load)) {
    return absl::FailedPreconditionError(
        Concat("load \"", load.name, "\" is a share of the knee, which has not been measured"));
  }
  RateArrivals times(RateCurve(load, phases), load.arrivals == Arrivals::kConstant,
                     SeedFor(seed, load.name, "arrivals"));
  KeySampler keys(load.keys, SeedFor(seed, load.name, "keys"));
  std::vector<Arrival> arrivals;
  while (const std::optional<int64_t> at = times.Next()) {
    if (arrivals.size() == max_arrivals) return TooMany(load, max_arrivals);
    arrivals.push_back({*at, keys.Next()});
  }
  return arrivals;
}

absl::StatusOr<std::vector<Arrival>> FromFile(const LoadSpec& load, const std::vector<Phase>& phases, uint64_t seed,
                                              size_t max_arrivals) {
  const absl::StatusOr<std::string> text = ReadFile(load.replay_file, kMaxReplayBytes);
  if (!text.ok()) return text.status();
  const auto end_ns = static_cast<int64_t>((phases.empty() ? 0 : phases.back().end_s) * 1e9);
  KeySampler keys(load.keys, SeedFor(seed, load.name, "keys"));
  std::vector<Arrival> arrivals;
  int line = 0;
  for (absl::string_view row : absl::StrSplit(*text, '\n')) {
    ++line;
    row = absl::StripAsciiWhitespace(row);
    if (row.empty() || row.front() == '#') continue;
    const auto wrong = [&](std::string_view what) {
      return absl::InvalidArgumentError(Concat(load.replay_file, ":", line, ": ", what));
    };
    const size_t comma = row.find(',');
    double at_s = 0;
    if (!absl::SimpleAtod(row.substr(0, comma), &at_s) || !(at_s >= 0) || at_s > 1e6) {
      return wrong("write \"seconds\" or \"seconds,key\"");
    }
    Arrival arrival{static_cast<int64_t>(at_s * 1e9), 0};
    if (comma == absl::string_view::npos) {
      arrival.key = keys.Next();
    } else if (!absl::SimpleAtoi(row.substr(comma + 1), &arrival.key) || arrival.key >= load.keys.count) {
      return wrong(Concat("the key is a number below ", load.keys.count));
    }
    if (!arrivals.empty() && arrival.intended_ns < arrivals.back().intended_ns) return wrong("goes back in time");
    if (arrival.intended_ns >= end_ns) break;
    if (arrivals.size() == max_arrivals) return TooMany(load, max_arrivals);
    arrivals.push_back(arrival);
  }
  return arrivals;
}

// The instants of a burst pattern within its phase, ascending.
std::vector<int64_t> BurstTimes(const BurstSpec& burst, const Phase& phase, int64_t start_unix_ns) {
  const auto begin_ns = static_cast<int64_t>(phase.begin_s * 1e9);
  const auto end_ns = static_cast<int64_t>(phase.end_s * 1e9);
  const int64_t period_ns = burst.every.count();
  std::vector<int64_t> times;
  const int64_t first_period = (start_unix_ns + begin_ns) / period_ns;
  const int64_t last_period = (start_unix_ns + end_ns) / period_ns;
  for (int64_t period = first_period; period <= last_period; ++period) {
    for (const double place : burst.at) {
      const auto into = static_cast<int64_t>(std::llround(place * static_cast<double>(period_ns)));
      const int64_t at = period * period_ns + into - start_unix_ns;
      if (at >= begin_ns && at < end_ns) times.push_back(at);
    }
  }
  std::sort(times.begin(), times.end());
  return times;
}

absl::Status AddBursts(const LoadSpec& load, const std::vector<Phase>& phases, int64_t start_unix_ns,
                       size_t max_arrivals, std::vector<Arrival>* arrivals) {
  const int64_t gap_ns = kBurstGapNs * static_cast<int64_t>(std::max<size_t>(load.lanes.size(), 1));
  for (const BurstSpec& burst : load.bursts) {
    if (burst.every.count() <= 0) {
      return absl::InvalidArgumentError(Concat("load \"", load.name, "\": a burst needs a period"));
    }
    for (const Phase& phase : phases) {
      if (phase.name != burst.phase) continue;
      for (const int64_t begin_ns : BurstTimes(burst, phase, start_unix_ns)) {
        const size_t size = size_t{load.keys.count} * burst.count;
        if (size > max_arrivals - arrivals->size()) return TooMany(load, max_arrivals);
        for (size_t i = 0; i < size; ++i) {
          arrivals->push_back({begin_ns + static_cast<int64_t>(i) * gap_ns, static_cast<uint32_t>(i / burst.count)});
        }
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Arrival>> MakeSchedule(const LoadSpec& load, const std::vector<Phase>& phases, uint64_t seed,
                                                  int64_t start_unix_ns, size_t max_arrivals) {
  if (load.arrivals == Arrivals::kClosed) return std::vector<Arrival>();
  absl::StatusOr<std::vector<Arrival>> arrivals = load.arrivals == Arrivals::kReplay
                                                      ? FromFile(load, phases, seed, max_arrivals)
                                                      : AlongRate(load, phases, seed, max_arrivals);
  if (!arrivals.ok()) return arrivals;
  const absl::Status added = AddBursts(load, phases, start_unix_ns, max_arrivals, &*arrivals);
  if (!added.ok()) return added;
  std::stable_sort(arrivals->begin(), arrivals->end(),
                   [](const Arrival& a, const Arrival& b) { return a.intended_ns < b.intended_ns; });
  return arrivals;
}

uint64_t SeedFor(uint64_t seed, const std::string& load, const std::string& purpose) {
  uint64_t mixed = Mix(seed);
  for (const char c : load + '\0' + purpose) mixed = Mix(mixed ^ static_cast<unsigned char>(c));
  return mixed;
}

}  // namespace lab::bench
