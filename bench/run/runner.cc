#include "bench/run/runner.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "bench/load/schedule.h"
#include "bench/run/calibrate.h"
#include "bench/run/evidence.h"
#include "bench/run/host.h"
#include "bench/run/journal.h"
#include "bench/run/needs.h"
#include "bench/run/process.h"
#include "bench/run/run_folder.h"
#include "bench/run/trial.h"
#include "bench/run/trial_files.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

absl::StatusOr<std::vector<const VariantSpec*>> Chosen(const Lab& lab, const std::vector<std::string>& names) {
  std::vector<const VariantSpec*> chosen;
  std::vector<std::string> known;
  for (const VariantSpec& variant : lab.variants) {
    known.push_back(variant.name);
    if (names.empty() || std::find(names.begin(), names.end(), variant.name) != names.end()) chosen.push_back(&variant);
  }
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return absl::InvalidArgumentError(Concat("unknown variant \"", name, "\"", Suggestion(name, known)));
    }
  }
  return chosen;
}

// One configuration of the system in the interleaving, and where its trials go.
struct Arm {
  const VariantSpec* variant;
  const RunOptions* options;
  Run* run;
  std::string label;   // for Progress
  std::string folder;  // of its trials, without the repeat
  bool again = false;  // the same configuration once more
};

// A B C, then C B A, then A B C …: what drifts over a run hits all arms alike. The one that runs again is one more
// of them and comes last, so that it is as far from its first turn as two arms can be from each other.
std::vector<std::pair<const Arm*, int>> Interleaved(const std::vector<Arm>& arms, int repeats) {
  std::vector<std::pair<const Arm*, int>> order;
  for (int repeat = 1; repeat <= repeats; ++repeat) {
    for (size_t i = 0; i < arms.size(); ++i) {
      order.emplace_back(&arms[repeat % 2 == 1 ? i : arms.size() - 1 - i], repeat);
    }
  }
  return order;
}

Run Describe(const Lab& lab, const RunOptions& options, std::string folder) {
  Run run;
  run.lab = lab.name;
  run.title = lab.title;
  run.folder = std::move(folder);
  run.seed = options.seed;
  run.quick = options.quick;
  run.command = options.command;
  run.revision = GitRevision(options.root);
  run.host = DescribeHost();
  for (const auto& [part, set] : options.set) {
    for (const auto& [key, value] : set) {
      // Results are shown to others: a path in them begins at the checkout.
      const std::string root = options.root + "/";
      const bool ours = value.compare(0, root.size(), root) == 0;
      run.changed[Concat(part, ".", key)] = ours ? value.substr(root.size()) : value;
    }
  }
  if (options.starve_load > 0) run.changed["starve-load"] = Concat(options.starve_load);
  for (const std::string& fault : options.defuse) run.changed[Concat("defuse.", fault)] = "yes";
  run.predictions = options.predictions;
  run.started = LocalTime();
  return run;
}

// "trials/deny-1", "trials/deny-1-again".
std::string FolderOf(const Arm& arm, int repeat) {
  return Concat(arm.run->folder, "/trials/", arm.folder, "-", repeat, arm.again ? "-again" : "");
}

// With those that had to be run twice.
size_t TrialsRun(const Run& run) {
  return run.trials.size() +
         static_cast<size_t>(std::count_if(run.trials.begin(), run.trials.end(),
                                           [](const Trial& trial) { return !trial.disturbed.empty(); }));
}

// The lab's budget is that of all its variants and its own repeats; a run of more has more, one of less has no more
// than its share of it, so that what a trial costs shows in every run.
double BudgetOf(const Lab& lab, const RunOptions& options, size_t trials, bool looked) {
  const Nanos budget = options.quick ? lab.budget_quick : lab.budget_run;
  const size_t arms = lab.variants.size() + (lab.compares && !options.quick ? 1 : 0);
  const size_t declared = arms * static_cast<size_t>(options.quick ? 1 : std::max(1, lab.repeat));
  // The search for a knee takes what it takes, whatever runs then.
  const double looking = looked ? std::chrono::duration<double>(kKneeAllowance).count() : 0;
  return looking + (std::chrono::duration<double>(budget).count() - looking) * static_cast<double>(trials) /
                       static_cast<double>(std::max<size_t>(1, declared));
}

// What a disturbed trial left stays beside that of its repetition.
void SetAside(const std::string& folder) {
  std::error_code ignored;
  std::filesystem::rename(folder, Concat(folder, "-disturbed"), ignored);
}

// The trials of some arms, one after the other, each from fresh state.
class Trials {
 public:
  Trials(const Lab& lab, const RunOptions& options, Journal& journal, Spawner& spawner, Progress& progress,
         size_t trials)
      : lab_(lab), journal_(journal), spawner_(spawner), progress_(progress), trials_(trials) {
    // A generator that is starved on purpose would be so again.
    if (options.repeat_disturbed && options.starve_load <= 0) repetitions_left_ = (trials + 1) / 2;
  }

