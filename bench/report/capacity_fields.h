#pragma once

#include "bench/judge/queueing.h"
#include "bench/model/result.h"

// Private to result_json.cc: the fields of capacity.h in both directions (archive.h).
namespace lab::bench {

template <typename Archive>
void Fields(Archive& archive, KneeProbe& probe) {
  archive("purpose", probe.purpose);
  archive("rate_per_s", probe.rate_per_s);
  archive("seconds", probe.seconds);
  archive("meets", probe.meets);
  archive("p99_s", probe.p99_s);
  archive("error_ratio", probe.error_ratio);
  archive("achieved_per_s", probe.achieved_per_s);
  archive("samples", probe.samples);
}

template <typename Archive>
void Fields(Archive& archive, Knee& knee) {
  archive("variant", knee.variant);
  archive("objective", knee.objective);
  archive("per_s", knee.per_s);
  archive("at_least", knee.at_least);
  archive("why", knee.why);
  archive("source", knee.source);
  archive("found", knee.found);
  archive("took_s", knee.took_s);
  archive("probes", knee.probes);
}

template <typename Archive>
void Fields(Archive& archive, PhaseQueueing& queueing) {
  archive("phase", queueing.phase);
  archive("sent_per_s", queueing.sent_per_s);
  archive("mean_s", queueing.mean_s);
  archive("in_flight", queueing.in_flight);
  archive("mismatch", queueing.mismatch);
  archive("why", queueing.why);
  archive("cores", queueing.cores);
  archive("bottlenecks", queueing.bottlenecks);
}

}  // namespace lab::bench
