#pragma once

#include "bench/judge/queueing.h"

// Private to result_json.cc: the fields of capacity.h in both directions (archive.h).
namespace lab::bench {

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
