#include <algorithm>

#include "bench/judge/functions.h"
#include "bench/judge/recovery.h"
#include "bench/judge/selection.h"
#include "services/runtime/base/text.h"

// What a cache spared its database.
namespace lab::bench {
namespace {

constexpr char kOriginReads[] = "cacheapi_origin_reads_total";
constexpr char kKind[] = "cacheapi";

bool IsHit(Answer answer, const std::string& tier) {
  switch (answer) {
    case Answer::kHitLocal:
      return tier == "any" || tier == "l1";
    case Answer::kHitShared:
      return tier == "any" || tier == "l2";
    case Answer::kStale:
      return tier == "any" || tier == "stale";
    default:
      return false;
  }
}

// Of the answered reads; "there is none" from the cache is a hit as well.
Evidence HitRatio(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  const Selection selection = Select(trial, lab, selectors);
  if (!selection.why.empty()) return Evidence::None(selection.why);
  const std::string tier = selectors.Text("tier", "any");
  uint64_t hits = 0, reads = 0;
  for (const Op& op : trial.ops) {
    const bool limited = op.answer == Answer::kLimited || op.answer == Answer::kAdmitted;
    if (op.ask == Ask::kWrite || op.outcome != Outcome::kOk || op.answer == Answer::kNone || limited) continue;
    if (!selection.Within(op)) continue;
    ++reads;
    hits += IsHit(op.answer, tier) ? 1 : 0;
  }
  if (reads == 0) return Evidence::None("the cache answered nothing in that time");
  return Evidence::Of(static_cast<double>(hits) / static_cast<double>(reads), reads);
}

std::string PartOf(const Lab& lab, const Selectors& selectors) {
  if (selectors.Has("part")) return selectors.Text("part");
  for (const PartSpec& part : lab.system) {
    if ((part.kind.empty() ? part.name : part.kind) == kKind) return part.name;
  }
  return kKind;
}

// By the counters of all replicas. They are read once a second: what happens within a second of an edge of the phase
// counts by halves.
Evidence Loads(const Trial& trial, const Lab& lab, const Selectors& selectors, const Selection& selection) {
  const std::string part = PartOf(lab, selectors);
  Evidence sum = Evidence::Of(0, 0);
  for (const auto& [begin_ns, end_ns] : selection.windows_ns) {
    const Evidence loads = IncreaseBetween(trial, part, kOriginReads, static_cast<double>(begin_ns) * 1e-9,
                                           static_cast<double>(end_ns) * 1e-9);
    if (!loads.value) return loads;
    *sum.value += *loads.value;
    sum.samples += loads.samples;
  }
  return sum;
}

Evidence OriginLoads(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  const Selection selection = Select(trial, lab, selectors);
  if (!selection.why.empty()) return Evidence::None(selection.why);
  return Loads(trial, lab, selectors, selection);
}

// How often something expired: as often as a fault took it away in these phases; or, with ttl=, as often as the time to
// live fits into them, for each of `keys` keys that are asked for all the time. (What is loaded anew lives from then
// on, so that it truly happens a little less often; what is refreshed before its time, more often.)
Evidence Expiries(const Trial& trial, const Selectors& selectors, const Selection& selection) {
  if (selectors.Has("ttl")) {
    return Evidence::Of(selection.length_s / selectors.Number("ttl") * selectors.Number("keys", 1), 1);
  }
  uint64_t expiries = 0;
  for (const FaultRecord& fault : trial.faults) {
    if (fault.fault.size() < 7 || !fault.seen_s) continue;
    const std::string action = fault.fault.substr(fault.fault.find('.') + 1);
    if (action != "expire" && action != "delete") continue;
    const int64_t at = ToNanos(*fault.seen_s);
    for (const auto& [begin, end] : selection.windows_ns) expiries += at >= begin && at < end ? 1 : 0;
  }
  if (expiries == 0) return Evidence::None("nothing was seen to expire in that time; give it ttl=");
  return Evidence::Of(static_cast<double>(expiries) * selectors.Number("keys", 1), expiries);
}

Evidence LoadsPerExpiry(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  const Selection selection = Select(trial, lab, selectors);
  if (!selection.why.empty()) return Evidence::None(selection.why);
  const Evidence loads = Loads(trial, lab, selectors, selection);
  if (!loads.value) return loads;
  const Evidence expiries = Expiries(trial, selectors, selection);
  if (!expiries.value) return expiries;
  return Evidence::Of(*loads.value / *expiries.value, loads.samples);
}

}  // namespace

void AddCacheValues(std::vector<Function>& functions) {
  const SelectorSpec phase{"phase", SelectorKind::kPhases};
  const SelectorSpec part{"part", SelectorKind::kPart};
  functions.push_back(Fixed(
      "hit_ratio", Unit::Share(),
      {phase, {"fault", SelectorKind::kFaultPhases}, {"stream", SelectorKind::kStream}, {"tier", SelectorKind::kTier}},
      &HitRatio));
  functions.push_back(Fixed("origin_loads", Unit::Count(), {phase, part}, &OriginLoads));
  functions.push_back(Fixed("loads_per_expiry", Unit::Multiple(),
                            {phase, part, {"ttl", SelectorKind::kTime}, {"keys", SelectorKind::kCount}},
                            &LoadsPerExpiry));
}

}  // namespace lab::bench
