#include "bench/run/calibrate.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/strings/str_format.h"
#include "bench/load/generator.h"
#include "bench/model/quantile.h"
#include "bench/observe/observer.h"
#include "bench/run/evidence.h"
#include "bench/run/knee_search.h"
#include "bench/run/knee_store.h"
#include "bench/run/neighbours.h"
#include "bench/run/run_folder.h"
#include "bench/run/system.h"
#include "bench/run/trial.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr double kWarm_s = 0.2;                      // of each probe, not measured
constexpr double kLongest_s = 30, kOverrun_s = 0.7;  // of the search; by which an overloaded probe may end later
constexpr Millis kDrain{30};                         // after a probe
constexpr Millis kPoll{5};
constexpr Millis kShortestTimeout{300};

double ShareOfKnee(const LoadSpec& load) {
  double share = load.rate.of_knee;
  for (const auto& [phase, of_phase] : load.rate.of_knee_by_phase) share = std::max(share, of_phase);
  return share;
}

// The loads of a probe of this rate in all. What is not answered in many times the objective is given up, so that an
// overloaded probe ends soon.
std::vector<LoadSpec> LoadsAt(const std::vector<LoadSpec>& loads, double rate_per_s, const KneeSpec& objective) {
  double shares = 0;
  for (const LoadSpec& load : loads) shares += ShareOfKnee(load);
  std::vector<LoadSpec> offered = loads;
  for (LoadSpec& load : offered) {
    const double share = ShareOfKnee(load) / shares;
    load.rate = {};
    load.rate.per_s = rate_per_s * share;
    load.arrivals = Arrivals::kPoisson;
    load.bursts.clear();
    load.timeout = std::min(load.timeout, std::max<Nanos>(kShortestTimeout, 10 * objective.p99));
  }
  return offered;
}

class Calibration {
 public:
  Calibration(const Lab& lab, const VariantSpec& variant, const RunOptions& options, Progress& progress)
      : lab_(lab), variant_(variant), options_(options), progress_(progress) {
    for (const LoadSpec& load : LoadsOf(lab, variant)) {
      if (UsesKnee(load)) loads_.push_back(load);
    }
  }

  absl::StatusOr<Knee> Find(const std::string& folder) {
    const absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(StateFolder(options_.root));
    if (!journal.ok()) return journal.status();
    Spawner spawner([&journal](pid_t pid, const std::string& name) { return (*journal)->Process(pid, name); });
    System system(lab_,
                  {options_.root,
                   folder,
                   Concat((*journal)->folder(), "/knee-data"),
                   {variant_.set, options_.set},
                   [this] { return Interrupted(); }},
                  spawner, **journal);
    if (absl::Status started = system.Start(progress_); !started.ok()) return started;
    for (const LoadSpec& load : loads_) endpoints_[load.target] = system.Endpoints(load.target);
    std::vector<Observed> sources = system.Sources();
    sources.push_back({.part = "runner", .pid = [] { return getpid(); }});
    Observer observer(std::move(sources));
    const HostLoad before = ReadHostLoad(0);
    const NeighbourWatch neighbours;
    begin_ = Clock::now();
    observer.Start();
    const auto now_s = [this] { return std::chrono::duration<double>(Clock::now() - begin_).count(); };
    KneeSearch search;
    search.budget_s = kLongest_s - kOverrun_s;
    Knee knee = FindKnee(
        search, [this, &system](double rate, double seconds) { return Measure(system, rate, seconds); }, now_s);
    observer.Stop();
    const std::string busiest = neighbours.Busiest();
    const double took_s = now_s();
    system.Stop(Interrupted());
    if (Interrupted()) return absl::CancelledError("interrupted while the knee was looked for");
    // What a host that was kept busy carries is no figure of the design, and would be kept for later runs.
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    knee.host_problems = NeighbourProblems(observer.Take(begin_), cores, busiest);
    const HostLoad after = ReadHostLoad(0);
    for (const std::string& one : HostProblems(before, after, took_s, cores)) knee.host_problems.push_back(one);
    for (const std::string& one : HostCautions(before, after, took_s, cores)) knee.host_problems.push_back(one);
    if (!knee.host_problems.empty() && knee.per_s) {
      knee.per_s.reset();
      knee.why = Concat("while it was looked for: ", knee.host_problems.front());
    }
    return knee;
  }

 private:
  bool Interrupted() const { return options_.interrupted != nullptr && options_.interrupted->load() != 0; }

  absl::StatusOr<KneeProbe> Measure(System& system, double rate, double seconds) {
    // A generator that was late once is asked once more, where there is time: a moment of the host is no property of
    // the rate.
    absl::StatusOr<KneeProbe> probe = MeasureOnce(rate, seconds);
    const double left_s = kLongest_s - std::chrono::duration<double>(Clock::now() - begin_).count();
    if (absl::IsResourceExhausted(probe.status()) && left_s > 2 * seconds) probe = MeasureOnce(rate, seconds);
    if (Interrupted()) return absl::CancelledError("interrupted");
    for (const std::string& end : system.UnaskedEnds()) return absl::UnavailableError(end);
    if (!probe.ok()) return probe;
    progress_.Note(absl::StrFormat("%.0f/s %s: p99 %s, %.2g %% failed", rate, probe->meets ? "meets it" : "misses it",
                                   FormatDuration(Nanos(static_cast<int64_t>(probe->p99_s * 1e9))),
                                   probe->error_ratio * 100));
    return probe;
  }

