#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/lab.h"
#include "bench/live/documents.h"
#include "bench/live/hub.h"
#include "bench/live/server.h"
#include "bench/report/report.h"
#include "bench/run/runner.h"

// The page of a judged run, `run --ui`.
namespace lab::bench::cli {

// Tells a hub what a run does.
class HubProgress : public Progress {
 public:
  HubProgress(const Lab& lab, const RunOptions& options, live::Hub& hub);
  void TrialStarts(const std::string& variant, int repeat, int index, int total) override;
  void Boot(const std::string& text) override;
  void PartsAreUp(const std::vector<PartInfo>& parts) override;
  void PhaseStarts(const Phase& phase) override;
  void Looked(const std::vector<ObservedValue>& look) override;
  void Second(double at_s, const LiveLoad& load) override;
  void FaultChanged(const FaultRecord& fault) override;
  void Note(const std::string& text) override;
  void TrialEnds(const Trial& trial) override;
  void Judged(const Report& report);

 private:
  const Lab& lab_;
  live::Hub& hub_;
  live::Queues queues_;
  double at_s_ = 0;
};

// Passes everything on to two, in this order.
class BothProgress : public Progress {
 public:
  BothProgress(Progress& first, Progress& second) : first_(first), second_(second) {}
  void TrialStarts(const std::string& variant, int repeat, int index, int total) override;
  void Boot(const std::string& text) override;
  void PartsAreUp(const std::vector<PartInfo>& parts) override;
  void PhaseStarts(const Phase& phase) override;
  void Looked(const std::vector<ObservedValue>& look) override;
  void Second(double at_s, const LiveLoad& load) override;
  void FaultChanged(const FaultRecord& fault) override;
  void Note(const std::string& text) override;
  void TrialEnds(const Trial& trial) override;

 private:
  Progress& first_;
  Progress& second_;
};

// The page while a run goes on, and after it as long as somebody wants to look.
class RunPage {
 public:
  // UNAVAILABLE when it cannot listen on the port (0: a free one).
  static absl::StatusOr<std::unique_ptr<RunPage>> Start(const Lab& lab, const RunOptions& options, int port);
  HubProgress& progress() { return progress_; }
  std::string url() const { return server_.url(); }
  // Until Enter on standard input, or a signal.
  void AwaitLeave(const std::atomic<int>& interrupted);

 private:
  RunPage(const Lab& lab, const RunOptions& options, int port);
  live::Hub hub_;
  HubProgress progress_;
  live::Server server_;
};

}  // namespace lab::bench::cli