  absl::Status Run(const Arm& arm, int repeat, size_t index) {
    absl::StatusOr<Trial> trial = RunOnce(arm, repeat, index);
    if (!trial.ok()) return trial.status();
    if (OnlyTheHostDisturbed(*trial) && repetitions_left_ > 0) {
      --repetitions_left_;
      progress_.Note("the host disturbed this trial: it is run once more");
      SetAside(FolderOf(arm, repeat));
      const std::vector<std::string> disturbed = trial->host_problems;
      trial = RunOnce(arm, repeat, index);
      if (!trial.ok()) return trial.status();
      trial->disturbed = disturbed;
    }
    arm.run->trials.push_back(*std::move(trial));
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<Trial> RunOnce(const Arm& arm, int repeat, size_t index) {
    progress_.TrialStarts(arm.label, repeat, static_cast<int>(index), static_cast<int>(trials_));
    const std::string folder = FolderOf(arm, repeat);
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return absl::UnavailableError(Concat("cannot make ", folder, ": ", error.message()));
    absl::StatusOr<Trial> trial =
        RunTrial({lab_, *arm.variant, *arm.options, repeat, folder}, spawner_, journal_, progress_);
    if (!trial.ok()) return trial.status();
    trial->again = arm.again;
    progress_.TrialEnds(*trial);
    return trial;
  }

  const Lab& lab_;
  Journal& journal_;
  Spawner& spawner_;
  Progress& progress_;
  const size_t trials_;
  size_t repetitions_left_ = 0;
};

absl::Status RunTrials(const Lab& lab, const RunOptions& options, const std::vector<Arm>& arms, Progress& progress) {
  const absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(StateFolder(options.root));
  if (!journal.ok()) return journal.status();
  // Ends before the journal, and with it every child.
  Spawner spawner([&journal](pid_t pid, const std::string& name) { return (*journal)->Process(pid, name); });
  const auto interrupted = [&] { return options.interrupted != nullptr && options.interrupted->load() != 0; };
  const auto order = Interleaved(arms, std::max(1, options.repeat));
  Trials trials(lab, options, **journal, spawner, progress, order.size());
  for (size_t i = 0; i < order.size() && !interrupted(); ++i) {
    if (absl::Status status = trials.Run(*order[i].first, order[i].second, i); !status.ok()) return status;
  }
  for (const Arm& arm : arms) arm.run->interrupted = interrupted();
  return absl::OkStatus();
}

// The lab with its rates as they are offered. Where they are shares of a knee, that is found first and told in the run.
// Absent when there is none, or when it was interrupted: then there is nothing to run.
absl::StatusOr<std::optional<Lab>> WithRates(const Lab& lab, const RunOptions& options, Progress& progress, Run& run) {
  if (!UsesKnee(lab)) return lab;
  absl::StatusOr<Knee> knee = Calibrate(lab, options, Concat(run.folder, "/knee"), progress);
  run.interrupted = absl::IsCancelled(knee.status());
  if (run.interrupted) return std::nullopt;
  if (!knee.ok()) return knee.status();
  run.knee = *std::move(knee);
  if (!run.knee->per_s) return std::nullopt;
  return WithKnee(lab, *run.knee->per_s);
}

// What ended a run before its end. What there is of a run that a full disk ended would only keep it full; of one that
// was refused there is nothing to look at.
absl::Status BrokenOff(const absl::Status& status, const std::string& folder) {
  if (!IsDiskFull(status) && !absl::IsInvalidArgument(status)) {
    return absl::Status(status.code(), Concat(status.message(), "\nlogs: ", folder));
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return status;
}

// The value as a part of a file's name, numbered so that no two are the same.
std::string FolderName(const std::string& value, size_t number) {
  constexpr size_t kLongest = 40;
  std::string name = value.substr(0, kLongest);
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_') c = '_';
  }
  return Concat(number, "-", name);
}

// The operations of a trial, at most as many as the generator makes.
size_t OperationsOf(const Lab& lab, const RunOptions& options) {
  const size_t most = Generator::Options().max_ops;
  const std::vector<Phase> phases = TimelineOf(lab, options.quick);
  const double end_s = phases.empty() ? 0 : phases.back().end_s;
  size_t all = 0;
  for (const LoadSpec& load : lab.load) {
    size_t of_lane = 0;  // of a schedule that cannot be, the first trial tells why
    if (load.arrivals == Arrivals::kClosed) {
      const double each_s = 1e-3 + std::chrono::duration<double>(load.think).count();
      of_lane = static_cast<size_t>(load.closed_clients * end_s / each_s);
    } else if (const auto schedule = MakeSchedule(load, phases, options.seed, 0, most); schedule.ok()) {
      of_lane = schedule->size();
    }
    all += of_lane * std::max<size_t>(1, load.lanes.size());
  }
  return std::min(all, most);
}

}  // namespace

