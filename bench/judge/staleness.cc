#include <algorithm>

#include "bench/judge/cache_histories.h"
#include "bench/judge/functions.h"
#include "services/runtime/base/text.h"

// How stale what a cache answered was, by the versions of what it answered (staleness_oracle.h).
namespace lab::bench {
namespace {

constexpr double kLeastWithinS = 1;  // how long after T somebody has to have looked, for a commit to be counted

std::vector<SelectorSpec> Where() {
  return {{"phase", SelectorKind::kPhases}, {"fault", SelectorKind::kFaultPhases}, {"stream", SelectorKind::kStream}};
}

using Take = std::function<Evidence(const Staleness&, const CacheRecord&)>;

Function OfReads(std::string name, Unit unit, Take take) {
  return Fixed(std::move(name), unit, Where(), [take](const Trial& trial, const Lab& lab, const Selectors& selectors) {
    const CacheRecord record = CacheRecordOf(trial, Select(trial, lab, selectors));
    if (!record.why.empty()) return Evidence::None(record.why);
    return take(StalenessOf(record.histories), record);
  });
}

Function OfSessions(std::string name, CountedOffences Staleness::*promise) {
  return OfReads(std::move(name), Unit::Count(), [promise](const Staleness& staleness, const CacheRecord& record) {
    if (record.of_sessions == 0) return Evidence::None("no session read anything; give the load sessions");
    return Evidence::Of(static_cast<double>((staleness.*promise).count), record.of_sessions);
  });
}

Function Inconsistent(std::string name, double InconsistentAfter::*value) {
  std::vector<SelectorSpec> selectors = Where();
  selectors.push_back({"t", SelectorKind::kTime, true});
  selectors.push_back({"within", SelectorKind::kTime});
  const auto evaluate = [value](const Trial& trial, const Lab& lab, const Selectors& given) {
    const CacheRecord record = CacheRecordOf(trial, Select(trial, lab, given));
    if (!record.why.empty()) return Evidence::None(record.why);
    const double t = given.Number("t");
    const double within = given.Number("within", std::max(t, kLeastWithinS));
    const InconsistentAfter after = InconsistentAfterT(record.histories, ToNanos(t), ToNanos(within));
    if (after.probed == 0) return Evidence::None("nobody read a key in time after it had been written");
    return Evidence::Of(after.*value, after.probed);
  };
  return Fixed(std::move(name), Unit::Share(), std::move(selectors), evaluate);
}

}  // namespace

void AddStaleness(std::vector<Function>& functions) {
  functions.push_back(OfReads("stale_reads", Unit::Count(), [](const Staleness& staleness, const CacheRecord&) {
    return Evidence::Of(static_cast<double>(staleness.stale.count), staleness.reads);
  }));
  functions.push_back(OfReads("stale_share", Unit::Share(), [](const Staleness& staleness, const CacheRecord&) {
    return Evidence::Of(staleness.stale_share(), staleness.reads);
  }));
  functions.push_back(OfReads("staleness_p99", Unit::Seconds(), [](const Staleness& staleness, const CacheRecord&) {
    if (staleness.age_p99_s) return Evidence::Of(*staleness.age_p99_s, staleness.reads);
    return Evidence::None(Concat(staleness.reads, " reads are too few for a p99, which takes ", kReadsForP99),
                          staleness.reads);
  }));
  functions.push_back(OfReads("staleness_max", Unit::Seconds(), [](const Staleness& staleness, const CacheRecord&) {
    return Evidence::Of(staleness.age_max_s, staleness.reads);
  }));
  functions.push_back(OfSessions("read_your_writes", &Staleness::read_your_writes));
  functions.push_back(OfSessions("monotonic_reads", &Staleness::monotonic_reads));
  functions.push_back(Inconsistent("inconsistent_after", &InconsistentAfter::share));
  functions.push_back(Inconsistent("inconsistent_at_most", &InconsistentAfter::at_most));
}

}  // namespace lab::bench
