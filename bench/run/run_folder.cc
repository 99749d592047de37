#include "bench/run/run_folder.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "absl/strings/ascii.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/time.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

// Only folders that we named are ever removed.
bool IsRunName(const std::string& name) {
  constexpr std::string_view kForm = "dddddddd-dddddd";
  if (name.size() < kForm.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool digit = absl::ascii_isdigit(static_cast<unsigned char>(name[i]));
    const bool dash_place = i == 8 || i == kForm.size();
    if (dash_place ? name[i] != '-' : !digit) return false;
  }
  return true;
}

}  // namespace

std::string StateFolder(const std::string& root) {
  const char* given = std::getenv("LAB_STATE");
  // Absolute: parts run in folders of their own.
  std::error_code error;
  const fs::path folder = given != nullptr && *given != '\0' ? fs::path(given) : fs::path(root) / ".lab";
  const fs::path absolute = fs::absolute(folder, error);
  return (error ? folder : absolute).lexically_normal().string();
}

absl::StatusOr<std::string> MakeRunFolder(const std::string& root, const std::string& lab, const std::string& kind) {
  const fs::path runs = fs::path(StateFolder(root)) / "runs" / lab;
  std::error_code error;
  fs::create_directories(runs, error);
  if (error) return absl::UnavailableError(Concat("cannot make ", runs.string(), ": ", error.message()));
  const std::string now = LocalTime("%Y%m%d-%H%M%S");
  const std::string stamp = kind.empty() ? now : Concat(now, "-", kind);
  for (int number = 1; number <= 1000; ++number) {
    const fs::path folder = runs / (number == 1 ? stamp : Concat(stamp, "-", number));
    if (fs::create_directory(folder, error)) return folder.string();
    if (error) return absl::UnavailableError(Concat("cannot make ", folder.string(), ": ", error.message()));
  }
  return absl::ResourceExhaustedError(Concat("more than a thousand runs called ", stamp, " in ", runs.string()));
}

std::pair<std::string, int> RunOrder(const std::string& folder) {
  const std::string name = fs::path(folder).filename().string();
  return {name.substr(0, 15), name.size() > 16 ? std::atoi(name.c_str() + 16) : 1};
}

void FinishRunFolder(const std::string& folder, int keep, int keep_operations) {
  const fs::path path(folder);
  std::error_code ignored;
  const fs::path link = path.parent_path() / "latest";
  const fs::path fresh = path.parent_path() / Concat(".latest-", path.filename().string());
  fs::create_directory_symlink(path.filename(), fresh, ignored);
  fs::rename(fresh, link, ignored);  // replaces at once: there always is a latest
  PruneRunFolders(folder, keep, keep_operations);
}

void PruneRunFolders(const std::string& folder, int keep, int keep_operations) {
  const fs::path path(folder);
  std::error_code ignored;
  // Only runs with a result count: one that could not start pushes none out. And never this run, which has no result
  // yet, and whose name is not the newest when the clock was set back.
  const auto has_result = [&ignored](const fs::path& run) {
    return fs::exists(run / "result.json", ignored) || fs::exists(run / "sweep.json", ignored);
  };
  std::vector<fs::path> runs;
  for (const fs::directory_entry& entry : fs::directory_iterator(path.parent_path(), ignored)) {
    if (!entry.is_symlink() && IsRunName(entry.path().filename().string()) && entry.path() != path &&
        has_result(entry.path())) {
      runs.push_back(entry.path());
    }
  }
  std::sort(runs.begin(), runs.end(), [](const fs::path& a, const fs::path& b) { return RunOrder(a) > RunOrder(b); });
  for (size_t i = 0; i < runs.size(); ++i) {
    const int place = static_cast<int>(i) + 2;  // this run is the first
    if (place > keep) {
      fs::remove_all(runs[i], ignored);
    } else if (place > keep_operations) {
      for (const fs::directory_entry& trial : fs::directory_iterator(runs[i] / "trials", ignored)) {
        fs::remove(trial.path() / "ops.csv", ignored);
      }
    }
  }
}

}  // namespace lab::bench
