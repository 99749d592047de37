#pragma once

#include <array>

#include "services/ratelimit/rules.h"
#include "services/runtime/obs/metrics.h"

namespace lab::ratelimit {

// The handles, made at start. No label depends on a key: hot keys are on /debug/hot-keys.
struct Metrics {
  explicit Metrics(obs::Metrics& registry);

  obs::Counter& ok;
  obs::Counter& over_limit;
  obs::Counter& shadow;   // passed only because a rule is in shadow
  obs::Counter& no_rule;  // no descriptor has a limit
  obs::Counter& refused;  // not a question: empty, too large, or an override that makes no sense
  obs::Histogram& decision_duration;
  std::array<obs::Counter*, 3> store_failures;  // requests, by the policy that decided them
  obs::Counter& coalesced_requests;
  obs::Counter& leased;  // requests decided by a lease
  obs::Counter& leases;  // questions for one
  obs::Counter& batches;
  obs::Histogram& batch_requests;
  obs::Counter& reloads_ok;
  obs::Counter& reloads_failed;
  obs::Gauge& rules_loaded_timestamp;
  obs::Gauge& rules_stale;
};

}  // namespace lab::ratelimit
