#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/fault/target.h"
#include "services/runtime/base/time.h"

namespace lab::bench {

// One fault, from before it to after it. The schedule (schedule.h) calls, in this order and from one thread:
// Prepare, Apply, Seen until it says something, Heal, Healed until it says yes. Heal may come without Apply, and twice.
class Fault {
 public:
  virtual ~Fault() = default;
  // Takes down what the receipt needs for comparison; some 100 ms before Apply. Part of the evidence, never of the
  // fault.
  virtual absl::Status Prepare() { return absl::OkStatus(); }
  virtual absl::Status Apply() = 0;
  // One look of at most some 50 ms; what it saw when the effect is there ("PING unanswered for 20 ms"). Looks at the
  // part, never at what Apply did, so that a fault that did nothing is not seen.
  virtual std::optional<std::string> Seen() = 0;
  virtual absl::Status Heal() { return absl::OkStatus(); }
  // One look: whether the part is well again.
  virtual bool Healed() = 0;
};

struct FaultOption {
  std::string name, fallback, doc;
  std::vector<std::string> names;                            // allowed; empty: see doc
  std::string (*wrong)(const std::string& value) = nullptr;  // "", or what is wrong with it and the remedy
};

// What a fault gets to work with.
struct FaultRequest {
  FaultTarget& target;
  std::map<std::string, std::string> options;  // given ones
  Nanos length{};                              // 0: instantaneous
};

// A fault as the catalogue knows it.
struct FaultKind {
  std::string part_kind;       // "redis"; "" for any part that is a process; "link" for the proxy between two of them
  std::string action;          // "pause": used as "redis.pause", "ratelimit.pause"
  std::string doc;             // one sentence
  bool instantaneous = false;  // nothing to heal; `for:` means nothing
  std::vector<FaultOption> options;
  std::unique_ptr<Fault> (*make)(const FaultRequest&) = nullptr;
  // "" or why this host does not allow it, with the remedy: found out by trying, in some milliseconds. Null: always.
  std::string (*why_not_here)() = nullptr;
  // What the lab file has to give for it: "disk", a file system of the part's own (`disk:` of the part), "network", one
  // of the run's own (`network: private`); "": nothing.
  std::string needs;
  // Options with which it shows on a part that has nothing else to do: for doctor and tests.
  std::map<std::string, std::string> on_idle = {};
};

// All there are; those of one kind of part, or of links (which have none of those of a process); the one that is meant,
// or null.
const std::vector<FaultKind>& FaultKinds();
std::vector<const FaultKind*> FaultsFor(const std::string& part_kind);
const FaultKind* FindFault(const std::string& part_kind, const std::string& action);

// For FaultOption::wrong: a share above 0 and at most 1, a size, what PostgreSQL takes for a name without quotes (of a
// table: with a schema before it or without), a count from 0 to 5000.
std::string WrongShare(const std::string& text);
std::string WrongBytes(const std::string& text);
std::string WrongName(const std::string& text);
std::string WrongTable(const std::string& text);
std::string WrongCount(const std::string& text);

// "" or what is wrong with the options, with the nearest right name.
std::string CheckFaultOptions(const FaultKind& kind, const std::map<std::string, std::string>& options);

// "" or why this part cannot be broken so, as it runs here: what its lab did not give it, what the host does not allow.
std::string WhyNotOn(const FaultKind& kind, FaultTarget& part);
// The same of one option of "redis.flush", for the catalogue of lab files; "" for what it does not know.
std::string CheckFaultOption(const std::string& fault, const std::string& option, const std::string& value);

// The tables that FaultKinds is made of, one a file.
std::vector<FaultKind> ProcessFaults();
std::vector<FaultKind> RedisFaults();
std::vector<FaultKind> RedisKeyFaults();
std::vector<FaultKind> PostgresFaults();
std::vector<FaultKind> CgroupFaults();
std::vector<FaultKind> NetworkFaults();
std::vector<FaultKind> LinkFaults();

}  // namespace lab::bench
