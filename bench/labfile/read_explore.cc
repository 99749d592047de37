#include <algorithm>

#include "bench/labfile/parsing.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

// explore: the casts whose interleavings a trial goes through, instead of a load.
namespace lab::bench {
namespace {

constexpr size_t kMostCasts = 16;

std::vector<std::string> ReadCasts(const yaml::Value& list) {
  std::vector<std::string> casts;
  for (const yaml::Value& cast : list.List()) casts.push_back(cast.String());
  if (list.defined() && casts.empty()) list.Error("names no cast; one is written like \"R W evict die\"");
  if (casts.size() > kMostCasts) list.Error("more than 16 casts");
  return casts;
}

ExploreSpec::Casts ReadBoth(const yaml::Value& section) {
  ExploreSpec::Casts casts;
  casts.full = ReadCasts(section.Required("casts"));
  const yaml::Value quick = section.Optional("quick");
  casts.quick = quick.defined() ? ReadCasts(quick) : casts.full;
  return casts;
}

}  // namespace

const std::vector<std::string>& CastsOf(const ExploreSpec& explore, const std::string& variant, bool quick) {
  const auto own = explore.own.find(variant);
  const ExploreSpec::Casts& casts = own == explore.own.end() ? explore.casts : own->second;
  return quick ? casts.quick : casts.full;
}

void ReadExplore(const yaml::Value& explore, Reading& reading) {
  if (!explore.defined()) return;
  ExploreSpec spec;
  spec.line = explore.line();
  spec.casts = ReadBoth(explore);
  for (const auto& [name, own] : explore.Optional("variants").Entries()) {
    spec.own[name] = ReadBoth(own);
    own.Finish();
    const std::vector<std::string> known =
        NamesOf(reading.lab.variants, [](const VariantSpec& variant) { return variant.name; });
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      own.Error(Concat("unknown variant \"", name, "\"", Suggestion(name, known)));
    }
  }
  spec.matrix = explore.Optional("matrix").String();
  explore.Finish();
  reading.lab.explore = std::move(spec);
}

void CheckExplore(const yaml::Value& explore, const Reading& reading) {
  if (!explore.defined()) return;
  if (!reading.lab.load.empty()) {
    explore.Error("a trial explores or carries load; take the load into a lab file of its own");
  }
  if (!reading.lab.faults.empty()) explore.Error("faults need a load; what may happen to a cast is part of the cast");
  if (reading.lab.phases.size() > 1) explore.Error("takes one phase, whose length bounds it");
  if (reading.catalogue.check_explore == nullptr || reading.lab.explore->casts.full.empty()) return;
  if (const std::string wrong = reading.catalogue.check_explore(reading.lab); !wrong.empty()) explore.Error(wrong);
}

}  // namespace lab::bench
