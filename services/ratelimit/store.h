#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/ratelimit/decide.h"

namespace lab::ratelimit {

// Requests for a store, in arrival order. A group is `count` requests with the same keys, limits and hits, one after
// the other; its terms and keys are terms[first … first + size).
struct Batch {
  struct Group {
    uint32_t first = 0;
    uint32_t size = 0;
    uint32_t count = 1;
  };
  struct Key {
    uint32_t offset = 0;
    uint32_t size = 0;
  };

  // Adds an empty group; AddTerm then adds to it.
  Group& AddGroup();
  void AddTerm(std::string_view key, const Term& term);
  std::string_view key(size_t index) const {
    return std::string_view(text).substr(keys[index].offset, keys[index].size);
  }
  void Clear();

  std::vector<Group> groups;
  std::vector<Term> terms;  // their limits outlive the batch
  std::vector<Key> keys;    // one a term
  std::string text;         // of all keys
  UnixMicros now = 0;       // 0: the store's clock, filled in by the store; else that time (tests and replays)

  // The store's answer: the state of each term before its group. DecideRequest on them, once a request of the group,
  // gives the answers.
  std::vector<State> states;
};

// Where the counts live. Applies the groups one after the other, each request as DecideRequest says, all of one call to
// Run without anybody else in between.
class Store {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  virtual ~Store() = default;
  // `batch` lives until `done`, which runs exactly once, inside the call or later. After an error it is open whether
  // the batch was applied, unless the status is one that redis::OutcomeUnknown denies.
  virtual void Run(Batch& batch, Done done) = 0;
};

}  // namespace lab::ratelimit