  absl::StatusOr<KneeProbe> MeasureOnce(double rate, double seconds) {
    Generator::Options load;
    load.loads = LoadsAt(loads_, rate, *lab_.knee);
    load.phases = {{"warm", 0, kWarm_s}, {"measured", kWarm_s, kWarm_s + seconds}};
    load.endpoints = endpoints_;
    load.seed = options_.seed + ++probes_;
    load.starve = options_.starve_load;
    Generator generator(load);
    if (absl::Status connected = generator.Connect(); !connected.ok()) return connected;
    std::atomic<bool> done{false};
    absl::Status run;
    std::thread driver([&] {
      run = generator.Run();
      done = true;
    });
    while (!done && !Interrupted()) std::this_thread::sleep_for(kPoll);
    if (Interrupted()) generator.Stop();
    driver.join();
    if (!run.ok()) return run;
    std::this_thread::sleep_for(kDrain);
    if (static_cast<double>(generator.lag().Quantile(0.99)) / 1e9 > kLagLimit_s) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "the load generator could not keep its schedule at %.0f/s, so the knee cannot be told", rate));
    }
    return ProbeOf(generator.TakeOps(), kWarm_s, kWarm_s + seconds, *lab_.knee);
  }

  const Lab& lab_;
  const VariantSpec& variant_;
  const RunOptions& options_;
  Progress& progress_;
  std::vector<LoadSpec> loads_;
  std::map<std::string, std::vector<std::string>> endpoints_;
  Clock::time_point begin_;
  uint64_t probes_ = 0;
};

Knee Declared(const Lab& lab) {
  Knee declared;
  declared.variant = lab.reference;
  declared.objective = ObjectiveText(*lab.knee);
  declared.per_s = lab.knee->quick_per_s;
  declared.source = "declared";
  return declared;
}

}  // namespace

KneeProbe ProbeOf(const std::vector<Op>& ops, double begin_s, double end_s, const KneeSpec& objective) {
  KneeProbe probe;
  std::vector<int64_t> latencies;
  uint64_t offered = 0, ok = 0;
  for (const Op& op : ops) {
    const double at_s = static_cast<double>(op.intended_ns) / 1e9;
    if (at_s < begin_s || at_s >= end_s) continue;
    ++offered;
    ok += op.outcome == Outcome::kOk;
    if (op.outcome != Outcome::kDropped) latencies.push_back(op.latency_ns());
  }
  probe.samples = latencies.size();
  if (offered == 0 || latencies.empty()) return probe;
  probe.p99_s = static_cast<double>(QuantileOf(latencies, 0.99)) / 1e9;
  probe.error_ratio = 1 - static_cast<double>(ok) / static_cast<double>(offered);
  probe.achieved_per_s = static_cast<double>(ok) / (end_s - begin_s);
  probe.meets = probe.p99_s <= std::chrono::duration<double>(objective.p99).count() &&
                probe.error_ratio <= objective.errors + 1e-12;
  return probe;
}

absl::StatusOr<Knee> Calibrate(const Lab& lab, const RunOptions& options, const std::string& folder,
                               Progress& progress) {
  const auto reference = std::find_if(lab.variants.begin(), lab.variants.end(),
                                      [&](const VariantSpec& variant) { return variant.name == lab.reference; });
  if (reference == lab.variants.end() || !lab.knee) return absl::InvalidArgumentError("the lab declares no knee");
  if (options.quick && lab.knee->quick_per_s > 0 && !options.recalibrate) return Declared(lab);
  const absl::StatusOr<std::string> key = KneeKey(lab, options);
  if (!key.ok()) return key.status();
  if (!options.recalibrate && options.starve_load <= 0) {
    if (std::optional<Knee> kept = KeptKnee(options.root, *key)) {
      progress.Note(absl::StrFormat("the knee of %s is %s%.0f/s, kept from %s; --recalibrate looks for it again",
                                    lab.reference, kept->at_least ? "at least " : "", *kept->per_s, kept->found));
      return *std::move(kept);
    }
  }
  progress.TrialStarts(Concat(lab.reference, ", looking for its knee"), 1, 0, 1);
  progress.Note(Concat("looking for the highest rate with ", ObjectiveText(*lab.knee), "; at most 30 s"));
  absl::StatusOr<Knee> knee = Calibration(lab, *reference, options, progress).Find(folder);
  if (!knee.ok()) return knee;
  knee->variant = lab.reference;
  knee->objective = ObjectiveText(*lab.knee);
  knee->found = LocalTime();
  if (knee->per_s) {
    progress.Note(absl::StrFormat("the knee of %s is %s%.0f/s, found in %.1f s", lab.reference,
                                  knee->at_least ? "at least " : "", *knee->per_s, knee->took_s));
    if (options.starve_load <= 0) KeepKnee(options.root, *key, *knee);
  } else {
    progress.Note(Concat("no knee: ", knee->why));
  }
  return knee;
}

absl::StatusOr<Lab> AtKnownKnee(const Lab& lab, const RunOptions& options) {
  if (!UsesKnee(lab)) return lab;
  const absl::StatusOr<std::string> key = KneeKey(lab, options);
  if (!key.ok()) return key.status();
  if (const std::optional<Knee> kept = KeptKnee(options.root, *key)) return WithKnee(lab, *kept->per_s);
  if (lab.knee && lab.knee->quick_per_s > 0) return WithKnee(lab, lab.knee->quick_per_s);
  return absl::NotFoundError(Concat("the rates of ", lab.name,
                                    " are shares of its knee, which is not known here yet\nfind it by ./lab run ",
                                    lab.file));
}

}  // namespace lab::bench
