#include "bench/run/runner.h"

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "absl/strings/str_format.h"
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

std::string LocalTime() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[64];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S%z", &local);
  return text;
}

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

struct Turn {
  const VariantSpec* variant = nullptr;
  int repeat = 1;
  bool again = false;
};

// A B C, then C B A, then A B C …: what drifts over a run hits all variants alike. The one that runs again is one more
// of them and comes last, so that it is as far from its first turn as two variants can be from each other.
std::vector<Turn> Interleaved(const std::vector<const VariantSpec*>& variants, const RunOptions& options) {
  std::vector<Turn> turns;
  for (const VariantSpec* variant : variants) turns.push_back({variant, 1, false});
  for (const VariantSpec* variant : variants) {
    if (variant->name == options.again) turns.push_back({variant, 1, true});
  }
  std::vector<Turn> order;
  for (int repeat = 1; repeat <= std::max(1, options.repeat); ++repeat) {
    for (size_t i = 0; i < turns.size(); ++i) {
      order.push_back(turns[repeat % 2 == 1 ? i : turns.size() - 1 - i]);
      order.back().repeat = repeat;
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
    for (const auto& [key, value] : set) run.changed[Concat(part, ".", key)] = value;
  }
  if (options.starve_load > 0) run.changed["starve-load"] = Concat(options.starve_load);
  for (const std::string& fault : options.defuse) run.changed[Concat("defuse.", fault)] = "yes";
  run.predictions = options.predictions;
  run.started = LocalTime();
  return run;
}

// "deny-1", "deny-1-again".
absl::StatusOr<std::string> MakeTrialFolder(const std::string& run_folder, const Turn& turn) {
  const std::string folder =
      Concat(run_folder, "/trials/", turn.variant->name, "-", turn.repeat, turn.again ? "-again" : "");
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(Concat("cannot make ", folder, ": ", error.message()));
  return folder;
}

// The lab's budget is that of all its variants and its own repeats; a run of more has more, one of less has no more
// than its share of it, so that what a trial costs shows in every run.
double BudgetOf(const Lab& lab, const RunOptions& options, size_t trials) {
  const Nanos budget = options.quick ? lab.budget_quick : lab.budget_run;
  const size_t arms = lab.variants.size() + (lab.compares && !options.quick ? 1 : 0);
  const size_t declared = arms * static_cast<size_t>(options.quick ? 1 : std::max(1, lab.repeat));
  return std::chrono::duration<double>(budget).count() * static_cast<double>(trials) /
         static_cast<double>(std::max<size_t>(1, declared));
}

absl::Status RunTrials(const Lab& lab, const RunOptions& options, const std::vector<const VariantSpec*>& variants,
                       Progress& progress, Run& run) {
  const absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(StateFolder(options.root));
  if (!journal.ok()) return journal.status();
  // Ends before the journal, and with it every child.
  Spawner spawner([&journal](pid_t pid, const std::string& name) { return (*journal)->Process(pid, name); });
  const auto interrupted = [&] { return options.interrupted != nullptr && options.interrupted->load() != 0; };
  const std::vector<Turn> order = Interleaved(variants, options);
  for (size_t i = 0; i < order.size() && !interrupted(); ++i) {
    const Turn& turn = order[i];
    progress.TrialStarts(turn.variant->name + (turn.again ? " (again)" : ""), turn.repeat, static_cast<int>(i),
                         static_cast<int>(order.size()));
    const absl::StatusOr<std::string> folder = MakeTrialFolder(run.folder, turn);
    if (!folder.ok()) return folder.status();
    absl::StatusOr<Trial> trial =
        RunTrial({lab, *turn.variant, options, turn.repeat, *folder}, spawner, **journal, progress);
    if (!trial.ok()) return trial.status();
    trial->again = turn.again;
    progress.TrialEnds(*trial);
    run.trials.push_back(std::move(*trial));
  }
  run.interrupted = interrupted();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Run> RunLab(const Lab& lab, const RunOptions& options, Progress& progress) {
  const absl::StatusOr<std::vector<const VariantSpec*>> variants = Chosen(lab, options.variants);
  if (!variants.ok()) return variants.status();
  if (absl::Status entered = EnterNamespacesOf(lab); !entered.ok()) return entered;
  const absl::StatusOr<std::string> folder = MakeRunFolder(options.root, lab.name);
  if (!folder.ok()) return folder.status();
  const Clock::time_point begin = Clock::now();
  Run run = Describe(lab, options, *folder);
  const absl::Status status = RunTrials(lab, options, *variants, progress, run);
  if (IsDiskFull(status) || absl::IsInvalidArgument(status)) {
    // What there is of this run would only keep the disk full; of one that was refused there is nothing to look at.
    std::error_code ignored;
    std::filesystem::remove_all(*folder, ignored);
    return status;
  }
  if (!status.ok()) return absl::Status(status.code(), Concat(status.message(), "\nlogs: ", *folder));
  FinishRunFolder(*folder);
  run.duration_s = std::chrono::duration<double>(Clock::now() - begin).count();
  run.budget_s = BudgetOf(lab, options, run.trials.size());
  if (run.over_budget()) {
    progress.Note(absl::StrFormat("the run took %.1f s, more than its budget of %.0f s", run.duration_s, run.budget_s));
  }
  return run;
}

}  // namespace lab::bench
