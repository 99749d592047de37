#include "bench/cli/checkout.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bench/fault/fault.h"
#include "bench/judge/difference.h"
#include "bench/judge/judge.h"
#include "bench/load/check.h"
#include "bench/load/target.h"
#include "bench/run/explore_trial.h"
#include "bench/run/part_kind.h"
#include "bench/run/run_folder.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/nearest.h"

namespace lab::bench::cli {
namespace {

namespace fs = std::filesystem;

bool IsCheckout(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_directory(folder / "labs", ignored) && fs::exists(folder / "CMakeLists.txt", ignored);
}

}  // namespace

absl::StatusOr<std::string> FindRoot() {
  std::error_code ignored;
  if (const char* given = std::getenv("LAB_ROOT"); given != nullptr && *given != '\0') {
    if (IsCheckout(given)) return fs::absolute(given, ignored).lexically_normal().string();
    return absl::FailedPreconditionError(
        absl::StrCat("LAB_ROOT=", given, " is no checkout of the lab (it has no labs/)"));
  }
  fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (; folder.has_relative_path(); folder = folder.parent_path()) {
    if (IsCheckout(folder)) return folder.string();
  }
  return absl::FailedPreconditionError("no checkout of the lab above this program; set LAB_ROOT to its folder");
}

Catalogue MakeCatalogue(const std::string& root) {
  Catalogue catalogue;
  DescribeParts(root, &catalogue);
  catalogue.targets = TargetFields();
  catalogue.invariants = InvariantNames();
  catalogue.check_load = CheckLoad;
  catalogue.check_explore = CheckExplore;
  catalogue.knee = true;
  catalogue.check_expression = CheckExpression;
  catalogue.comparisons = CountComparisons;
  catalogue.check_fault_option = CheckFaultOption;
  return catalogue;
}

absl::StatusOr<Lab> OpenLab(const std::string& root, const std::string& lab, const Catalogue& catalogue) {
  if (lab.find('/') != std::string::npos || absl::EndsWith(lab, ".yaml")) {
    std::error_code ignored;
    const fs::path file = fs::is_directory(lab, ignored) ? fs::path(lab) / "lab.yaml" : fs::path(lab);
    if (!fs::is_regular_file(file, ignored)) {
      return absl::NotFoundError(absl::StrCat("there is no lab file ", file.string()));
    }
    return LoadLab(file.lexically_normal().string(), catalogue);
  }
  const std::vector<std::string> names = LabNames(root);
  if (std::find(names.begin(), names.end(), lab) == names.end()) {
    return absl::NotFoundError(absl::StrCat("there is no lab \"", lab, "\"", Suggestion(lab, names)));
  }
  return LoadLab(LabFile(root, lab), catalogue);
}

absl::Status CheckBuilt(const Lab& lab, const Catalogue& catalogue) {
  for (const PartSpec& part : lab.system) {
    const std::string kind = part.kind.empty() ? part.name : part.kind;
    for (const std::string& missing : catalogue.not_here) {
      if (missing != kind) continue;
      const PartKind* known = FindPartKind(kind);
      const std::string remedy = known == nullptr ? "" : known->Remedy();
      return absl::NotFoundError(absl::StrCat(lab.name, " needs ", kind, ", which is not here; ",
                                              remedy.empty() ? "./lab run " + lab.name + " builds it" : remedy));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<CardTemplate> ReadCardTemplate(const Lab& lab) {
  CardTemplate card;
  card.file = (fs::path(lab.file).parent_path() / "card.md").string();
  std::error_code ignored;
  if (!fs::exists(card.file, ignored)) return card;
  absl::StatusOr<std::string> text = ReadFile(card.file, 1 << 20);
  if (!text.ok()) return text.status();
  card.text = std::move(*text);
  return card;
}

std::vector<std::string> RunFolders(const std::string& root, const std::string& lab) {
  std::vector<fs::path> runs;
  std::error_code ignored;
  const fs::path base = fs::path(StateFolder(root)) / "runs";
  for (const fs::directory_entry& of_lab : fs::directory_iterator(base, ignored)) {
    if (!lab.empty() && of_lab.path().filename() != lab) continue;
    for (const fs::directory_entry& run : fs::directory_iterator(of_lab.path(), ignored)) {
      if (!run.is_symlink(ignored) && fs::exists(run.path() / "result.json", ignored)) runs.push_back(run.path());
    }
  }
  std::sort(runs.begin(), runs.end(), [](const fs::path& a, const fs::path& b) { return RunOrder(a) < RunOrder(b); });
  std::vector<std::string> folders;
  for (const fs::path& run : runs) folders.push_back(run.string());
  return folders;
}

absl::StatusOr<std::string> FindRun(const std::string& root, const std::string& run) {
  std::error_code ignored;
  const fs::path base = fs::path(StateFolder(root)) / "runs";
  if (!run.empty()) {
    for (const fs::path& folder : {fs::path(run), base / run}) {
      if (fs::exists(folder / "result.json", ignored)) return fs::absolute(folder, ignored).lexically_normal().string();
    }
    if (run.find('/') != std::string::npos) return absl::NotFoundError(absl::StrCat("there is no run in ", run));
    const std::vector<std::string> names = LabNames(root);
    if (std::find(names.begin(), names.end(), run) == names.end()) {
      return absl::InvalidArgumentError(absl::StrCat("there is no lab or run \"", run, "\"", Suggestion(run, names)));
    }
  }
  const std::vector<std::string> runs = RunFolders(root, run);
  if (!runs.empty()) return runs.back();
  return absl::NotFoundError(absl::StrCat("no run", run.empty() ? "" : " of " + run, " yet; ./lab run ",
                                          run.empty() ? "rate-limit-outage" : run, " makes one"));
}

std::string ShortPath(const std::string& path) {
  std::error_code error;
  const fs::path current = fs::current_path(error);
  if (error) return path;
  const fs::path relative = fs::path(path).lexically_relative(current);
  const bool below = !relative.empty() && *relative.begin() != "..";
  return below ? relative.string() : path;
}

}  // namespace lab::bench::cli
