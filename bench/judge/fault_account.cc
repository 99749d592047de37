#include "bench/judge/fault_account.h"

#include <algorithm>
#include <cmath>

#include "bench/judge/recovery.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr int64_t kStepNs = 100'000'000;    // of a rate
constexpr int64_t kWaveNs = 1'000'000'000;  // of a rate of admissions: fixed windows admit in waves
constexpr double kMissing = 0.1;            // of the normal rate: less is not counted as lost
constexpr double kSigmas = 3;               // of a Poisson count
constexpr int64_t kLevelNs = 10'000'000;    // between two looks at what is in flight
constexpr int64_t kStaysNs = 500'000'000;   // how long it has to stay at its normal level
constexpr double kLeastLevel = 3;           // one more or less in flight is nothing
constexpr char kServed[] = "rpc_server_calls_total";
constexpr char kAttempts[] = "redis_commands_total";

struct Span {
  int64_t begin_ns = 0, end_ns = 0;
};

// When the fault ends, as far as what comes after it is concerned.
std::optional<double> EndOf(const FaultRecord& fault) {
  if (fault.heal_asked_s) return fault.heal_asked_s;
  return fault.seen_s;
}

// The next fault's begin, or the end of the timeline.
double HorizonOf(const Trial& trial, const FaultRecord& fault) {
  double horizon = trial.phases.empty() ? 0 : trial.phases.back().end_s;
  for (const FaultRecord& other : trial.faults) {
    if (&other != &fault && other.asked_s >= fault.asked_s) horizon = std::min(horizon, other.asked_s);
  }
  return horizon;
}

const Phase* NormalPhase(const Trial& trial, const FaultRecord& fault) {
  if (const Phase* steady = FindPhase(trial, "steady")) return steady;
  for (size_t i = 1; i < trial.phases.size(); ++i) {
    if (trial.phases[i].name == fault.phase) return &trial.phases[i - 1];
  }
  return nullptr;
}

struct Lost {
  double operations = 0, seconds = 0;
  uint64_t samples = 0;
};

// By the time of the answer, in steps; the last one, cut by the end, is left out.
Lost LostIn(const Trial& trial, const Selection& streams, const Normal& normal, const Span& span) {
  const int64_t step_ns = normal.of_admitted ? kWaveNs : kStepNs;
  const auto steps = static_cast<size_t>(std::max<int64_t>(0, span.end_ns - span.begin_ns) / step_ns);
  std::vector<double> offered(steps, 0), achieved(steps, 0);
  const auto count = [&](int64_t at_ns, std::vector<double>& counts) {
    if (at_ns < span.begin_ns) return;
    const auto step = static_cast<size_t>((at_ns - span.begin_ns) / step_ns);
    if (step < steps) counts[step] += 1;
  };
  Lost lost;
  for (const Op& op : trial.ops) {
    if (!streams.InStream(op)) continue;
    ++lost.samples;
    count(op.intended_ns, offered);
    if (Counts(op, normal.of_admitted)) count(op.done_ns, achieved);
  }
  for (size_t i = 0; i < steps; ++i) {
    // Where all is answered, what should come is known exactly; how many are admitted, only on average.
    const double due =
        normal.of_admitted ? normal.per_bin * static_cast<double>(step_ns / kStepNs) : normal.share * offered[i];
    const double slack = std::max(kMissing * due, normal.of_admitted ? kSigmas * std::sqrt(due) : 1);
    if (due - achieved[i] <= slack) continue;
    lost.operations += due - achieved[i];
    lost.seconds += static_cast<double>(step_ns) * 1e-9;
  }
  return lost;
}

// How many arrivals wait for their answer at each look, the first at span.begin_ns.
std::vector<double> InFlight(const Trial& trial, const Selection& streams, const Span& span) {
  const auto looks = static_cast<size_t>(std::max<int64_t>(0, span.end_ns - span.begin_ns) / kLevelNs) + 1;
  std::vector<double> change(looks + 1, 0);
  const auto look_after = [&](int64_t at_ns) {  // the first look at or after this moment
    const int64_t since = std::max<int64_t>(0, at_ns - span.begin_ns);
    return std::min(looks, static_cast<size_t>((since + kLevelNs - 1) / kLevelNs));
  };
  for (const Op& op : trial.ops) {
    if (!streams.InStream(op) || op.outcome == Outcome::kDropped || op.done_ns < span.begin_ns) continue;
    change[look_after(op.intended_ns)] += 1;
    change[look_after(op.done_ns)] -= 1;
  }
  std::vector<double> levels;
  double level = 0;
  for (size_t i = 0; i < looks; ++i) levels.push_back(level += change[i]);
  return levels;
}

