#pragma once

#include <deque>

#include "services/ratelimit/limit.h"
#include "services/ratelimit/memory_store.h"
#include "services/ratelimit/pending.h"
#include "services/ratelimit/rules.h"
#include "services/ratelimit/store.h"

namespace lab::ratelimit {

// What a request is answered when its store call failed: the policy of each rule.
class Fallback {
 public:
  // `local` is what FailurePolicy::kLocal decides with; `replicas` and `of_overrides` are for overrides, whose share
  // and policy no rule has.
  Fallback(MemoryStore& local, int replicas, FailurePolicy of_overrides)
      : local_(local), replicas_(replicas), of_overrides_(of_overrides) {}

  // Decides `pending`, which waits for `group` of `batch`. Returns the policy that decided.
  FailurePolicy Decide(Pending& pending, const Batch& batch, const Batch::Group& group);

 private:
  MemoryStore& local_;
  const int replicas_;
  const FailurePolicy of_overrides_;
  Batch batch_;  // scratch, with its limits
  std::deque<Limit> limits_;
};

}  // namespace lab::ratelimit
