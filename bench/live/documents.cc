#include "bench/live/documents.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "bench/ui/system_map.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {
namespace {

using Json = nlohmann::ordered_json;

// Text of parts and probes may hold bytes that are not UTF-8.
std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json OrNull(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json Part(const PartNow& part) {
  Json ports = Json::object();
  for (const auto& [name, address] : part.info.ports) {
    ports[name] = std::atoi(address.substr(address.rfind(':') + 1).c_str());
  }
  return {{"name", part.part},      {"replica", part.replica},      {"label", part.info.name},
          {"kind", part.info.kind}, {"version", part.info.version}, {"state", StateWordOf(part)},
          {"pid", part.pid},        {"ports", std::move(ports)},    {"changed", part.info.changed}};
}

Json Fault(const FaultRecord& fault) {
  return {{"id", fault.id},
          {"fault", fault.fault},
          {"part", fault.part},
          {"asked_s", fault.asked_s},
          {"applied_s", OrNull(fault.applied_s)},
          {"seen_s", OrNull(fault.seen_s)},
          {"evidence", fault.evidence},
          {"heal_asked_s", OrNull(fault.heal_asked_s)},
          {"healed_s", OrNull(fault.healed_s)},
          {"error", fault.error},
          {"ends_s", OrNull(fault.ends_s)}};
}

}  // namespace

std::string StateWordOf(const PartNow& part) {
  if (part.pid <= 0 || part.state == '?' || part.state == 'Z') return "down";
  return part.state == 'T' ? "stopped" : "up";
}

std::string PartsJson(const std::vector<PartNow>& parts) {
  Json all = Json::array();
  for (const PartNow& part : parts) all.push_back(Part(part));
  return Dump(all);
}

std::string PartJson(const PartNow& part) {
  return Dump({{"name", part.part}, {"replica", part.replica}, {"state", StateWordOf(part)}});
}

std::string LinksJson(const Lab& lab) {
  std::vector<PartInfo> parts;
  for (const PartSpec& part : lab.system) {
    parts.emplace_back();
    parts.back().name = part.name;
    parts.back().kind = part.kind.empty() ? part.name : part.kind;
  }
  std::vector<std::string> targets;
  for (const LoadSpec& load : lab.load) targets.push_back(load.target);
  Json links = Json::array();
  for (const auto& [from, to] : ui::LinksOf(parts, targets)) {
    const bool proxied =
        std::any_of(lab.links.begin(), lab.links.end(),
                    [&, from = from, to = to](const LinkSpec& link) { return link.from == from && link.to == to; });
    links.push_back({{"from", from}, {"to", to}, {"proxied", proxied}});
  }
  return Dump(links);
}

std::string BreakableJson(const std::vector<Breakable>& breakable) {
  Json all = Json::array();
  for (const Breakable& one : breakable) {
    Json options = Json::array();
    for (const FaultOption& option : one.kind->options) {
      options.push_back(
          {{"name", option.name}, {"fallback", option.fallback}, {"doc", option.doc}, {"names", option.names}});
    }
    all.push_back({{"fault", one.fault},
                   {"doc", one.kind->doc},
                   {"options", std::move(options)},
                   {"instantaneous", one.kind->instantaneous}});
  }
  return Dump(all);
}

std::string FaultJson(const FaultRecord& fault) { return Dump(Fault(fault)); }

std::string FaultsJson(const std::vector<FaultRecord>& faults) {
  Json all = Json::array();
  for (const FaultRecord& fault : faults) all.push_back(Fault(fault));
  return Dump(all);
}

std::string SecondJson(double at_s, const LiveLoad& load, const Queues& queues) {
  return Dump({{"at_s", at_s},
               {"offered", load.offered_per_s},
               {"achieved", load.achieved_per_s},
               {"errors", load.errors_per_s},
               {"dropped", load.dropped_per_s},
               {"admitted", load.admitted_per_s},
               {"p50_s", load.p50_s},
               {"p99_s", load.p99_s},
               {"p999_s", load.p999_s},
               {"max_s", load.max_s},
               {"in_flight", load.in_flight},
               {"queues", queues}});
}

std::string NoteJson(double at_s, const std::string& text) { return Dump({{"at_s", at_s}, {"text", text}}); }

Queues QueuesOf(const std::vector<ObservedValue>& look) {
  Queues queues;
  for (const ObservedValue& value : look) {
    if (ui::IsDepth(value.name)) queues[Concat(value.part, ".", value.name)] += value.value;
  }
  return queues;
}

}  // namespace lab::bench::live
