#pragma once

#include <map>
#include <string>
#include <vector>

#include "bench/fault/fault.h"
#include "bench/labfile/lab.h"
#include "bench/load/generator.h"
#include "bench/model/trial.h"
#include "bench/observe/observer.h"

// What a hub tells of a system that runs, as JSON on one line. Times are seconds since t = 0 of the load.
namespace lab::bench::live {

// One replica of a part as it is now.
struct PartNow {
  PartInfo info;
  std::string part;  // "ratelimit" of the replica "ratelimit-1"
  int replica = 0;
  int pid = -1;
  char state = '?';  // of its process, as in /proc; '?': none
};
// "up", "stopped" (SIGSTOP, a frozen cgroup), "down".
std::string StateWordOf(const PartNow& part);

// One thing that can be broken.
struct Breakable {
  std::string fault;  // "redis.pause"
  const FaultKind* kind = nullptr;
};

using Queues = std::map<std::string, double>;  // "ratelimit.redis_outstanding" → 3

std::string PartsJson(const std::vector<PartNow>& parts);
std::string PartJson(const PartNow& part);  // of the event "part": name, replica, state
// Who calls whom: the load its targets, a service the stores that were started before it.
std::string LinksJson(const Lab& lab);
std::string BreakableJson(const std::vector<Breakable>& breakable);
std::string FaultJson(const FaultRecord& fault);
std::string FaultsJson(const std::vector<FaultRecord>& faults);
std::string SecondJson(double at_s, const LiveLoad& load, const Queues& queues);
std::string NoteJson(double at_s, const std::string& text);

// Of the gauges of one look those that tell how much waits somewhere: outstanding, in flight, queued, pooled. Replicas
// of a part and label sets of a gauge add up.
Queues QueuesOf(const std::vector<ObservedValue>& look);

}  // namespace lab::bench::live
