#include "bench/run/part_kind.h"

#include <unistd.h>

#include <filesystem>

#include "bench/cacheapi/rest_reads.h"
#include "bench/fault/fault.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

namespace fs = std::filesystem;

namespace {

// The path below the build that this program is of; else below build/release.
std::string BelowBuild(const std::string& root, const fs::path& below) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  for (fs::path folder = self.parent_path(); folder.has_relative_path(); folder = folder.parent_path()) {
    if (fs::exists(folder / "CMakeCache.txt", error)) return (folder / below).string();
  }
  return (fs::path(root) / "build" / "release" / below).string();
}

}  // namespace

absl::StatusOr<std::vector<Catalogue::Knob>> PartKind::KnobsOf(const Build& build, const std::string& binary) const {
  if (absl::Status executable = CheckExecutable(binary); !executable.ok()) return executable;
  return Knobs(build);
}

absl::Status CheckExecutable(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return absl::NotFoundError(Concat("there is no program ", path));
  if (!fs::is_regular_file(path, error))
    return absl::NotFoundError(Concat(path, " is no program, but a folder or device"));
  if (access(path.c_str(), X_OK) != 0) {
    return absl::NotFoundError(Concat(path, " cannot be executed; chmod +x ", path));
  }
  return absl::OkStatus();
}

std::string Build::ServiceBinary(const std::string& kind) const {
  return BelowBuild(root, fs::path("services") / kind / kind);
}

std::string Build::ProxyBinary() const { return BelowBuild(root, "bench/proxy/fault_proxy"); }

const std::vector<std::unique_ptr<PartKind>>& PartKinds() {
  static const std::vector<std::unique_ptr<PartKind>> kinds = [] {
    std::vector<std::unique_ptr<PartKind>> all;
    all.push_back(MakeRedisPart());
    all.push_back(MakePostgresPart());
    all.push_back(MakeServicePart("ratelimit", "our rate limiter"));
    all.push_back(
        MakeServicePart("cacheapi", "our cache-aside API",
                        {{{"postgres.database", "insights"}, {"postgres.user", "lab"}}, &cacheapi::ReadAtRest}));
    return all;
  }();
  return kinds;
}

const PartKind* FindPartKind(const std::string& name) {
  for (const std::unique_ptr<PartKind>& kind : PartKinds()) {
    if (kind->name() == name) return kind.get();
  }
  return nullptr;
}

namespace {

// A failpoint is one of those that the part's program has, and failpoints are on in every variant.
std::string CheckFailpoint(const Lab& lab, const FaultSpec& fault, const PartSpec& part) {
  constexpr const char* kEnabled = "failpoints.enabled";
  const auto on = [&](const std::map<std::string, std::string>& set, bool otherwise) {
    const auto found = set.find(kEnabled);
    return found == set.end() ? otherwise : found->second == "true";
  };
  const bool in_part = on(part.set, false);
  for (const VariantSpec& variant : lab.variants) {
    const auto set = variant.set.find(part.name);
    if (set == variant.set.end() ? in_part : on(set->second, in_part)) continue;
    return Concat(fault.fault, " needs ", kEnabled, ": true in system.", part.name, ".set");
  }
  const PartKind* kind = FindPartKind(part.kind);
  return kind == nullptr ? "" : kind->FailpointError(Build{}, part, fault.options);
}

// What is only known with the fault's kind: what the lab has to give for it.
std::string CheckFault(const Lab& lab, const FaultSpec& fault) {
  const size_t dot = fault.fault.find('.');
  const FaultKind* kind = FindFault(fault.fault.substr(0, dot), fault.fault.substr(dot + 1));
  if (kind == nullptr) return "";
  if (kind->needs == "network" && !lab.private_network) {
    return Concat(fault.fault, " needs a network of the lab's own: write \"network: private\" at the top of the file");
  }
  for (const PartSpec& part : lab.system) {
    if (kind->needs != "disk" || part.name != fault.part || part.disk_bytes > 0) continue;
    return Concat(fault.fault, " needs a disk of the part's own: write \"disk: 16mb\" at system.", part.name);
  }
  for (const PartSpec& part : lab.system) {
    if (part.name == fault.part && kind->action == "failpoint") return CheckFailpoint(lab, fault, part);
  }
  return "";
}

void DescribeFaults(const std::string& part_kind, Catalogue* catalogue) {
  for (const FaultKind* fault : FaultsFor(part_kind)) {
    std::vector<std::string>& options = catalogue->faults[Concat(part_kind, ".", fault->action)];
    for (const FaultOption& option : fault->options) options.push_back(option.name);
  }
}

}  // namespace

void DescribeParts(const std::string& root, Catalogue* catalogue) {
  const Build build{root};
  catalogue->check_fault = &CheckFault;
  catalogue->knobs_of_binary = [build](const std::string& kind,
                                       const std::string& binary) -> absl::StatusOr<std::vector<Catalogue::Knob>> {
    const PartKind* part = FindPartKind(kind);
    if (part == nullptr) return absl::NotFoundError(Concat("there is no part of the kind ", kind));
    return part->KnobsOf(build, binary);
  };
  for (const std::unique_ptr<PartKind>& kind : PartKinds()) {
    catalogue->wired[kind->name()] = kind->Wired();
    absl::StatusOr<std::vector<Catalogue::Knob>> knobs = kind->Knobs(build);
    if (knobs.ok()) {
      catalogue->knobs[kind->name()] = std::move(*knobs);
    } else {
      catalogue->not_here.push_back(kind->name());
    }
    DescribeFaults(kind->name(), catalogue);
  }
  DescribeFaults("link", catalogue);
}

std::map<std::string, std::string> FaultDocs() {
  std::map<std::string, std::string> docs;
  for (const std::unique_ptr<PartKind>& kind : PartKinds()) {
    for (const FaultKind* fault : FaultsFor(kind->name())) docs[Concat(kind->name(), ".", fault->action)] = fault->doc;
  }
  for (const FaultKind* fault : FaultsFor("link")) docs[Concat("link.", fault->action)] = fault->doc;
  return docs;
}

std::vector<std::string> ServicesAmong(const std::vector<std::string>& kinds) {
  std::vector<std::string> services;
  for (const std::string& kind : kinds) {
    const PartKind* found = FindPartKind(kind);
    if (found != nullptr && found->Remedy().empty()) services.push_back(kind);
  }
  return services;
}

}  // namespace lab::bench
