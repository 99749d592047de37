// What the engine does before t = 0: schedules, drivers, connections.

#include <algorithm>
#include <utility>

#include "bench/load/engine.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kConnectNs = 3'000 * kMillisecond;
constexpr int64_t kGraceNs = 10'000 * kMillisecond;  // after everything must have been sent and answered

}  // namespace

absl::Status Engine::Connect() {
  if (absl::Status status = Prepare(); !status.ok()) return status;
  for (auto& [name, driver] : drivers_) driver->Open();
  return AwaitConnections();
}

absl::Status Engine::Prepare() {
  const double end_s = options_.phases.empty() ? 0 : options_.phases.back().end_s;
  end_ = static_cast<int64_t>(end_s * 1e9);
  last_possible_end_ = end_ + kGraceNs;
  if (options_.endless) end_ = last_possible_end_ = INT64_MAX;
  size_t ops_left = options_.max_ops;
  for (const LoadSpec& spec : options_.loads) {
    absl::StatusOr<ActiveLoad> load = PrepareOne(spec, ops_left);
    if (!load.ok()) return load.status();
    if (load->schedule != nullptr) ops_left -= load->schedule->size() * load->lanes.size();
    load->index = static_cast<uint16_t>(loads_.size());
    if (!drivers_.contains(spec.target)) {
      const auto endpoints = options_.endpoints.find(spec.target);
      absl::StatusOr<std::unique_ptr<Driver>> driver = MakeDriver(
          *load->target, endpoints == options_.endpoints.end() ? std::vector<std::string>() : endpoints->second,
          poller_, *this);
      if (!driver.ok()) return driver.status();
      drivers_[spec.target] = *std::move(driver);
    }
    load->driver = drivers_[spec.target].get();
    if (!options_.endless) {
      const bool scheduled = load->schedule != nullptr && !load->schedule->empty();
      const int64_t last_sent = std::max(end_, scheduled ? load->schedule->back().intended_ns : 0);
      last_possible_end_ =
          std::max(last_possible_end_, last_sent + spec.retries.attempts * load->timeout_ns + kGraceNs);
    }
    for (Lane& lane : load->lanes) {
      lane.stream = static_cast<uint16_t>(streams_.size());
      streams_.push_back(
          {lane.name, spec.target, spec.keys.count, OfferedPerSecond(*load, end_s), spec.name, load->schedule});
    }
    loads_.push_back(*std::move(load));
  }
  return absl::OkStatus();
}

absl::StatusOr<ActiveLoad> Engine::PrepareOne(const LoadSpec& spec, size_t max_ops) const {
  if (options_.endless) return PrepareEndlessLoad(spec, options_.seed);
  return PrepareLoad(spec, options_.phases, options_.seed, options_.start_unix_ns, max_ops);
}

absl::Status Engine::AwaitConnections() {
  const int64_t deadline = MonotonicNow() + kConnectNs;
  for (auto& [name, driver] : drivers_) {
    while (!driver->Ready()) {
      const auto failed = [&, &target = name](std::string_view why) {
        return absl::UnavailableError(Concat("cannot load ", target, ": ", why));
      };
      if (!driver->problem().ok()) return failed(std::string(driver->problem().message()));
      if (stop_.load()) return failed("stopped");
      if (MonotonicNow() > deadline) return failed("connected, but no HTTP/2 answer within 3 s");
      poller_.Wait(10 * kMillisecond);
      driver->Flush();
    }
  }
  return absl::OkStatus();
}

}  // namespace lab::bench
