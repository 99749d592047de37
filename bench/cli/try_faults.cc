#include "bench/cli/try_faults.h"

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bench/fault/fault.h"
#include "bench/host/namespaces.h"
#include "bench/run/journal.h"
#include "bench/run/part_kind.h"
#include "bench/run/process.h"
#include "bench/run/run_folder.h"
#include "bench/run/system.h"

namespace lab::bench::cli {
namespace {

namespace fs = std::filesystem;

constexpr Nanos kLength = Millis(400);  // a pause of all commands ends by itself only
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
  FaultTrial trial{absl::StrCat(target.kind(), ".", kind.action), "", "", ""};
  const std::unique_ptr<Fault> fault = kind.make({target, kind.on_idle, kind.instantaneous ? Nanos{} : Nanos(kLength)});
  absl::Status status = fault->Prepare();
  if (status.ok()) status = fault->Apply();
  const bool seen = status.ok() && Within(kSeen, [&] {
                      const std::optional<std::string> evidence = fault->Seen();
                      trial.evidence = evidence.value_or("");
                      return evidence.has_value();
                    });
  absl::Status healed;
  const auto heal = [&] {  // until it succeeds: a busy Redis takes no SCRIPT KILL at first
    healed = kind.instantaneous ? absl::OkStatus() : fault->Heal();
    return healed.ok();
  };
  Within(kHealed, heal);
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

// On a part alone, on ports and folders of its own and new for each fault: what one of them leaves behind is not held
// against the next.
FaultTrial TryOn(const std::string& root, const std::string& kind, const FaultKind& fault, const std::string& folder,
                 Spawner& spawner, Journal& journal) {
  Lab lab;
  PartSpec part;
  part.name = part.kind = kind;
  if (fault.needs == "disk") {
    part.disk_bytes = 16 << 20;
    part.set = {{"appendonly", "yes"}};
  }
  lab.private_network = fault.needs == "network";
  lab.system.push_back(part);
  FaultTrial trial{absl::StrCat(kind, ".", fault.action), "", "", ""};
  if (fault.why_not_here != nullptr) trial.why_not_here = fault.why_not_here();
  if (!trial.why_not_here.empty()) return trial;
  Progress silent;
  System system(lab, {root, folder + "/trial", folder + "/data", {}, [] { return false; }}, spawner, journal);
  if (const absl::Status started = system.Start(silent); started.ok()) {
    trial = TryFault(fault, *system.Find(kind, 0));
  } else {
    trial.error = std::string(started.message());
  }
  system.Stop(true);
  return trial;
}

}  // namespace

std::vector<std::pair<std::string, const FaultKind*>> FaultsToTry(const std::string& root) {
  std::vector<std::pair<std::string, const FaultKind*>> all;
  for (const FaultKind* fault : FaultsFor("redis")) all.emplace_back("redis", fault);
  const PartKind* postgres = FindPartKind("postgres");
  if (postgres == nullptr || !postgres->Version(Build{root}, {}).ok()) return all;
  for (const FaultKind* fault : FaultsFor("postgres")) {
    if (fault->why_not_here == nullptr) all.emplace_back("postgres", fault);
  }
  return all;
}

std::vector<FaultTrial> TryFaults(const std::string& root) {
  const absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(StateFolder(root));
  if (!journal.ok()) return {{"all", "", std::string(journal.status().message()), ""}};
  // Before the spawner makes its thread, so that all parts are in them.
  const Namespaces ours{.network = true, .mounts = true};
  if (WhyNoNamespaces(ours).empty()) (void)EnterNamespaces(ours);
  Spawner spawner([&journal](pid_t pid, const std::string& name) { return (*journal)->Process(pid, name); });
  const std::string folder = (*journal)->folder() + "/doctor";
  std::error_code error;
  fs::create_directories(folder + "/trial", error);
  std::vector<FaultTrial> trials;
  for (const auto& [part, fault] : FaultsToTry(root)) {
    trials.push_back(TryOn(root, part, *fault, folder, spawner, **journal));
  }
  return trials;
}

}  // namespace lab::bench::cli
