#include "bench/load/active_load.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "bench/load/schedule.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

absl::Status WrongLoad(const LoadSpec& spec, std::string_view what) {
  return absl::InvalidArgumentError(Concat("load \"", spec.name, "\": ", what));
}

absl::StatusOr<std::vector<Lane>> PrepareLanes(const LoadSpec& spec, const Target& target, uint64_t seed) {
  auto declared = spec.lanes;
  if (declared.empty()) declared.push_back({spec.name, {}});
  std::vector<Lane> lanes;
  for (const auto& [name, own_fields] : declared) {
    RequestFields fields = spec.request;
    for (const auto& [field, value] : own_fields) fields[field] = value;
    absl::StatusOr<BodyWriter> writer = PrepareRequests(target, fields);
    if (!writer.ok()) return WrongLoad(spec, std::string(writer.status().message()));
    lanes.push_back({name, 0, RequestCache(target, *std::move(writer), spec.keys.count), std::nullopt,
                     PrepareMixture(target, fields)});
    if (spec.arrivals != Arrivals::kClosed) continue;
    ClosedClients clients{KeySampler(spec.keys, SeedFor(seed, spec.name, "keys")), {}};
    for (int i = 0; i < spec.closed_clients; ++i) clients.ready_at.push(0);
    lanes.back().closed = std::move(clients);
  }
  return lanes;
}

// What planned and endless loads have in common.
absl::StatusOr<ActiveLoad> PrepareTarget(const LoadSpec& spec, uint64_t seed) {
  ActiveLoad load;
  load.spec = &spec;
  const std::string& api = spec.api.empty() ? spec.target : spec.api;  // a part may be called differently
  load.target = FindTarget(api);
  load.timeout_ns = spec.timeout.count();
  load.retries = RetryBudget(spec.retries.budget);
  if (load.target == nullptr) return TargetEndpoint(api).status();
  if (load.timeout_ns <= 0) return WrongLoad(spec, "the timeout must be above 0");
  if (spec.keys.count == 0) return WrongLoad(spec, "needs at least one key");
  absl::StatusOr<std::vector<Lane>> lanes = PrepareLanes(spec, *load.target, seed);
  if (!lanes.ok()) return lanes.status();
  load.lanes = *std::move(lanes);
  load.questions = SeedFor(seed, spec.name, "questions");
  load.unique = absl::StrFormat("%x-%x", std::chrono::system_clock::now().time_since_epoch().count(), getpid());
  return load;
}

}  // namespace

absl::StatusOr<ActiveLoad> PrepareLoad(const LoadSpec& spec, const std::vector<Phase>& phases, uint64_t seed,
                                       int64_t start_unix_ns, size_t max_ops) {
  absl::StatusOr<ActiveLoad> load = PrepareTarget(spec, seed);
  if (!load.ok() || spec.arrivals == Arrivals::kClosed) return load;
  absl::StatusOr<std::vector<Arrival>> schedule =
      MakeSchedule(spec, phases, seed, start_unix_ns, max_ops / load->lanes.size());
  if (!schedule.ok()) return schedule.status();
  load->ops.Reserve(schedule->size() * load->lanes.size());
  load->schedule = std::make_shared<const std::vector<Arrival>>(*std::move(schedule));
  return load;
}

absl::StatusOr<ActiveLoad> PrepareEndlessLoad(const LoadSpec& spec, uint64_t seed) {
  if (absl::Status possible = CheckEndless(spec); !possible.ok()) return possible;
  absl::StatusOr<ActiveLoad> load = PrepareTarget(spec, seed);
  if (!load.ok()) return load;
  load->endless.emplace(spec, seed);
  load->ops.KeepOnlyInFlight();
  return load;
}

double OfferedPerSecond(const ActiveLoad& load, double length_s) {
  if (load.endless) return load.endless->per_s();
  if (load.schedule == nullptr) return 0;
  const LoadSpec& spec = *load.spec;
  const bool steady = spec.arrivals == Arrivals::kConstant || spec.arrivals == Arrivals::kPoisson;
  if (steady && spec.rate.by_phase.empty() && spec.bursts.empty()) return spec.rate.per_s;
  return length_s > 0 ? static_cast<double>(load.schedule->size()) / length_s : 0;
}

}  // namespace lab::bench
