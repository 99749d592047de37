#include "services/cacheapi/read/shadow.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace lab::cacheapi {
namespace {

constexpr Nanos kPatience = std::chrono::seconds(5);

// 1 ms … an hour, in seconds.
const std::vector<double>& AgeBuckets() {
  static const std::vector<double> buckets = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 300, 900, 3600};
  return buckets;
}

}  // namespace

Shadow::Comparison Shadow::Compare(const Value& served, const Insight& there, Nanos since) {
  if (served.negative && !there.exists) return {};
  if (!there.exists || there.version < served.version) return {Outcome::kDiffers};
  if (there.version == served.version) return {there.body == served.body ? Outcome::kSame : Outcome::kDiffers};
  const Nanos age = there.changed_ago - since;
  return age > Nanos(0) ? Comparison{Outcome::kStale, age} : Comparison{};
}

Shadow::Metrics::Metrics(obs::Metrics& m)
    : skipped(
          m.AddCounter("cacheapi_shadow_skipped_total", "Hits that were to be compared, but too much was under way")),
      staleness(m.AddHistogram("cacheapi_shadow_staleness_seconds", "Age of what was served stale, as far as seen",
                               AgeBuckets())) {
  constexpr const char* kNames[] = {"same", "stale", "differs", "error"};
  for (size_t i = 0; i < outcomes.size(); ++i) {
    outcomes[i] = &m.AddCounter("cacheapi_shadow_total", "Hits compared with the database", {{"outcome", kNames[i]}});
  }
}

Shadow::Shadow(OriginQueue& queue, const Options& options, obs::Metrics& metrics, uint64_t seed)
    : queue_(queue), options_(options), metrics_(metrics), random_(seed), alive_(std::make_shared<bool>(true)) {}

Shadow::~Shadow() { *alive_ = false; }

void Shadow::Consider(std::string_view brand, Window window, const Value& served) {
  if (random_.Uniform() >= options_.share) return;
  if (in_flight_ >= options_.in_flight || !queue_.idle()) return metrics_.skipped.Increment();
  ++in_flight_;
  const Clock::time_point now = Clock::now();
  queue_.Read(brand, window, now + kPatience, nullptr,
              [this, alive = alive_, now, served](const absl::StatusOr<Insight>& there) {
                if (!*alive) return;
                --in_flight_;
                if (!there.ok()) return metrics_.of(Outcome::kError).Increment();
                // `changed_ago` was true some time before this answer came: the age is never made too large by that.
                const Comparison found = Compare(served, *there, Clock::now() - now);
                metrics_.of(found.outcome).Increment();
                if (found.outcome == Outcome::kStale) {
                  metrics_.staleness.Observe(std::chrono::duration<double>(found.age).count());
                }
              });
}

}  // namespace lab::cacheapi
