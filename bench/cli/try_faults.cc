#include "bench/cli/try_faults.h"

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bench/fault/fault.h"
#include "bench/run/journal.h"
#include "bench/run/process.h"
#include "bench/run/run_folder.h"
#include "bench/run/system.h"

namespace lab::bench::cli {
namespace {

namespace fs = std::filesystem;

constexpr Nanos kLength = std::chrono::seconds(1);  // some end by themselves only
constexpr Nanos kSeen = std::chrono::seconds(3);
constexpr Nanos kHealed = std::chrono::seconds(5);

bool Within(Nanos time, const std::function<bool()>& condition) {
  const Clock::time_point end = Clock::now() + time;
  while (Clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(Millis(10));
  }
  return false;
}

FaultTrial TryFault(const FaultKind& kind, FaultTarget& target) {
  FaultTrial trial{absl::StrCat(target.kind(), ".", kind.action), "", ""};
  const std::unique_ptr<Fault> fault = kind.make({target, {}, kind.instantaneous ? Nanos{} : Nanos(kLength)});
  absl::Status status = fault->Prepare();
  if (status.ok()) status = fault->Apply();
  const bool seen = status.ok() && Within(kSeen, [&] {
                      const std::optional<std::string> evidence = fault->Seen();
                      trial.evidence = evidence.value_or("");
                      return evidence.has_value();
                    });
  const absl::Status healed = kind.instantaneous ? absl::OkStatus() : fault->Heal();
  if (!status.ok()) {
    trial.error = std::string(status.message());
  } else if (!seen) {
    trial.error = "applied, but no probe saw an effect";
  } else if (!healed.ok()) {
    trial.error = std::string(healed.message());
  } else if (!Within(kHealed, [&] { return fault->Healed(); })) {
    trial.error = "seen, but not well again within 5 s of its healing";
  }
  return trial;
}

// A part alone, on ports and folders of its own, for as long as its faults are tried.
std::vector<FaultTrial> TryOn(const std::string& root, const std::string& kind, const std::string& folder,
                              Spawner& spawner, Journal& journal) {
  Lab lab;
  PartSpec part;
  part.name = part.kind = kind;
  lab.system.push_back(part);
  Progress silent;
  std::vector<FaultTrial> trials;
  System system(lab, {root, folder + "/trial", folder + "/data", {}, [] { return false; }}, spawner, journal);
  const absl::Status started = system.Start(silent);
  for (const FaultKind* fault : FaultsFor(kind)) {
    if (started.ok()) {
      trials.push_back(TryFault(*fault, *system.Find(kind, 0)));
    } else {
      trials.push_back({absl::StrCat(kind, ".", fault->action), "", std::string(started.message())});
    }
  }
  system.Stop(true);
  return trials;
}

}  // namespace

std::vector<FaultTrial> TryFaults(const std::string& root) {
  const absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(StateFolder(root));
  if (!journal.ok()) return {{"all", "", std::string(journal.status().message())}};
  Spawner spawner([&journal](pid_t pid, const std::string& name) { return (*journal)->Process(pid, name); });
  const std::string folder = (*journal)->folder() + "/doctor";
  std::error_code error;
  fs::create_directories(folder + "/trial", error);
  return TryOn(root, "redis", folder, spawner, **journal);
}

}  // namespace lab::bench::cli
