#include "bench/load/check.h"

#include "bench/load/schedule.h"
#include "bench/load/target.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

// As many as the engine takes.
constexpr size_t kMaxArrivals = 5'000'000;

std::string RequestError(const LoadSpec& load, const Target& target) {
  auto lanes = load.lanes;
  if (lanes.empty()) lanes.emplace_back("", RequestFields());
  for (const auto& [lane, own_fields] : lanes) {
    RequestFields fields = load.request;
    for (const auto& [field, value] : own_fields) fields[field] = value;
    const absl::StatusOr<BodyWriter> writer = PrepareRequests(target, fields);
    if (!writer.ok()) {
      return Concat("request", lane.empty() ? "" : " of lane ", lane, ": ", std::string(writer.status().message()));
    }
  }
  return "";
}

std::string ReplayError(const LoadSpec& load, const std::vector<PhaseSpec>& phases) {
  std::vector<Phase> timeline;
  double end_s = 0;
  for (const PhaseSpec& phase : phases) {
    const double begin_s = end_s;
    end_s += std::chrono::duration<double>(phase.length).count();
    timeline.push_back({phase.name, begin_s, end_s});
  }
  const absl::Status status = MakeSchedule(load, timeline, 1, 0, kMaxArrivals).status();
  return status.ok() ? "" : Concat("replay: ", std::string(status.message()));
}

}  // namespace

std::string CheckLoad(const LoadSpec& load, const std::vector<PhaseSpec>& phases) {
  const Target* target = FindTarget(load.api.empty() ? load.target : load.api);
  std::string error = target == nullptr ? "" : RequestError(load, *target);
  if (error.empty() && load.arrivals == Arrivals::kReplay) error = ReplayError(load, phases);
  return error;
}

}  // namespace lab::bench
