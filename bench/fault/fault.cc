#include "bench/fault/fault.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "bench/fault/failpoint_faults.h"
#include "bench/fault/host_access.h"
#include "bench/host/namespaces.h"
#include "bench/labfile/quantity.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

const std::vector<FaultKind>& FaultKinds() {
  static const std::vector<FaultKind> kinds = [] {
    std::vector<FaultKind> all = ProcessFaults();
    for (auto* table : {&RedisFaults, &RedisKeyFaults, &PostgresFaults, &LinkFaults, &CgroupFaults, &NetworkFaults,
                        &FailpointFaults}) {
      for (FaultKind& kind : table()) all.push_back(std::move(kind));
    }
    return all;
  }();
  return kinds;
}

std::vector<const FaultKind*> FaultsFor(const std::string& part_kind) {
  std::vector<const FaultKind*> found;
  for (const FaultKind& kind : FaultKinds()) {
    if (kind.part_kind == part_kind || (kind.part_kind.empty() && part_kind != "link")) found.push_back(&kind);
  }
  return found;
}

const FaultKind* FindFault(const std::string& part_kind, const std::string& action) {
  for (const FaultKind* kind : FaultsFor(part_kind)) {
    if (kind->action == action) return kind;
  }
  return nullptr;
}

std::string WrongShare(const std::string& text) {
  const absl::StatusOr<double> share = ShareOf(text);
  if (share.ok() && *share > 0 && *share <= 1) return "";
  return Concat("\"", text, "\" is not a share between 1% and 100%");
}

std::string WrongBytes(const std::string& text) {
  const absl::StatusOr<Quantity> quantity = QuantityOf(text);
  if (!quantity.ok()) return std::string(quantity.status().message());
  return quantity->unit.SameKind(Unit::Bytes()) && quantity->value >= 0 ? "" : Concat("\"", text, "\" is not a size");
}

std::string WrongName(const std::string& text) {
  const bool right = !text.empty() && text.size() <= 63 && !absl::ascii_isdigit(static_cast<unsigned char>(text[0])) &&
                     std::all_of(text.begin(), text.end(), [](unsigned char c) {
                       return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
                     });
  return right ? "" : Concat("\"", text, "\" is no name: small letters, digits and _");
}

std::string WrongTable(const std::string& text) {
  const size_t dot = text.find('.');
  if (dot == std::string::npos) return WrongName(text);
  const std::string wrong = WrongName(text.substr(0, dot));
  return wrong.empty() ? WrongName(text.substr(dot + 1)) : wrong;
}

std::string WrongCount(const std::string& text) {
  int count = -1;
  return absl::SimpleAtoi(text, &count) && count >= 0 && count <= 5000
             ? ""
             : Concat("\"", text, "\" is no count from 0 to 5000");
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
    if (found->wrong == nullptr) continue;
    if (const std::string wrong = found->wrong(value); !wrong.empty()) {
      return Concat(kind.action, ".", name, ": ", wrong);
    }
  }
  return "";
}

std::string WhyNotOn(const FaultKind& kind, FaultTarget& part) {
  if (kind.needs == "network" && !OwnNamespaces().network) {
    return "its packets cross the host's own network; \"network: private\" in a lab file gives a run one of its own";
  }
  if (kind.needs == "disk" && (part.host() == nullptr || part.host()->OwnDisk().empty())) {
    return Concat("it has no disk of its own; \"disk: 16mb\" at ", part.name(), " in the lab file gives it one");
  }
  return kind.why_not_here == nullptr ? "" : kind.why_not_here();
}

std::string CheckFaultOption(const std::string& fault, const std::string& option, const std::string& value) {
  const size_t dot = fault.find('.');
  if (dot == std::string::npos) return "";
  const FaultKind* kind = FindFault(fault.substr(0, dot), fault.substr(dot + 1));
  return kind == nullptr ? "" : CheckFaultOptions(*kind, {{option, value}});
}

}  // namespace lab::bench
