#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/lab.h"
#include "bench/load/generator.h"
#include "bench/model/result.h"

namespace lab::bench {

struct ObservedValue;  // bench/observe/observer.h

// What a run shows of itself while it goes on. Calls come from the runner's thread.
class Progress {
 public:
  virtual ~Progress() = default;
  virtual void TrialStarts(const std::string& /*variant*/, int /*repeat*/, int /*index*/, int /*total*/) {}
  virtual void Boot(const std::string& /*text*/) {}                   // "redis up on 127.0.0.1:4711 after 12 ms"
  virtual void PartsAreUp(const std::vector<PartInfo>& /*parts*/) {}  // all of a trial, before its load
  virtual void PhaseStarts(const Phase& /*phase*/) {}
  virtual void Looked(const std::vector<ObservedValue>& /*look*/) {}  // what all parts told, once a second
  virtual void Second(double /*at_s*/, const LiveLoad& /*load*/) {}
  virtual void FaultChanged(const FaultRecord& /*fault*/) {}
  virtual void Note(const std::string& /*text*/) {}
  virtual void TrialEnds(const Trial& /*trial*/) {}
};

struct RunOptions {
  std::vector<std::string> variants;  // empty: all
  int repeat = 1;
  std::string again;  // this variant runs twice in each repeat, to show what the same design differs from itself by
  uint64_t seed = 1;
  bool quick = false;
  std::map<std::string, std::map<std::string, std::string>> set;  // part → configuration
  std::map<std::string, double> predictions;
  double starve_load = 0;
  // A trial that only the host disturbed is run once more and replaced; half of a run's trials at most.
  bool repeat_disturbed = false;
  std::string schedule;      // of a lab that explores: this one only, in each variant
  bool recalibrate = false;  // look for the knee again, whatever is kept
  std::string root;          // the checkout: binaries below build/, state below .lab/
  std::vector<std::string> command;
  std::vector<std::string> defuse;  // for tests: faults whose apply does nothing, "redis.pause": no receipt may come
  const std::atomic<int>* interrupted = nullptr;  // set by a signal: heal, stop everything, return what there is
};

// Boots, loads, breaks and watches: each variant in each repeat from fresh state, interleaved (A B, B A). Fills all of
// Run but the verdict; writes the trials' files (ops.csv, series.csv, faults.json, logs) into run.folder. Whatever
// happens, no process, port or file outside the run folder is left behind.
absl::StatusOr<Run> RunLab(const Lab& lab, const RunOptions& options, Progress& progress);

// One knob and its values; the runs of a sweep differ in nothing else.
struct SweepPlan {
  std::string part, key;
  std::vector<std::string> values;
};

// A sweep keeps the operations of all its trials until they are judged. INVALID_ARGUMENT with the remedy when so many
// trials of this lab would take more than half of `available_bytes` for them: counted of the schedules, of a closed
// loop by what its clients can do with answers of a millisecond. The rates of the lab are known by then (WithKnee).
absl::Status CheckSweepMemory(const Lab& lab, const RunOptions& options, size_t trials, double available_bytes);

// One run for each value of the knob, in the order of the plan, all in one folder of the lab's runs. Within a repeat
// the trials go value by value and variant by variant, in every second repeat backwards, so that what drifts hits all
// points alike; the trials of one repeat see the same arrivals. `options.set` stays what it is for every value but the
// swept one.
absl::StatusOr<std::vector<Run>> RunSweep(const Lab& lab, const RunOptions& options, const SweepPlan& plan,
                                          Progress& progress);

// Ends processes and heals faults that a killed runner left behind; returns what it did, a line each.
std::vector<std::string> CleanLeftovers(const std::string& root);

}  // namespace lab::bench
