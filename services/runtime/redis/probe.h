#pragma once

#include "absl/status/status.h"
#include "services/runtime/redis/client.h"

namespace lab::redis {

// Whether there is a Redis that is of use to us, asked at the start of a service by a connection and a loop of its own:
// blocks for `patience` at most. FAILED_PRECONDITION in plain words where there is one that is not (cluster mode, a
// wrong password): a reason not to start. UNAVAILABLE where nobody answers: logged as redis_absent with `effect`, and
// none.
absl::Status Probe(const Options& options, Nanos patience, std::string_view effect);

}  // namespace lab::redis
