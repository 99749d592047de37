#include "bench/ui/system_map.h"

#include <algorithm>

#include "absl/strings/match.h"

namespace lab::bench::ui {

std::vector<std::pair<std::string, std::string>> LinksOf(const std::vector<PartInfo>& parts,
                                                         const std::vector<std::string>& targets) {
  std::vector<std::pair<std::string, std::string>> links;
  const auto add = [&links](const std::string& from, const std::string& to) {
    const std::pair<std::string, std::string> link(from, to);
    if (std::find(links.begin(), links.end(), link) == links.end()) links.push_back(link);
  };
  for (const std::string& target : targets) {
    const std::string wanted = target.substr(0, target.find('.'));
    for (const PartInfo& part : parts) {
      if (part.name == wanted || part.kind == wanted) add("load", part.name);
    }
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].kind == "redis" || parts[i].kind == "postgres") continue;  // ask nobody
    for (size_t earlier = 0; earlier < i; ++earlier) {
      if (parts[earlier].kind != parts[i].kind) add(parts[i].name, parts[earlier].name);
    }
  }
  return links;
}

bool IsDepth(const std::string& metric) {
  static constexpr const char* kEndings[] = {"_outstanding", "_in_flight", "_queued", "_waiting",        "_pending",
                                             "_backlog",     "_depth",     "_busy",   "_blocked_clients"};
  return std::any_of(std::begin(kEndings), std::end(kEndings),
                     [&](const char* ending) { return absl::EndsWith(metric, ending); });
}

}  // namespace lab::bench::ui
