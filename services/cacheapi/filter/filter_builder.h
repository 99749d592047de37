#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/cacheapi/filter/bloom.h"
#include "services/cacheapi/origin/origin.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

// The keys of the filter in Redis, on one shard by their tag: what it is of, its bits, the next ones, what was brought.
inline constexpr std::array<std::string_view, 4> kFilterKeys = {"{brands}:filter", "{brands}:filter:bits",
                                                                "{brands}:filter:next", "{brands}:filter:brought"};

// Of PostgreSQL, shared by who creates a brand, taken for a moment by who builds the filter (brand_filter.h, 1 and 2).
inline constexpr int64_t kCreatorsLock = 422825799268;  // "brand", as bytes

// Builds the filter of all brands: begins the next one in Redis, waits for the creators under way, reads the brands in
// pages, brings the bits to Redis in pieces and switches. One replica at a time, for `length` at most; whoever is not
// whole at the end (Redis restarted, another builder) has built nothing. On the loop's thread.
//   cacheapi_bloom_builds_total{outcome=built|busy|failed}, cacheapi_bloom_keys
class FilterBuilder {
 public:
  struct Options {
    int keys = 100'000;
    double false_positives = 0.01;
    Nanos length = std::chrono::seconds(60);
    int page = 1000;
  };
  struct Built {
    BloomFilter filter;
    std::string generation;
  };
  // RESOURCE_EXHAUSTED when somebody else builds; else what went wrong.
  using Done = absl::AnyInvocable<void(absl::StatusOr<Built>)>;

  FilterBuilder(redis::Client& redis, Origin& origin, const Options& options, obs::Metrics& metrics, uint64_t seed);
  ~FilterBuilder();

  // One at a time.
  void Build(Done done);

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;  // shared by the callbacks of its steps
  void Barrier(JobPtr job);
  void Page(JobPtr job, std::string after);
  void Bring(JobPtr job, size_t offset);
  void Switch(JobPtr job);
  void End(Job& job, const absl::Status& status);
  void Step(const redis::Script& script, JobPtr job, absl::Span<const std::string_view> arguments,
            absl::AnyInvocable<void(JobPtr)> then);

  redis::Client& redis_;
  Origin& origin_;
  const Options options_;
  obs::Counter &built_, &busy_, &failed_;
  obs::Gauge& keys_;
  Random random_;
  const std::string owner_;
  uint64_t builds_ = 0;
  const redis::Script begin_, bring_, switch_;
  const pg::Statement barrier_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
