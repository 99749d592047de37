#include "bench/run/trial.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "bench/cacheapi/written.h"
#include "bench/fault/schedule.h"
#include "bench/observe/observer.h"
#include "bench/run/core_watch.h"
#include "bench/run/evidence.h"
#include "bench/run/explore_trial.h"
#include "bench/run/mailbox.h"
#include "bench/run/neighbours.h"
#include "bench/run/system.h"
#include "bench/run/trial_files.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kTick{5};
constexpr Millis kLead{400};        // from the making of the generator to t = 0: in it connections are made and warmed
constexpr Millis kReadyBefore{20};  // the generator waits for t = 0 by itself, warm
constexpr int kLeadAttempts = 3;    // each with a longer lead
constexpr std::chrono::seconds kHealPatience{6};

// Whether an invariant speaks of what is there once nobody writes any more.
bool AsksForRest(const Lab& lab) {
  return std::any_of(lab.invariants.begin(), lab.invariants.end(),
                     [](const std::string& rule) { return rule.rfind("no-stale-at-rest", 0) == 0; });
}

class TrialRun {
 public:
  TrialRun(const TrialRequest& request, Spawner& spawner, Journal& journal, Progress& progress)
      : request_(request),
        progress_(progress),
        journal_(journal),
        system_(request.lab,
                {request.options.root,
                 request.folder,
                 Concat(journal.folder(), "/data"),
                 {request.variant.set, request.options.set},
                 [this] { return Interrupted(); }},
                spawner, journal) {
    trial_.variant = request.variant.name;
    trial_.repeat = request.repeat;
    // Variants of one repeat see the same arrivals.
    trial_.seed = request.options.seed + static_cast<uint64_t>(request.repeat - 1);
    trial_.phases = TimelineOf(request.lab, request.options.quick);
    trial_.duration_s = trial_.phases.empty() ? 0 : trial_.phases.back().end_s;
  }

  absl::StatusOr<Trial> Run() {
    absl::Status status = system_.Start(progress_);
    if (Interrupted()) return Incomplete();
    if (!status.ok()) return status;
    trial_.parts = system_.Describe();
    progress_.PartsAreUp(trial_.parts);
    neighbours_.emplace();  // its first look takes milliseconds, which t = 0 does not wait for
    status = MakeGenerator();
    if (Interrupted()) return Incomplete();
    if (!status.ok()) return status;
    status = MakeFaults();
    if (!status.ok()) return status;
    Load();
    Finish();
    status = WriteTrialFiles(trial_, request_.folder);
    if (!status.ok()) return status;
    return std::move(trial_);
  }

 private:
  bool Interrupted() const {
    return request_.options.interrupted != nullptr && request_.options.interrupted->load() != 0;
  }
  double Now() const { return std::chrono::duration<double>(Clock::now() - zero_).count(); }
  Trial Incomplete() {
    trial_.complete = false;
    trial_.problems.push_back("interrupted");
    return std::move(trial_);
  }
  void Problem(const std::string& text) {
    trial_.problems.push_back(text);
    progress_.Note(text);
  }
  void Caution(const std::string& text) {
    trial_.cautions.push_back(text);
    progress_.Note(text);
  }
  void HostProblem(const std::string& text) {
    trial_.host_problems.push_back(text);
    Problem(text);
  }

  absl::Status MakeGenerator();
  absl::Status MakeFaults();
  void Load();
  void Tick();
  void Finish();
  void KeepSecond(double at_s, const LiveLoad& load);

  const TrialRequest& request_;
  Progress& progress_;
  Journal& journal_;
  Trial trial_;
  Mailbox mailbox_;
  Clock::time_point zero_{};
  System system_;  // ends after all that looks at its parts
  std::unique_ptr<Generator> generator_;
  std::optional<FaultSchedule> faults_;
  std::optional<Observer> observer_;
  std::optional<NeighbourWatch> neighbours_;
  std::string busiest_;                       // who else ran during the load
  std::map<std::string, Series> own_series_;  // what the runner itself saw, by name
  size_t phase_ = 0;                          // the next to begin
  Clock::time_point logs_bounded_{};
};

