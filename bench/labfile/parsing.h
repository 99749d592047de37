#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/labfile/lab.h"
#include "services/runtime/base/strict_yaml.h"

// Private to bench/labfile: the sections of a lab file, each read by one function into the lab. They add their errors
// to the document and go on, so that a file tells everything that is wrong with it at once.
namespace lab::bench {

struct Reading {
  const Catalogue& catalogue;
  Lab lab;
  // Places of what can be checked only when the whole file has been read.
  struct Late {
    yaml::Value place;
    std::string text;
    ExpressionUse use;
  };
  std::vector<Late> expressions;
  std::vector<yaml::Value> variant_places;  // beside lab.variants
  std::vector<yaml::Value> load_places;     // beside lab.load
  bool faults_unclear = false;              // one could not be read: where faults begin is not known for certain
};

void ReadSystem(const yaml::Value& system, Reading& reading);
void ReadVariants(const yaml::Value& variants, Reading& reading);
void ReadLinks(const yaml::Value& links, Reading& reading);
// Once the loads are known.
void CheckLinks(const yaml::Value& links, const Reading& reading);
void ReadPhases(const yaml::Value& phases, const yaml::Value& quick, Reading& reading);
void ReadFaults(const yaml::Value& faults, Reading& reading);
inline constexpr size_t kMostOccurrences = 1000;  // of one fault, or of the drawn ones of one entry, in a phase
inline Nanos ShareOfPhase(Nanos length, double share) {
  return Nanos(std::llround(static_cast<double>(length.count()) * share));
}
RetrySpec ReadRetries(const yaml::Value& retries);
void ReadLoads(const yaml::Value& load, Reading& reading);
void ReadExplore(const yaml::Value& explore, Reading& reading);
// Once the variants and the load are known.
void CheckExplore(const yaml::Value& explore, const Reading& reading);
void ReadKnee(const yaml::Value& knee, Reading& reading);

// "part: {key: value, group: {key: value}}" flattened to dotted keys, unchecked.
std::vector<std::pair<std::string, yaml::Value>> FlatScalars(const yaml::Value& map);

// "" or what is wrong with this configuration of a part that is run by the program `binary` ("": its own). The names of
// its files are what "@name" may refer to.
std::string KnobError(const Catalogue& catalogue, const PartSpec& part, const std::string& binary,
                      const std::string& key, const std::string& value);

// Lower-case letters, digits, "_" and, where `hyphen`, "-"; begins with a letter.
bool IsName(std::string_view text, bool hyphen);
// Adds an error when the name of this entry cannot be written in an expression.
void CheckName(const yaml::Value& place, const std::string& name, bool hyphen);

// Adds an error when the section is there with nothing in it: it would be without effect.
void RefuseEmpty(const yaml::Value& section, bool empty, std::string_view remedy);

template <typename List, typename Projection>
std::vector<std::string> NamesOf(const List& list, Projection name) {
  std::vector<std::string> names;
  for (const auto& item : list) names.push_back(name(item));
  return names;
}
std::vector<std::string> PhaseNames(const Lab& lab);
std::vector<std::string> PartNames(const Lab& lab);
// Null when there is none of that name.
const PhaseSpec* FindPhase(const std::vector<PhaseSpec>& phases, std::string_view name);
const PartSpec* FindPart(const Lab& lab, std::string_view name);
const LinkSpec* FindLink(const Lab& lab, std::string_view name);

}  // namespace lab::bench