Evidence Drained(const Trial& trial, const Selection& streams, const Phase& like, const Span& after) {
  const std::vector<double> normal = InFlight(trial, streams, {ToNanos(like.begin_s), ToNanos(like.end_s)});
  const double level = std::max(kLeastLevel, *std::max_element(normal.begin(), normal.end()));
  const std::vector<double> levels = InFlight(trial, streams, after);
  const auto needed = static_cast<size_t>(kStaysNs / kLevelNs);
  if (levels.size() < needed) return Evidence::None("less than 500 ms were left to look at it");
  size_t calm = 0;
  for (size_t i = 0; i < levels.size(); ++i) {
    calm = levels[i] <= level ? calm + 1 : 0;
    if (calm == needed) return Evidence::Of(static_cast<double>((i + 1 - needed) * kLevelNs) * 1e-9, levels.size());
  }
  Evidence late = Evidence::Of(static_cast<double>((levels.size() - needed) * kLevelNs) * 1e-9, levels.size());
  late.at_least = true;
  return late;
}

// Calls of the store for each call served, of the first part that counts both.
Evidence Attempts(const Trial& trial, double begin_s, double end_s) {
  for (const PartInfo& part : trial.parts) {
    const Evidence attempts = IncreaseBetween(trial, part.name, kAttempts, begin_s, end_s);
    const Evidence served = IncreaseBetween(trial, part.name, kServed, begin_s, end_s);
    if (!attempts.value || !served.value) continue;
    if (*served.value <= 0) return Evidence::None(Concat(part.name, " served nothing in that time"));
    return Evidence::Of(*attempts.value / *served.value, static_cast<uint64_t>(*served.value));
  }
  return Evidence::None("no part counts both its requests and its calls of a store in that time");
}

Evidence Between(const std::optional<double>& from, const std::optional<double>& until, const char* why) {
  if (!from || !until) return Evidence::None(why);
  return Evidence::Of(*until - *from, 1);
}

Evidence WithUnit(Evidence evidence, Unit unit) {
  evidence.unit = std::move(unit);
  return evidence;
}

using Names = std::vector<std::pair<const char*, Unit>>;
const Names& AccountNames() {
  static const Names names = {{"detect", Unit::Seconds()},      {"heal", Unit::Seconds()},
                              {"right_again", Unit::Seconds()}, {"goodput_lost", Unit::Count()},
                              {"lost_time", Unit::Seconds()},   {"attempts", Unit::Multiple()},
                              {"drained", Unit::Seconds()}};
  return names;
}

Evidence OfAccount(const std::string& name, const Trial& trial, const Lab& lab, const Selectors& selectors) {
  const Selection streams = Select(trial, lab, Selectors({{"stream", selectors.Text("stream"), 0}}));
  if (!streams.why.empty()) return Evidence::None(streams.why);
  Evidence worst = Evidence::None(Concat("no fault began in ", selectors.Text("phase")));
  bool cut_off = false;
  for (const std::string& phase : selectors.Names("phase")) {
    for (const FaultRecord& fault : trial.faults) {
      if (fault.phase != phase) continue;
      const Phase* like = selectors.Has("like") ? FindPhase(trial, selectors.Text("like")) : NormalPhase(trial, fault);
      for (const auto& [known, value] : AccountOf(trial, streams, fault, like)) {
        if (known != name) continue;
        if (!value.value) return value;
        cut_off = cut_off || value.at_least;
        if (!worst.value || *value.value > *worst.value) worst = value;
      }
    }
  }
  worst.at_least = cut_off;
  return worst;
}

}  // namespace

