#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "services/ratelimit/decide.h"
#include "services/ratelimit/key.h"
#include "services/ratelimit/rules.h"
#include "services/runtime/base/time.h"

namespace lab::ratelimit {

// What is asked: a request of the edge, as views.
struct Question {
  struct Override {
    uint32_t requests = 0;
    Unit unit = Unit::kUnknown;
  };
  struct Descriptor {
    uint32_t first = 0;  // its entries are entries[first … first + size)
    uint32_t size = 0;
    uint64_t hits = 1;
    std::optional<Override> limit;
  };

  std::string_view domain;
  std::vector<Entry> entries;
  std::vector<Descriptor> descriptors;
};

// A question on its way through the limiter, and its answer. The edge owns and reuses it; it must stay where it is from
// Limiter::Decide until Decided.
class Pending {
 public:
  struct Status {
    bool over_limit = false;
    bool known = false;  // remaining and reset are: the store, or local memory, has answered
    bool unlimited = false;
    const Limit* limit = nullptr;  // null: no rule
    const Rule* rule = nullptr;    // null for an override that no rule matches
    Unit unit = Unit::kUnknown;
    uint32_t remaining = 0;
    int64_t reset_after_us = 0;
  };

  virtual ~Pending() = default;
  // The answer is there. Its rules and limits live until this returns.
  virtual void Decided() = 0;

  // The answer: one status a descriptor.
  std::vector<Status> statuses;
  bool over_limit = false;
  bool by_policy = false;      // the store failed, and the rules' policies have decided
  int64_t retry_after_us = 0;  // when over limit; 0: not known, kNever: no wait helps

 protected:
  Pending() = default;
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

 private:
  friend class Fallback;
  friend class Limiter;
  friend class Resolver;
  struct Wanted {
    Term term;
    const Rule* rule = nullptr;
    uint32_t key_offset = 0;  // in the resolver's keys, while it is being put in a batch
    uint32_t key_size = 0;
  };
  // What the term of a descriptor came to.
  void Tell(size_t descriptor, const TermResult& result) {
    Status& status = statuses[descriptor];
    status.over_limit = !result.passed && !wanted_[static_cast<size_t>(term_of_[descriptor])].term.shadow;
    status.known = true;
    status.remaining = result.remaining;
    status.reset_after_us = result.reset_after_us;
    if (status.over_limit) retry_after_us = std::max(retry_after_us, result.retry_after_us);
  }
  absl::InlinedVector<Wanted, 4> wanted_;    // one a key
  std::vector<Limit> overrides_;             // by descriptor, where any has one
  absl::InlinedVector<int32_t, 4> term_of_;  // by descriptor; -1: none
  std::shared_ptr<const RuleSet> rules_;     // kept by one that waits for a lease; else its batch keeps them
  Clock::time_point began_;
  Pending* next_ = nullptr;  // of its group
};

}  // namespace lab::ratelimit
