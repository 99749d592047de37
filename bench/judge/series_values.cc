#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "bench/judge/functions.h"
#include "bench/judge/recovery.h"
#include "bench/judge/selection.h"
#include "services/runtime/base/text.h"

// Values from what the parts reported of themselves: metrics, CPU, memory, final reads.
namespace lab::bench {
namespace {

// Series are sampled once a second. Two samples further apart than this have a hole between them, about which nothing
// is known. Where a phase's edge is not between two samples, one this near stands for it.
constexpr double kHoleS = 2.5;
constexpr double kNearS = 1.5;

using Samples = std::vector<std::pair<double, double>>;

const std::set<std::string>& Reserved() {
  static const std::set<std::string> names = {"part", "name", "phase", "as", "unit"};
  return names;
}

// "ratelimit" stands for its replicas "ratelimit-1", "ratelimit-2" too.
bool IsPart(const std::string& series, const std::string& wanted) {
  if (series == wanted) return true;
  const size_t length = wanted.size();
  return series.size() > length + 1 && series.compare(0, length, wanted) == 0 &&
         (series[length] == '-' || series[length] == '#') &&
         std::isdigit(static_cast<unsigned char>(series[length + 1]));
}

std::vector<const Series*> Matching(const Trial& trial, const Selectors& selectors, const std::string& name) {
  std::vector<const Series*> matching;
  for (const Series& series : trial.series) {
    if (!IsPart(series.part, selectors.Text("part")) || series.name != name) continue;
    bool same = true;
    for (const auto& [label, value] : selectors.all()) {
      if (Reserved().contains(label)) continue;
      const auto found = series.labels.find(label);
      same = same && found != series.labels.end() && found->second == value;
    }
    if (same && !series.samples.empty()) matching.push_back(&series);
  }
  return matching;
}

// A counter without its resets: a part that restarts counts from 0 again.
Samples WithoutResets(const Samples& samples) {
  Samples total;
  double base = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (i > 0 && samples[i].second < samples[i - 1].second) base += samples[i - 1].second;
    total.emplace_back(samples[i].first, base + samples[i].second);
  }
  return total;
}

// The value at a moment: between two samples in proportion, none in a hole; before the first and after the last sample
// that one, if it is near.
std::optional<double> At(const Samples& samples, double at_s) {
  const auto after = std::lower_bound(samples.begin(), samples.end(), at_s,
                                      [](const auto& sample, double time) { return sample.first < time; });
  if (after != samples.end() && after != samples.begin()) {
    const auto before = after - 1;
    if (after->first == at_s) return after->second;
    if (after->first - before->first > kHoleS) return std::nullopt;
    const double share = (at_s - before->first) / (after->first - before->first);
    return before->second + share * (after->second - before->second);
  }
  const auto& nearest = after == samples.end() ? samples.back() : samples.front();
  if (std::abs(nearest.first - at_s) > kNearS) return std::nullopt;
  return nearest.second;
}

// One increase over all windows of the selection and all series.
Evidence Increase(const std::vector<const Series*>& list, const Selection& selection) {
  double sum = 0;
  uint64_t samples = 0;
  for (const Series* series : list) {
    const Samples total = WithoutResets(series->samples);
    for (const auto& [begin_ns, end_ns] : selection.windows_ns) {
      const std::optional<double> first = At(total, static_cast<double>(begin_ns) * 1e-9);
      const std::optional<double> last = At(total, static_cast<double>(end_ns) * 1e-9);
      if (!first || !last) return Evidence::None(Concat(series->name, " of ", series->part, " was not read then"));
      sum += *last - *first;
    }
    samples += series->samples.size();
  }
  return Evidence::Of(sum, samples);
}

// The sum of the series at these moments.
std::vector<double> SumsAt(const std::vector<const Series*>& list, const std::set<double>& moments, std::string* why) {
  std::vector<double> sums;
  for (const double moment : moments) {
    double sum = 0;
    for (const Series* series : list) {
      const std::optional<double> value = At(series->samples, moment);
      if (!value) {
        *why = Concat(series->name, " of ", series->part, " was not read then");
        return {};
      }
      sum += *value;
    }
    sums.push_back(sum);
  }
  return sums;
}

// The same at each moment of the selected time at which one of them was read, with its edges.
std::vector<double> SumsOver(const std::vector<const Series*>& list, const Selection& selection, std::string* why) {
  std::vector<double> sums;
  for (const auto& [begin_ns, end_ns] : selection.windows_ns) {
    const double begin_s = static_cast<double>(begin_ns) * 1e-9;
    const double end_s = static_cast<double>(end_ns) * 1e-9;
    std::set<double> moments = {begin_s, end_s};
    for (const Series* series : list) {
      for (const auto& [at_s, value] : series->samples) {
        if (at_s > begin_s && at_s < end_s) moments.insert(at_s);
      }
    }
    double before_s = begin_s;
    for (const double moment : moments) {
      if (moment - before_s > kHoleS)
        *why = Concat(list.front()->name, " was not read for ", kHoleS, " s of that time");
      before_s = moment;
    }
    const std::vector<double> these = SumsAt(list, moments, why);
    sums.insert(sums.end(), these.begin(), these.end());
    if (!why->empty()) return {};
  }
  return sums;
}

Evidence Summarize(const std::vector<const Series*>& list, const Selection& selection, const std::string& as) {
  if (as == "rate" || as == "delta") {
    Evidence increase = Increase(list, selection);
    if (increase.value && as == "rate") *increase.value /= selection.length_s;
    return increase;
  }
  std::string why;
  const double end_s = static_cast<double>(selection.windows_ns.back().second) * 1e-9;
  const std::vector<double> sums = as == "last" ? SumsAt(list, {end_s}, &why) : SumsOver(list, selection, &why);
  if (!why.empty()) return Evidence::None(why);
  double value = sums.back();
  if (as == "max") value = *std::max_element(sums.begin(), sums.end());
  if (as == "min") value = *std::min_element(sums.begin(), sums.end());
  if (as == "mean") {
    value = 0;
    for (const double sum : sums) value += sum / static_cast<double>(sums.size());
  }
  return Evidence::Of(value, sums.size());
}

// The selection by phase alone: series have no streams.
Selection Times(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  std::vector<Selector> phase;
  if (selectors.Has("phase")) phase.push_back({"phase", selectors.Text("phase"), 0});
  return Select(trial, lab, Selectors(phase));
}

Evidence OfSeries(const Trial& trial, const Lab& lab, const Selectors& selectors, const std::string& name,
                  const std::string& as) {
  const Selection times = Times(trial, lab, selectors);
  if (!times.why.empty()) return Evidence::None(times.why);
  const std::vector<const Series*> list = Matching(trial, selectors, name);
  if (list.empty()) return Evidence::None(Concat(selectors.Text("part"), " reported no ", name));
  return Summarize(list, times, as);
}

Evidence Metric(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  return OfSeries(trial, lab, selectors, selectors.Text("name"), selectors.Text("as", "last"));
}

Evidence Cpu(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  return OfSeries(trial, lab, selectors, "process_cpu_seconds_total", "rate");
}

Evidence CpuPerOp(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  Evidence cpu = OfSeries(trial, lab, selectors, "process_cpu_seconds_total", "delta");
  if (!cpu.value) return cpu;
  const Selection times = Times(trial, lab, selectors);
  uint64_t answered = 0;
  for (const Op& op : trial.ops) {
    if (op.outcome == Outcome::kOk && times.Intended(op)) ++answered;
  }
  if (answered == 0) return Evidence::None("nothing was answered in that time");
  return Evidence::Of(*cpu.value / static_cast<double>(answered), answered);
}

constexpr char kMemory[] = "process_resident_memory_bytes";

Evidence MemoryMax(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  return OfSeries(trial, lab, selectors, kMemory, "max");
}

Evidence MemoryGrowth(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  const Selection times = Times(trial, lab, selectors);
  if (!times.why.empty()) return Evidence::None(times.why);
  const std::vector<const Series*> list = Matching(trial, selectors, kMemory);
  if (list.empty()) return Evidence::None(Concat(selectors.Text("part"), " reported no ", kMemory));
  std::string why;
  const std::vector<double> sums = SumsOver(list, times, &why);
  if (!why.empty()) return Evidence::None(why);
  return Evidence::Of(*std::max_element(sums.begin(), sums.end()) - sums.front(), sums.size());
}

Evidence Final(const Trial& trial, const Lab&, const Selectors& selectors) {
  const auto found = trial.finals.find(selectors.Text("name"));
  if (found == trial.finals.end()) return Evidence::None(Concat("there was no final read of ", selectors.Text("name")));
  return Evidence::Of(found->second, 1);
}

bool Contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// From unit=, else from the name, as metrics are named: base units last, and _total behind them.
Unit UnitOfName(const Selectors& selectors) {
  const std::string unit = selectors.Text("unit");
  if (unit == "s") return Unit::Seconds();
  if (unit == "1/s") return Unit::Rate();
  if (unit == "bytes") return Unit::Bytes();
  if (unit == "cores") return Unit::Cores();
  if (unit == "none") return Unit::Plain();
  const std::string name = selectors.Text("name");
  if (Contains(name, "_bytes") || Contains(name, "memory")) return Unit::Bytes();
  if (Contains(name, "_seconds")) return Unit::Seconds();
  return Unit::Plain();
}

Unit MetricUnit(const Selectors& selectors) {
  const Unit unit = UnitOfName(selectors);
  if (selectors.Text("as") != "rate" || selectors.Has("unit")) return unit;
  if (unit.SameKind(Unit::Seconds())) return Unit::Cores();  // seconds of CPU a second
  return Divide(unit, Unit::Seconds());
}

}  // namespace

