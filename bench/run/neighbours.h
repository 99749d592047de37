#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "services/runtime/base/time.h"

namespace lab::bench {

// Who else on this host ran: processes that are neither this one nor below it, by name. Those that ended before they
// were looked at again are missing.
class NeighbourWatch {
 public:
  NeighbourWatch();  // begins now

  // Since it began, in cores: "cc1plus 1.2, ninja 0.1"; the three busiest of at least 0.05, "" when there are none.
  std::string Busiest() const;

 private:
  struct Seen {
    uint64_t start_ticks;
    double cpu_s;
  };
  const Clock::time_point begin_;
  std::map<pid_t, Seen> before_;
};

}  // namespace lab::bench
