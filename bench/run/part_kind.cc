#include "bench/run/part_kind.h"

#include <unistd.h>

#include <filesystem>

#include "bench/fault/fault.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

namespace fs = std::filesystem;

std::string Build::ServiceBinary(const std::string& kind) const {
  const fs::path below = fs::path("services") / kind / kind;
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  for (fs::path folder = self.parent_path(); folder.has_relative_path(); folder = folder.parent_path()) {
    if (fs::exists(folder / "CMakeCache.txt", error)) return (folder / below).string();
  }
  return (fs::path(root) / "build" / "release" / below).string();
}

const std::vector<std::unique_ptr<PartKind>>& PartKinds() {
  static const std::vector<std::unique_ptr<PartKind>> kinds = [] {
    std::vector<std::unique_ptr<PartKind>> all;
    all.push_back(MakeRedisPart());
    all.push_back(MakeServicePart("ratelimit", "our rate limiter"));
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

void DescribeParts(const std::string& root, Catalogue* catalogue) {
  const Build build{root};
  for (const std::unique_ptr<PartKind>& kind : PartKinds()) {
    catalogue->wired[kind->name()] = kind->Wired();
    absl::StatusOr<std::vector<Catalogue::Knob>> knobs = kind->Knobs(build);
    if (knobs.ok()) {
      catalogue->knobs[kind->name()] = std::move(*knobs);
    } else {
      catalogue->not_here.push_back(kind->name());
    }
    for (const FaultKind* fault : FaultsFor(kind->name())) {
      std::vector<std::string>& options = catalogue->faults[Concat(kind->name(), ".", fault->action)];
      for (const FaultOption& option : fault->options) options.push_back(option.name);
    }
  }
}

std::map<std::string, std::string> FaultDocs() {
  std::map<std::string, std::string> docs;
  for (const std::unique_ptr<PartKind>& kind : PartKinds()) {
    for (const FaultKind* fault : FaultsFor(kind->name())) docs[Concat(kind->name(), ".", fault->action)] = fault->doc;
  }
  return docs;
}

std::vector<std::string> ServicesAmong(const std::vector<std::string>& kinds) {
  std::vector<std::string> services;
  for (const std::string& kind : kinds) {
    if (kind != "redis" && FindPartKind(kind) != nullptr) services.push_back(kind);
  }
  return services;
}

}  // namespace lab::bench
