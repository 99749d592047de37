#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "services/ratelimit/limiter.h"

// Private to the limiter's sources.
namespace lab::ratelimit {

// A batch with the requests that wait for it.
struct Limiter::Flight {
  Batch batch;
  std::shared_ptr<const RuleSet> rules;
  std::deque<Limit> overrides;  // limits that no rule owns
  struct Members {
    Pending* first = nullptr;
    Pending* last = nullptr;
    LeasedKey* lease = nullptr;  // the group is a question for a lease; who waits for it is there
  };
  std::vector<Members> members;  // by group
  uint32_t requests = 0;
  Clock::time_point sent;
};

}  // namespace lab::ratelimit
