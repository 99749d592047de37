#include "bench/fault/fault.h"

#include <algorithm>

#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

const std::vector<FaultKind>& FaultKinds() {
  static const std::vector<FaultKind> kinds = [] {
    std::vector<FaultKind> all = ProcessFaults();
    for (FaultKind& kind : RedisFaults()) all.push_back(std::move(kind));
    return all;
  }();
  return kinds;
}

std::vector<const FaultKind*> FaultsFor(const std::string& part_kind) {
  std::vector<const FaultKind*> found;
  for (const FaultKind& kind : FaultKinds()) {
    if (kind.part_kind.empty() || kind.part_kind == part_kind) found.push_back(&kind);
  }
  return found;
}

const FaultKind* FindFault(const std::string& part_kind, const std::string& action) {
  for (const FaultKind* kind : FaultsFor(part_kind)) {
    if (kind->action == action) return kind;
  }
  return nullptr;
}

std::string CheckFaultOptions(const FaultKind& kind, const std::map<std::string, std::string>& options) {
  std::vector<std::string> known;
  for (const FaultOption& option : kind.options) known.push_back(option.name);
  for (const auto& [name, value] : options) {
    const auto found =
        std::find_if(kind.options.begin(), kind.options.end(), [&](const FaultOption& o) { return o.name == name; });
    if (found == kind.options.end()) {
      return Concat(kind.action, " has no option \"", name, "\"", Suggestion(name, known));
    }
    if (!found->names.empty() && std::find(found->names.begin(), found->names.end(), value) == found->names.end()) {
      return Concat(kind.action, ".", name, " cannot be \"", value, "\"", Suggestion(value, found->names));
    }
  }
  return "";
}

}  // namespace lab::bench
