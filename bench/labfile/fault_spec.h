#pragma once

#include <map>
#include <optional>
#include <string>

#include "services/runtime/base/time.h"

namespace lab::bench {

// Of a fault that is one of several, of which one after the other is drawn (`random:`): from `at` on, and as long as
// they fit into the phase. Which of them, on which replica, when and for how long follows from the seed of the trial.
struct RandomSpec {
  int entry = 0;                      // number of its `random:` in the lab file: those of one are drawn from together
  Nanos every_least{}, every_most{};  // from the begin of one to that of the next; the first one so long after `at`
  Nanos length_least{}, length_most{};
  int replicas = 1;  // of the part
};

struct FaultSpec {
  std::string phase;  // at: pause+0.5s
  Nanos offset{};
  double offset_share = 0;  // at: pause+25%: of the phase, on top of `offset`
  std::string fault;        // "redis.pause"
  std::string part;         // on: redis (default: the part, or link, that the fault's name begins with)
  int replica = 0;
  std::optional<Nanos> length;  // for: 4s; absent: instantaneous, or until healed by its deadline
  double length_share = 0;      // for: 100%: of the phase; `length` then holds that share of the full run's phase
  Nanos every{};                // repeat: every 2s: again and again until the phase ends; 0: once
  std::map<std::string, std::string> options;
  std::optional<RandomSpec> random;  // then `length`, `every` and `replica` are not declared, but drawn
  int line = 0;
};

}  // namespace lab::bench