absl::Status CheckSweepMemory(const Lab& lab, const RunOptions& options, size_t trials, double available_bytes) {
  const size_t operations = OperationsOf(lab, options);
  const double bytes = static_cast<double>(operations) * static_cast<double>(trials) * sizeof(Op);
  if (bytes <= available_bytes / 2) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "the sweep would keep the operations of %d trials, about %d of each: %.1f GiB, and no more than half of the "
      "available %.1f GiB may be taken; sweep fewer values or variants, or take fewer blocks (--repeat)",
      trials, operations, bytes / (1 << 30), available_bytes / (1 << 30)));
}

absl::StatusOr<Run> RunLab(const Lab& lab, const RunOptions& options, Progress& progress) {
  const absl::StatusOr<std::vector<const VariantSpec*>> variants = Chosen(lab, options.variants);
  if (!variants.ok()) return variants.status();
  if (absl::Status entered = EnterNamespacesOf(lab); !entered.ok()) return entered;
  const absl::StatusOr<std::string> folder = MakeRunFolder(options.root, lab.name);
  if (!folder.ok()) return folder.status();
  const Clock::time_point begin = Clock::now();
  Run run = Describe(lab, options, *folder);
  const absl::StatusOr<std::optional<Lab>> rated = WithRates(lab, options, progress, run);
  std::vector<Arm> arms;
  for (const VariantSpec* variant : *variants) {
    arms.push_back({variant, &options, &run, variant->name, variant->name});
  }
  for (const VariantSpec* variant : *variants) {
    if (variant->name != options.again) continue;
    arms.push_back({variant, &options, &run, Concat(variant->name, " (again)"), variant->name, true});
  }
  absl::Status status = rated.status();
  if (rated.ok() && *rated) status = RunTrials(**rated, options, arms, progress);
  if (!status.ok()) return BrokenOff(status, *folder);
  FinishRunFolder(*folder);
  run.duration_s = std::chrono::duration<double>(Clock::now() - begin).count();
  run.budget_s = BudgetOf(lab, options, TrialsRun(run), run.knee && run.knee->source == "measured");
  if (run.over_budget()) {
    progress.Note(absl::StrFormat("the run took %.1f s, more than its budget of %.0f s", run.duration_s, run.budget_s));
  }
  return run;
}

absl::StatusOr<std::vector<Run>> RunSweep(const Lab& lab, const RunOptions& options, const SweepPlan& plan,
                                          Progress& progress) {
  const absl::StatusOr<std::vector<const VariantSpec*>> variants = Chosen(lab, options.variants);
  if (!variants.ok()) return variants.status();
  if (absl::Status entered = EnterNamespacesOf(lab); !entered.ok()) return entered;
  const absl::StatusOr<std::string> folder = MakeRunFolder(options.root, lab.name, "sweep");
  if (!folder.ok()) return folder.status();
  const Clock::time_point begin = Clock::now();
  std::vector<RunOptions> settings(plan.values.size(), options);  // arms point into these two
  std::vector<Run> runs;
  for (size_t i = 0; i < plan.values.size(); ++i) {
    settings[i].set[plan.part][plan.key] = plan.values[i];
    runs.push_back(Describe(lab, settings[i], *folder));
  }
  // All points are offered the same: the knee is that of the lab's own value of the knob.
  const absl::StatusOr<std::optional<Lab>> rated = WithRates(lab, options, progress, runs.front());
  for (Run& run : runs) {
    run.knee = runs.front().knee;
    run.interrupted = runs.front().interrupted;
  }
  std::vector<Arm> arms;
  for (size_t i = 0; i < plan.values.size(); ++i) {
    for (const VariantSpec* variant : *variants) {
      arms.push_back({variant, &settings[i], &runs[i], Concat(variant->name, ", ", plan.key, "=", plan.values[i]),
                      Concat(variant->name, "-", FolderName(plan.values[i], i + 1))});
    }
  }
  absl::Status status = rated.status();
  if (rated.ok() && *rated) {
    const size_t trials = arms.size() * static_cast<size_t>(std::max(1, options.repeat));
    status =
        CheckSweepMemory(**rated, options, trials, AvailableMemory().value_or(std::numeric_limits<double>::infinity()));
    if (status.ok()) status = RunTrials(**rated, options, arms, progress);
  }
  if (!status.ok()) return BrokenOff(status, *folder);
  PruneRunFolders(*folder);
  for (Run& run : runs) run.duration_s = std::chrono::duration<double>(Clock::now() - begin).count();
  return runs;
}

}  // namespace lab::bench
