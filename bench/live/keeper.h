#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/fault/schedule.h"
#include "bench/labfile/lab.h"
#include "bench/live/control.h"
#include "bench/live/documents.h"
#include "bench/live/hub.h"
#include "bench/live/server.h"
#include "bench/load/generator.h"
#include "bench/observe/observer.h"
#include "bench/run/mailbox.h"
#include "bench/run/system.h"

namespace lab::bench::live {

// Keeps the system of one lab up, under its steady load, to be broken by hand: what a trial does, without a timeline
// and without a verdict. Shows itself on a page and an API on loopback, through which it is also controlled.
class Keeper : public Control {
 public:
  struct Options {
    std::string root;     // the checkout
    std::string folder;   // of this lab below <state>/up: configuration and logs
    std::string variant;  // "": the reference
    std::string phase;    // whose load; "": SteadyPhase
    std::map<std::string, std::map<std::string, std::string>> set;  // part → configuration, over the variant's
    uint64_t seed = 1;
    Nanos length = std::chrono::hours(2);  // then it goes down by itself
    Server::Options page;
    const std::atomic<int>* interrupted = nullptr;  // set by a signal: go down
  };
  Keeper(const Lab& lab, Options options, Spawner& spawner, Journal& journal);
  ~Keeper() override;  // heals and stops whatever runs

  // Everything up, under load and shown; what it does is told to `boot`. Errors as of a trial.
  absl::Status Start(Progress& boot);
  const Server& page() const { return *server_; }
  double offered_per_s() const { return offered_per_s_; }  // at a factor of 1
  const std::string& variant() const { return variant_; }
  // Seconds since t = 0 of the load.
  double Now() const { return std::chrono::duration<double>(Clock::now() - zero_).count(); }

  // Until Down, a signal or the end of its time; why, in words ("" after Down). Then everything is healed and stopped.
  std::string Run();

  // Break without a length lasts until it is healed, at most kLongestBreak. Thread-safe.
  absl::StatusOr<std::string> Break(const std::string& fault, std::optional<double> seconds,
                                    const std::map<std::string, std::string>& options) override;
  absl::Status Heal(const std::optional<std::string>& fault) override;
  absl::Status Load(double factor) override;
  absl::Status Down() override;

  static constexpr Nanos kLongestBreak = std::chrono::minutes(10);
  static constexpr double kMostPerSecond = 200'000;  // more than the generator can offer

 private:
  absl::Status StartLoad();
  void StartFaults();
  void StartObserver();
  void ShowState();
  void Tick();
  void Stop();
  bool Interrupted() const;
  void Note(const std::string& text);
  void ShowSecond(double at_s, const LiveLoad& load);
  void ShowFault(const FaultRecord& fault);
  void ShowParts();
  std::vector<PartNow> PartsNow() const;
  absl::StatusOr<FaultSpec> SpecOf(const std::string& fault) const;

  const Lab& lab_;
  const Options options_;
  const VariantSpec& variant_spec_;
  const std::string variant_;
  Journal& journal_;
  Mailbox mailbox_;
  Hub hub_;
  System system_;  // ends after all that looks at its parts
  std::vector<Breakable> breakable_;
  std::unique_ptr<Generator> generator_;
  double offered_per_s_ = 0;
  std::thread load_;
  absl::Status loaded_;  // once load_ has ended
  std::atomic<bool> load_ended_{false};
  Clock::time_point zero_{};
  std::optional<FaultSchedule> faults_;
  std::optional<Observer> observer_;
  std::mutex queues_mutex_;
  Queues queues_;
  std::vector<std::string> states_;  // of the parts, as they were last shown
  Clock::time_point parts_shown_{}, logs_bounded_{};
  std::atomic<bool> down_{false};
  std::unique_ptr<Server> server_;  // ends first: it calls the rest
};

}  // namespace lab::bench::live
