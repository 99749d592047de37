#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bench/cli/terminal.h"
#include "bench/labfile/lab.h"
#include "bench/run/runner.h"

// What a run shows while it goes on.
namespace lab::bench::cli {

// Plain lines: one status line a second, one for each event. For logs and pipes.
class PlainProgress : public Progress {
 public:
  explicit PlainProgress(int fd) : fd_(fd) {}
  void TrialStarts(const std::string& variant, int repeat, int index, int total) override;
  void Boot(const std::string& text) override;
  void PhaseStarts(const Phase& phase) override;
  void Second(double at_s, const LiveLoad& load) override;
  void FaultChanged(const FaultRecord& fault) override;
  void Note(const std::string& text) override;
  void TrialEnds(const Trial& trial) override;

 private:
  void Line(const std::string& text);
  const int fd_;
  std::string variant_, phase_;
  std::map<std::string, std::string> told_;  // of each fault of this trial, last
};

// "redis.pause seen 21 ms after it was asked for: PING unanswered for 20 ms"; the latest thing that happened to it.
std::string FaultText(const FaultRecord& fault);

// What the live view knows; a frame is a pure function of it.
struct ViewState {
  std::string lab, variant, phase;
  uint64_t seed = 0;
  int repeat = 1, index = 0, total = 0;
  std::vector<Phase> phases;                 // planned
  std::vector<FaultRecord> planned, faults;  // planned ones for the bar; those of the current trial as they happen
  double at_s = -1;                          // since the start of the load; negative: not yet
  LiveLoad load;
  std::vector<double> p99_s;       // a second each, of the current trial
  std::deque<std::string> events;  // the last ones
  std::vector<std::string> done;   // a line for each trial that ended
};
std::vector<std::string> RenderFrame(const ViewState& state, const TerminalStyle& style);
ViewState PlannedView(const Lab& lab, bool quick, uint64_t seed);

// Redraws a few times a second on a thread of its own.
class LiveProgress : public Progress {
 public:
  LiveProgress(const Lab& lab, bool quick, uint64_t seed, int fd, TerminalStyle style);
  ~LiveProgress() override;
  void TrialStarts(const std::string& variant, int repeat, int index, int total) override;
  void Boot(const std::string& text) override;
  void PhaseStarts(const Phase& phase) override;
  void Second(double at_s, const LiveLoad& load) override;
  void FaultChanged(const FaultRecord& fault) override;
  void Note(const std::string& text) override;
  void TrialEnds(const Trial& trial) override;

 private:
  void Event(const std::string& text);
  void Loop();

  const int fd_;
  const TerminalStyle style_;
  LiveBlock block_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  ViewState state_;
  Clock::time_point second_at_{};  // when at_s was told
  std::thread thread_;
};

// Redrawn in place: on a terminal, unless another form was asked for.
bool ShowsLive(bool json, bool plain);
// How a run shows itself on standard output; with `json`, which has that for itself, on standard error.
std::unique_ptr<Progress> MakeProgress(const Lab& lab, const RunOptions& options, bool json, bool plain);

}  // namespace lab::bench::cli
