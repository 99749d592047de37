#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace lab::bench {

// One observed quantity over a trial. Times are seconds since the start of the load, negative before it.
struct Series {
  std::string part;  // "ratelimit", "redis", "host", "generator"
  std::string name;  // "redis_operations_total", "process_cpu_seconds_total"
  std::map<std::string, std::string> labels;
  std::vector<std::pair<double, double>> samples;  // (time, value), ascending in time
};

}  // namespace lab::bench
