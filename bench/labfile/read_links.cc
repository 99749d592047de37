#include <algorithm>

#include "bench/labfile/parsing.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

// Links: between whom a proxy is placed, so that faults can act on what goes there.
namespace lab::bench {
namespace {

size_t PlaceOf(const Lab& lab, const std::string& part) {
  for (size_t i = 0; i < lab.system.size(); ++i) {
    if (lab.system[i].name == part) return i;
  }
  return lab.system.size();
}

void ReadLink(const yaml::Value& entry, Reading& reading) {
  Lab& lab = reading.lab;
  const std::string text = entry.String();
  const size_t arrow = text.find("->");
  if (arrow == std::string::npos) {
    entry.Error(Concat("\"", text, "\" is no link; write from->to, as ratelimit->redis or load->ratelimit"));
    return;
  }
  const LinkSpec link{text.substr(0, arrow), text.substr(arrow + 2), entry.line()};
  std::vector<std::string> from = PartNames(lab);
  from.push_back("load");
  if (std::find(from.begin(), from.end(), link.from) == from.end()) {
    entry.Error(Concat("unknown part \"", link.from, "\"", Suggestion(link.from, from)));
    return;
  }
  if (FindPart(lab, link.to) == nullptr) {
    entry.Error(Concat("unknown part \"", link.to, "\"", Suggestion(link.to, PartNames(lab))));
    return;
  }
  if (link.from != "load" && PlaceOf(lab, link.to) >= PlaceOf(lab, link.from)) {
    entry.Error(Concat("\"", link.from, "\" is started before \"", link.to,
                       "\", so it does not connect to it; parts connect to those above them in system:"));
    return;
  }
  if (FindLink(lab, link.name()) != nullptr) {
    entry.Error(Concat("\"", link.name(), "\" is there twice"));
    return;
  }
  lab.links.push_back(link);
}

}  // namespace

const LinkSpec* FindLink(const Lab& lab, std::string_view name) {
  for (const LinkSpec& link : lab.links) {
    if (link.name() == name) return &link;
  }
  return nullptr;
}

void ReadLinks(const yaml::Value& links, Reading& reading) {
  for (const yaml::Value& entry : links.List()) ReadLink(entry, reading);
}

void CheckLinks(const yaml::Value& links, const Reading& reading) {
  const Lab& lab = reading.lab;
  for (const LinkSpec& link : lab.links) {
    const PartSpec* to = FindPart(lab, link.to);
    const bool loaded = std::any_of(lab.load.begin(), lab.load.end(), [&](const LoadSpec& load) {
      const std::string target = load.target.substr(0, load.target.find('.'));
      return target == link.to || target == to->kind;
    });
    if (link.from == "load" && !loaded) links.Error(Concat("\"", link.name(), "\": no load targets ", link.to));
  }
}

}  // namespace lab::bench
