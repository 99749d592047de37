#include "services/ratelimit/metrics.h"

namespace lab::ratelimit {

namespace {

obs::Counter& Decisions(obs::Metrics& registry, const char* outcome) {
  return registry.AddCounter("ratelimit_decisions_total", "Requests decided, by outcome", {{"outcome", outcome}});
}

obs::Counter* Failures(obs::Metrics& registry, FailurePolicy policy) {
  return &registry.AddCounter("ratelimit_store_failures_total",
                              "Requests whose store call failed, by the policy that decided them",
                              {{"policy", std::string(Name(policy))}});
}

obs::Counter& Reloads(obs::Metrics& registry, const char* outcome) {
  return registry.AddCounter("ratelimit_rules_reloads_total", "Changes of the rules seen, by outcome",
                             {{"outcome", outcome}});
}

}  // namespace

Metrics::Metrics(obs::Metrics& registry)
    : ok(Decisions(registry, "ok")),
      over_limit(Decisions(registry, "over_limit")),
      shadow(Decisions(registry, "shadow")),
      no_rule(Decisions(registry, "no_rule")),
      refused(Decisions(registry, "refused")),
      decision_duration(registry.AddHistogram("ratelimit_decision_duration_seconds",
                                              "From the question to its answer, without the edge",
                                              obs::LatencyBuckets())),
      store_failures{Failures(registry, FailurePolicy::kAllow), Failures(registry, FailurePolicy::kDeny),
                     Failures(registry, FailurePolicy::kLocal)},
      coalesced_requests(registry.AddCounter("ratelimit_coalesced_requests_total",
                                             "Requests that shared the entry of an equal one in the same turn")),
      leased(registry.AddCounter("ratelimit_leased_decisions_total", "Requests decided by a lease of this replica")),
      leases(registry.AddCounter("ratelimit_lease_requests_total", "Times the store was asked for a lease")),
      batches(registry.AddCounter("ratelimit_batches_total", "Calls of the store")),
      batch_requests(registry.AddHistogram("ratelimit_batch_requests", "Requests in a call of the store",
                                           {1, 2, 4, 8, 16, 32, 64, 128, 256, 512})),
      reloads_ok(Reloads(registry, "ok")),
      reloads_failed(Reloads(registry, "failed")),
      rules_loaded_timestamp(registry.AddGauge("ratelimit_rules_loaded_timestamp_seconds",
                                               "When the rules in force were loaded, Unix time")),
      rules_stale(registry.AddGauge("ratelimit_rules_stale",
                                    "1 while the rules file is not what is in force, because it is bad or missing")) {}

}  // namespace lab::ratelimit