// t = 0 is fixed before the generator is made, because patterns in its schedules are aligned to the wall clock; it must
// be connected by then.
absl::Status TrialRun::MakeGenerator() {
  Generator::Options options;
  options.loads = LoadsOf(request_.lab, request_.variant);
  options.phases = trial_.phases;
  options.seed = trial_.seed;
  options.starve = request_.options.starve_load;
  for (const LoadSpec& load : options.loads) {
    options.endpoints[load.target] = system_.Endpoints(load.target);
    if (options.endpoints[load.target].empty()) {
      return absl::InvalidArgumentError(Concat("load ", load.name, ": no part serves ", load.target));
    }
  }
  options.on_second = [this](const LiveLoad& load) {
    const double at_s = Now();
    mailbox_.Post([this, at_s, load] { KeepSecond(at_s, load); });
  };
  for (int attempt = 1;; ++attempt) {
    zero_ = Clock::now() + kLead * (attempt * attempt);
    options.start_unix_ns = std::chrono::duration_cast<Nanos>(
                                (std::chrono::system_clock::now() + (zero_ - Clock::now())).time_since_epoch())
                                .count();
    generator_ = std::make_unique<Generator>(options);
    absl::Status connected = generator_->Connect();
    if (!connected.ok()) return absl::Status(connected.code(), Concat("the load generator: ", connected.message()));
    trial_.started_unix_ns = options.start_unix_ns;
    if (Clock::now() < zero_ || Interrupted()) return absl::OkStatus();
    if (attempt == kLeadAttempts) return absl::DeadlineExceededError("the load generator took too long to connect");
  }
}

absl::Status TrialRun::MakeFaults() {
  FaultSchedule::Options options;
  options.zero = zero_;
  options.end_s = trial_.duration_s;
  options.phases = trial_.phases;
  options.target = [this](const std::string& part, int replica) -> FaultTarget* { return system_.Find(part, replica); };
  options.journal = [this](const std::string& line) { journal_.Fault(line); };
  options.changed = [this](const FaultRecord& fault) {
    mailbox_.Post([this, fault] { progress_.FaultChanged(fault); });
  };
  options.defused = {request_.options.defuse.begin(), request_.options.defuse.end()};
  faults_.emplace(FaultsOf(request_.lab, request_.options.quick, trial_.seed), std::move(options));
  return faults_->Check();
}

void TrialRun::KeepSecond(double at_s, const LiveLoad& load) {
  const std::pair<const char*, double> values[] = {
      {"offered_per_second", load.offered_per_s},   {"achieved_per_second", load.achieved_per_s},
      {"errors_per_second", load.errors_per_s},     {"dropped_per_second", load.dropped_per_s},
      {"admitted_per_second", load.admitted_per_s}, {"latency_p99_seconds", load.p99_s},
      {"lag_p99_seconds", load.lag_p99_s},          {"in_flight", static_cast<double>(load.in_flight)},
      {"in_flight_mean", load.in_flight_mean}};
  for (const auto& [name, value] : values) {
    Series& series = own_series_[name];
    series.part = "generator";
    series.name = name;
    series.samples.emplace_back(at_s, value);
  }
  progress_.Second(at_s, load);
}

void TrialRun::Tick() {
  mailbox_.Deliver();
  for (; phase_ < trial_.phases.size() && Now() >= trial_.phases[phase_].begin_s; ++phase_) {
    progress_.PhaseStarts(trial_.phases[phase_]);
  }
  for (const std::string& end : system_.UnaskedEnds()) {
    trial_.events.push_back({Now(), end});
    Problem(end);
  }
  if (Clock::now() > logs_bounded_) {
    system_.BoundLogs();
    logs_bounded_ = Clock::now() + std::chrono::seconds(1);
  }
  std::this_thread::sleep_for(kTick);
}

void TrialRun::Load() {
  const HostLoad before = ReadHostLoad(system_.OwnOomKills());
  CoreWatch core_watch(zero_);
  std::vector<Observed> sources = system_.Sources();
  sources.push_back({.part = "runner", .pid = [] { return getpid(); }});
  ObserverOptions looks;
  looks.on_look = [this](const std::vector<ObservedValue>& look) {
    mailbox_.Post([this, look] { progress_.Looked(look); });
  };
  observer_.emplace(std::move(sources), std::move(looks));
  observer_->Start();
  faults_->Start();
  std::atomic<bool> done{false};
  absl::Status loaded;
  std::thread driver([&] {
    std::this_thread::sleep_until(zero_ - kReadyBefore);
    if (!Interrupted()) loaded = generator_->Run();
    done = true;
  });
  while (!done && !Interrupted()) Tick();
  if (Interrupted()) {
    generator_->Stop();
    faults_->Stop();
    system_.Stop(true);  // answers that are still awaited break off with their connections
  }
  driver.join();
  if (!loaded.ok()) Problem(Concat("the load generator: ", loaded.message()));
  // A fault that lasts to the end of the timeline is healed after it.
  const Clock::time_point patience = Clock::now() + kHealPatience;
  while (!faults_->Done() && Clock::now() < patience && !Interrupted()) Tick();
  faults_->Stop();
  Tick();
  busiest_ = neighbours_->Busiest();
  trial_.faults = faults_->records();
  const std::vector<Wait> waits = core_watch.Stop();
  own_series_["core_wait_max_seconds"] = LongestWaits(waits, trial_.duration_s);
  for (const std::string& problem : StallProblems(waits)) HostProblem(problem);
  for (const std::string& problem : WaitProblems(waits, trial_.phases)) HostProblem(problem);
  for (const std::string& caution : WaitCautions(waits, trial_.phases)) Caution(caution);
  const HostLoad after = ReadHostLoad(system_.OwnOomKills());
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  for (const std::string& problem : HostProblems(before, after, Now(), cores)) HostProblem(problem);
  for (const std::string& caution : HostCautions(before, after, Now(), cores)) Caution(caution);
}

