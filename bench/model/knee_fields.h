#pragma once

#include "bench/model/result.h"

// The fields of a knee in both directions (archive.h): as a result has them, and as it is kept.
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
  archive.Added("host_problems", knee.host_problems);
  archive("source", knee.source);
  archive("found", knee.found);
  archive("took_s", knee.took_s);
  archive("probes", knee.probes);
}

}  // namespace lab::bench
