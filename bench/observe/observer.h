#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/model/series.h"
#include "services/runtime/base/time.h"

namespace lab::bench {

// Where to look at a part. The process may change (a restart), so it is asked for each time; 0 or less: none now.
struct Observed {
  std::string part;
  std::function<pid_t()> pid;  // called on the observer's thread
  std::string host = "127.0.0.1";
  int metrics_port = 0;                            // of an HTTP server with /metrics; 0: none
  int redis_port = 0;                              // of a Redis server, for INFO; 0: none
  std::map<std::string, std::string> labels = {};  // on all its series: {replica: 1} where there are several
  bool family = false;  // whether its figures are those of the process and all that descend from it
  // What only a question of its own kind tells, as (name of the series, value); within the time. Called on the
  // observer's thread. An error is a gap.
  std::function<absl::StatusOr<std::map<std::string, double>>(Nanos timeout)> ask = {};
};

// One value of one look.
struct ObservedValue {
  std::string part, name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

struct ObserverOptions {
  Nanos every = std::chrono::seconds(1);
  bool keep = true;  // series, gaps and problems; false for a system that runs without an end, whose history would grow
  std::function<void(const std::vector<ObservedValue>&)> on_look = {};  // all of one look, on the observer's thread
};

// Looks at every part and the host once a second, on a thread of its own, from Start to Stop. A part that does not
// answer within 300 ms has no sample in that second, which is counted as a gap; others are not held up longer than
// that.
class Observer {
 public:
  explicit Observer(std::vector<Observed> parts, ObserverOptions options = {});
  ~Observer();
  void Start();
  void Stop();  // takes a last look at everybody first

  // After Stop: all series, with times in seconds since `zero`.
  std::vector<Series> Take(Clock::time_point zero);
  // part → seconds in which it did not answer, as seconds since `zero`.
  std::map<std::string, std::vector<double>> Gaps(Clock::time_point zero) const;
  // What a part told and was not kept, in words: lines of its metrics that could not be read, series beyond 5,000 of
  // all parts together, samples of one page beyond 20,000. Who keeps silent about it draws curves with pieces missing.
  std::vector<std::string> Problems() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::bench