Evidence IncreaseBetween(const Trial& trial, const std::string& part, const std::string& name, double begin_s,
                         double end_s) {
  const std::vector<const Series*> list = Matching(trial, Selectors({{"part", part, 0}}), name);
  if (list.empty()) return Evidence::None(Concat(part, " reported no ", name));
  Selection times;
  times.windows_ns = {{ToNanos(begin_s), ToNanos(end_s)}};
  return Increase(list, times);
}

void AddSeriesValues(std::vector<Function>& functions) {
  const SelectorSpec part{"part", SelectorKind::kPart, true};
  const SelectorSpec phase{"phase", SelectorKind::kPhases};
  const SelectorSpec name{"name", SelectorKind::kText, true};
  const SelectorSpec unit{"unit", SelectorKind::kUnit};
  functions.push_back({"metric", {part, name, phase, {"as", SelectorKind::kAs}, unit}, true, &MetricUnit, &Metric});
  functions.push_back(Fixed("cpu", Unit::Cores(), {part, phase}, &Cpu));
  functions.push_back(Fixed("cpu_per_op", Unit::Seconds(), {part, phase}, &CpuPerOp));
  functions.push_back(Fixed("memory_max", Unit::Bytes(), {part, phase}, &MemoryMax));
  functions.push_back(Fixed("memory_growth", Unit::Bytes(), {part, phase}, &MemoryGrowth));
  functions.push_back({"final", {name, unit}, false, &UnitOfName, &Final});
}

}  // namespace lab::bench