void TrialRun::Finish() {
  trial_.complete = !Interrupted();
  if (trial_.complete) trial_.finals = system_.FinalReads();
  observer_->Stop();
  trial_.streams = generator_->streams();
  trial_.ops = generator_->TakeOps();
  if (trial_.complete && AsksForRest(request_.lab)) {
    trial_.at_rest = system_.ReadAtRest(LoadsOf(request_.lab, request_.variant), cacheapi::LeastVersions(trial_.ops),
                                        [this](const std::string& text) { progress_.Note(text); });
  }
  trial_.series = observer_->Take(zero_);
  for (auto& [name, series] : own_series_) trial_.series.push_back(std::move(series));
  const auto gaps = observer_->Gaps(zero_);
  const std::vector<std::string> unread = observer_->Problems();
  for (const std::string& stubborn : system_.Stop(!trial_.complete)) progress_.Note(stubborn);

  trial_.generator_cpu_s = generator_->cpu_s();
  for (const FaultRecord& fault : trial_.faults) {
    if (fault.applied_s) trial_.events.push_back({*fault.applied_s, Concat(fault.id, " applied")});
    if (fault.seen_s) trial_.events.push_back({*fault.seen_s, Concat(fault.id, " seen: ", fault.evidence)});
    if (fault.healed_s) trial_.events.push_back({*fault.healed_s, Concat(fault.id, " healed")});
    if (!fault.error.empty()) trial_.events.push_back({fault.asked_s, Concat(fault.id, ": ", fault.error)});
  }
  std::sort(trial_.events.begin(), trial_.events.end(), [](const Event& a, const Event& b) { return a.at_s < b.at_s; });
  if (!trial_.complete) {
    trial_.problems.push_back("interrupted");
    return;
  }
  for (const FaultRecord& fault : trial_.faults) {
    if (fault.applied_s && !fault.healed_s) Problem(Concat(fault.id, " was not seen healed: ", fault.error));
  }
  for (const std::string& problem : StarvedProblems(trial_)) HostProblem(problem);
  for (const std::string& caution : LagCautions(trial_)) Caution(caution);
  // What it had no time to send is the host's doing, as the rest.
  const bool kept_from_it = !trial_.host_problems.empty();
  for (const std::string& problem : SaturatedProblems(trial_)) kept_from_it ? HostProblem(problem) : Problem(problem);
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  for (const std::string& problem : NeighbourProblems(trial_.series, cores, busiest_)) HostProblem(problem);
  for (const std::string& problem : PagingProblems(trial_.series)) HostProblem(problem);
  for (const std::string& problem : unread) Problem(problem);
  for (const std::string& problem : ScrapeProblems(gaps, trial_.faults, 0, trial_.duration_s)) Problem(problem);
}

}  // namespace

std::vector<LoadSpec> LoadsOf(const Lab& lab, const VariantSpec& variant) {
  std::vector<LoadSpec> loads = lab.load;
  for (LoadSpec& load : loads) {
    if (const auto changed = variant.request.find(load.name); changed != variant.request.end()) {
      for (const auto& [field, value] : changed->second) load.request[field] = value;
    }
    if (const auto own = variant.retries.find(load.name); own != variant.retries.end()) load.retries = own->second;
  }
  return loads;
}

absl::StatusOr<Trial> RunTrial(const TrialRequest& request, Spawner& spawner, Journal& journal, Progress& progress) {
  if (request.lab.explore) return RunExploreTrial(request, spawner, journal, progress);
  return TrialRun(request, spawner, journal, progress).Run();
}

}  // namespace lab::bench
