#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "services/cacheapi/model/value.h"
#include "services/cacheapi/model/window.h"
#include "services/cacheapi/origin/origin.h"
#include "services/cacheapi/origin/origin_queue.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"

namespace lab::cacheapi {

// Shadow mode: for a share of the hits the database is asked too, beside the answer, which is never touched by it. So
// the staleness of real traffic is counted instead of believed.
//   cacheapi_shadow_total{outcome}
//     same      the database has the same version; or its change came only after the hit was served, as far as one can
//               tell: what cannot be proven stale is not called so
//     stale     there is a newer version, written before the hit was served (its row's changed_at, which is a moment
//     before
//               the commit); how long before goes into cacheapi_shadow_staleness_seconds (where several were missed:
//               since the latest, so at least so long)
//     differs   the same version with another body (the window moves on while the version stays, so some of these are
//               right), a newer version than the database has, or a brand that the database does not have
//     error     the database did not say
// At most `in_flight` at once, and only while nobody waits for the database: what does not fit is left out and counted
// (cacheapi_shadow_skipped_total). On the loop's thread.
class Shadow {
 public:
  struct Options {
    double share = 0.01;  // 0 … 1 of the hits
    int in_flight = 2;
  };
  enum class Outcome : uint8_t { kSame, kStale, kDiffers, kError };
  struct Comparison {
    Outcome outcome = Outcome::kSame;
    Nanos age{0};  // of kStale
  };
  // The decision alone. `since` is how long ago the hit was served when the database was read.
  static Comparison Compare(const Value& served, const Insight& there, Nanos since);

  Shadow(OriginQueue& queue, const Options& options, obs::Metrics& metrics, uint64_t seed);
  ~Shadow();

  // A hit that is being served.
  void Consider(std::string_view brand, Window window, const Value& served);

  int in_flight() const { return in_flight_; }

 private:
  struct Metrics {
    explicit Metrics(obs::Metrics& metrics);
    obs::Counter& of(Outcome outcome) { return *outcomes[static_cast<size_t>(outcome)]; }
    std::array<obs::Counter*, 4> outcomes;
    obs::Counter& skipped;
    obs::Histogram& staleness;
  };

  OriginQueue& queue_;
  const Options options_;
  Metrics metrics_;
  Random random_;
  int in_flight_ = 0;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
