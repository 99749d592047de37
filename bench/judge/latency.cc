#include <algorithm>

#include "absl/strings/str_format.h"
#include "bench/judge/functions.h"
#include "bench/judge/selection.h"
#include "bench/model/quantile.h"
#include "services/runtime/base/text.h"

// Latency from the intended time, service time from the sending, and the generator's own lag.
namespace lab::bench {
namespace {

using Times = std::vector<int64_t>;
using Measure = int64_t (Op::*)() const;

struct Sample {
  Times times_ns;
  uint64_t dropped = 0;
};

// Operations that were answered, failed or given up (an unknown one counts with the time until it was given up).
Sample Gather(const Trial& trial, const Selection& selection, Measure measure) {
  Sample sample;
  for (const Op& op : trial.ops) {
    if (!selection.Intended(op)) continue;
    if (op.outcome == Outcome::kDropped) {
      ++sample.dropped;
    } else {
      sample.times_ns.push_back((op.*measure)());
    }
  }
  return sample;
}

// What was never sent has no latency, but would have had a long one: beyond this share of drops, a quantile of the rest
// says nothing about what was offered.
std::string TooManyDrops(const Sample& sample, double allowed) {
  const double all = static_cast<double>(sample.times_ns.size() + sample.dropped);
  const double share = static_cast<double>(sample.dropped) / all;
  if (share <= allowed) return "";
  return absl::StrFormat("%.1f %% of the arrivals were dropped: their latency is not known", share * 100);
}

using Summary = std::function<Evidence(Sample&)>;

Function TimeOf(std::string name, Measure measure, Summary summary) {
  const auto evaluate = [measure, summary](const Trial& trial, const Lab& lab, const Selectors& selectors) {
    const Selection selection = Select(trial, lab, selectors);
    if (!selection.why.empty()) return Evidence::None(selection.why);
    Sample sample = Gather(trial, selection, measure);
    if (sample.times_ns.empty()) {
      return Evidence::None(sample.dropped > 0 ? "every arrival was dropped" : "nothing was offered");
    }
    return summary(sample);
  };
  return Fixed(std::move(name), Unit::Seconds(),
               {{"phase", SelectorKind::kPhases},
                {"after", SelectorKind::kTime},
                {"stream", SelectorKind::kStream},
                {"ops", SelectorKind::kAsk}},
               evaluate);
}

// A quantile needs enough values beyond it to be more than the luck of one: three for most, ten for a p99.9.
Summary AQuantile(double quantile, uint64_t least) {
  return [quantile, least](Sample& sample) {
    const uint64_t count = sample.times_ns.size();
    if (count < least) return Evidence::None(Concat("too few samples: ", count, " of ", least), count);
    const std::string drops = TooManyDrops(sample, 1 - quantile);
    if (!drops.empty()) return Evidence::None(drops, count);
    return Evidence::Of(static_cast<double>(QuantileOf(sample.times_ns, quantile)) * 1e-9, count);
  };
}

Evidence Maximum(Sample& sample) {
  const std::string drops = TooManyDrops(sample, 0.01);
  if (!drops.empty()) return Evidence::None(drops, sample.times_ns.size());
  const int64_t longest = *std::max_element(sample.times_ns.begin(), sample.times_ns.end());
  return Evidence::Of(static_cast<double>(longest) * 1e-9, sample.times_ns.size());
}

Evidence Mean(Sample& sample) {
  const std::string drops = TooManyDrops(sample, 0.01);
  if (!drops.empty()) return Evidence::None(drops, sample.times_ns.size());
  double sum_ns = 0;
  for (const int64_t time : sample.times_ns) sum_ns += static_cast<double>(time);
  return Evidence::Of(sum_ns * 1e-9 / static_cast<double>(sample.times_ns.size()), sample.times_ns.size());
}

void AddFamily(std::vector<Function>& functions, const std::string& prefix, Measure measure) {
  functions.push_back(TimeOf(prefix + "_p50", measure, AQuantile(0.5, 6)));
  functions.push_back(TimeOf(prefix + "_p90", measure, AQuantile(0.9, 30)));
  functions.push_back(TimeOf(prefix + "_p95", measure, AQuantile(0.95, 60)));
  functions.push_back(TimeOf(prefix + "_p99", measure, AQuantile(0.99, 300)));
  functions.push_back(TimeOf(prefix + "_p999", measure, AQuantile(0.999, 10'000)));
  functions.push_back(TimeOf(prefix + "_max", measure, &Maximum));
  functions.push_back(TimeOf(prefix + "_mean", measure, &Mean));
}

}  // namespace

void AddLatencies(std::vector<Function>& functions) {
  AddFamily(functions, "latency", &Op::latency_ns);
  AddFamily(functions, "service", &Op::service_ns);
  functions.push_back(TimeOf("lag_p99", &Op::lag_ns, AQuantile(0.99, 300)));
}

}  // namespace lab::bench
