#include "bench/host/cores.h"

#include <sched.h>

namespace lab::bench {

std::vector<int> AllowedCores(size_t most) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE && cores.size() < most; ++core) {
    if (CPU_ISSET(static_cast<size_t>(core), &allowed)) cores.push_back(core);
  }
  return cores;
}

bool PinTo(int core) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(static_cast<size_t>(core), &only);
  return sched_setaffinity(0, sizeof(only), &only) == 0;
}

bool MakeRealtime(int above_least) {
  sched_param parameter{};
  parameter.sched_priority = sched_get_priority_min(SCHED_FIFO) + above_least;
  return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameter) == 0;
}

}  // namespace lab::bench