Account AccountOf(const Trial& trial, const Selection& streams, const FaultRecord& fault, const Phase* like) {
  Evidence again, lost, lost_time, attempts, drained;
  again.why = "there is no phase before it to compare with";
  const std::optional<Normal> normal = like == nullptr ? std::nullopt : NormalOf(trial, streams, *like);
  if (like != nullptr && !normal) again.why = Concat("nothing was answered in ", like->name);
  lost = lost_time = drained = again;
  const std::optional<double> end_s = EndOf(fault);
  const double horizon_s = HorizonOf(trial, fault);
  const Span after{ToNanos(end_s.value_or(0)), ToNanos(horizon_s)};
  if (normal) {
    const Lost area = LostIn(trial, streams, *normal, {ToNanos(fault.asked_s), ToNanos(horizon_s)});
    lost = Evidence::Of(area.operations, area.samples);
    lost_time = Evidence::Of(area.seconds, area.samples);
    again = drained = Evidence::None("it has no end");
    if (end_s) {
      again = RightAgain(trial, streams, *normal, after.begin_ns, after.end_ns, "what was left until the next fault");
      drained = Drained(trial, streams, *like, after);
    }
  }
  attempts = end_s ? Attempts(trial, fault.asked_s, *end_s) : Evidence::None("it has no end");
  const Evidence values[] = {Between(fault.asked_s, fault.seen_s, "it was never seen"),
                             Between(fault.heal_asked_s, fault.healed_s, "a blow has no end to wait for"),
                             again,
                             lost,
                             lost_time,
                             attempts,
                             drained};
  Account account;
  for (size_t i = 0; i < AccountNames().size(); ++i) {
    account.emplace_back(AccountNames()[i].first, WithUnit(values[i], AccountNames()[i].second));
  }
  return account;
}

std::vector<RecoveryAccount> AccountsOf(const Lab& lab, const std::vector<VariantEvidence>& all) {
  std::vector<RecoveryAccount> accounts;
  for (const VariantEvidence& variant : all) {
    std::vector<std::pair<const FaultRecord*, std::vector<Account>>> faults;  // by id, in the order of the first trial
    for (const TrialEvidence& repeat : variant.repeats) {
      if (!repeat.unfit.empty()) continue;
      const Selection streams = Select(*repeat.trial, lab, Selectors(std::vector<Selector>()));
      if (!streams.why.empty()) continue;
      for (const FaultRecord& fault : repeat.trial->faults) {
        auto known = std::find_if(faults.begin(), faults.end(),
                                  [&](const auto& candidate) { return candidate.first->id == fault.id; });
        if (known == faults.end()) known = faults.insert(faults.end(), {&fault, {}});
        known->second.push_back(AccountOf(*repeat.trial, streams, fault, NormalPhase(*repeat.trial, fault)));
      }
    }
    for (const auto& [fault, repeats] : faults) {
      RecoveryAccount account{variant.name, fault->id, fault->phase, {}};
      for (size_t i = 0; i < AccountNames().size(); ++i) {
        std::vector<Evidence> list;
        for (const Account& repeat : repeats) list.push_back(repeat[i].second);
        const Evidence median = MedianOf(std::move(list), repeats.size());
        account.values.push_back({variant.name, AccountNames()[i].first, median.value, AccountNames()[i].second.label,
                                  median.samples, median.why, median.at_least});
      }
      accounts.push_back(std::move(account));
    }
  }
  // All variants of a fault together: that is what is compared.
  std::vector<std::string> order;
  for (const RecoveryAccount& account : accounts) {
    if (std::find(order.begin(), order.end(), account.fault) == order.end()) order.push_back(account.fault);
  }
  const auto place = [&](const RecoveryAccount& account) {
    return std::find(order.begin(), order.end(), account.fault) - order.begin();
  };
  std::stable_sort(accounts.begin(), accounts.end(),
                   [&](const RecoveryAccount& a, const RecoveryAccount& b) { return place(a) < place(b); });
  return accounts;
}

void AddFaultAccounts(std::vector<Function>& functions) {
  for (const auto& [name, unit] : AccountNames()) {
    if (std::string(name) == "detect") continue;  // recovery.cc has it
    functions.push_back(Fixed(name, unit,
                              {{"phase", SelectorKind::kFaultPhases, true},
                               {"like", SelectorKind::kPhase},
                               {"stream", SelectorKind::kStream}},
                              [of = std::string(name)](const Trial& trial, const Lab& lab, const Selectors& selectors) {
                                return OfAccount(of, trial, lab, selectors);
                              }));
  }
}

}  // namespace lab::bench
