#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/lab.h"
#include "bench/load/call_pool.h"
#include "bench/load/driver.h"
#include "bench/load/endless_arrivals.h"
#include "bench/load/keys.h"
#include "bench/load/op_log.h"
#include "bench/load/request_cache.h"
#include "bench/load/retry_budget.h"
#include "bench/model/trial.h"

namespace lab::bench {

// The clients of one lane of a closed loop: each sends, waits for its answer, thinks, and sends again.
struct ClosedClients {
  KeySampler keys;
  std::priority_queue<int64_t, std::vector<int64_t>, std::greater<>> ready_at;  // one a client that is not in flight
};

struct Lane {
  std::string name;
  uint16_t stream = 0;
  RequestCache requests;
  std::optional<ClosedClients> closed;
  Mixture mixture;
};

// One load while it runs: what is scheduled, how far it has come, and what became of it.
struct ActiveLoad {
  const LoadSpec* spec = nullptr;
  const Target* target = nullptr;
  Driver* driver = nullptr;
  uint16_t index = 0;
  int64_t timeout_ns = 0;  // of an attempt
  RetryBudget retries;
  std::vector<Lane> lanes;
  std::shared_ptr<const std::vector<Arrival>> schedule;  // null for a closed loop and an endless load
  size_t next = 0;                                       // of the schedule
  std::optional<EndlessArrivals> endless;
  CallQueue in_flight;
  OpLog ops;
  uint64_t begun = 0;      // operations of all lanes
  uint64_t questions = 0;  // seed of what the operations ask
  std::string unique;      // of this load among all that ever ran: what it writes is named by it

  bool closed() const { return schedule == nullptr && !endless; }
  // The next arrival that is not sent yet, or null: there is none, or (closed) the answers decide.
  const Arrival* due() const {
    if (endless) return &endless->next();
    return schedule == nullptr || next == schedule->size() ? nullptr : &(*schedule)[next];
  }
  void Advance() {
    if (endless) {
      endless->Advance();
    } else {
      ++next;
    }
  }
};

// Everything of a load that can be made before it is connected. `max_ops` bounds the operations of all its lanes.
absl::StatusOr<ActiveLoad> PrepareLoad(const LoadSpec& spec, const std::vector<Phase>& phases, uint64_t seed,
                                       int64_t start_unix_ns, size_t max_ops);
// The same of a load that ends when it is stopped.
absl::StatusOr<ActiveLoad> PrepareEndlessLoad(const LoadSpec& spec, uint64_t seed);

// The rate as declared; where it differs by phase or is a file, the mean of the schedule.
double OfferedPerSecond(const ActiveLoad& load, double length_s);

}  // namespace lab::bench
