#include "bench/run/needs.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "bench/fault/fault.h"
#include "bench/host/namespaces.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

Namespaces NamespacesOf(const Lab& lab) {
  Namespaces wanted;
  wanted.network = lab.private_network;
  for (const PartSpec& part : lab.system) wanted.mounts = wanted.mounts || part.disk_bytes > 0;
  return wanted;
}

// A line each.
std::vector<std::string> NotHere(const Lab& lab) {
  std::vector<std::string> lines;
  const Namespaces wanted = NamespacesOf(lab);
  if (wanted.network || wanted.mounts) {
    const std::string why = WhyNoNamespaces(wanted);
    if (!why.empty()) lines.push_back(Concat(wanted.network ? "network: private" : "disk", ": ", why));
  }
  std::set<std::string> asked;
  for (const FaultSpec& fault : lab.faults) {
    if (!asked.insert(fault.fault).second) continue;
    const size_t dot = fault.fault.find('.');
    const FaultKind* kind = FindFault(fault.fault.substr(0, dot), fault.fault.substr(dot + 1));
    if (kind == nullptr || kind->why_not_here == nullptr) continue;
    if (const std::string why = kind->why_not_here(); !why.empty()) lines.push_back(Concat(fault.fault, ": ", why));
  }
  return lines;
}

}  // namespace

absl::Status CheckNeeds(const Lab& lab) {
  const std::vector<std::string> not_here = NotHere(lab);
  if (not_here.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(Concat(lab.name, " is skipped, this host does not allow what it needs:\n",
                                              absl::StrJoin(not_here, "\n"), "\nnothing was started"));
}

absl::Status EnterNamespacesOf(const Lab& lab, bool network) {
  Namespaces wanted = NamespacesOf(lab);
  wanted.network = wanted.network && network;
  return EnterNamespaces(wanted);
}

}  // namespace lab::bench
