#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/judge/expression.h"
#include "bench/labfile/lab.h"
#include "bench/labfile/quantity.h"
#include "bench/model/trial.h"

// The functions of the value grammar. Each lives in the file of its family and is registered there by name, with its
// selectors and unit; each says how many samples stand behind its value, or why there is none.
namespace lab::bench {

// A value with its evidence, in base units.
struct Evidence {
  std::optional<double> value;
  Unit unit;
  uint64_t samples = 0;
  std::string why;        // when there is no value
  bool at_least = false;  // the end of the phase cut it off: the true value is larger

  static Evidence Of(double value, uint64_t samples) { return {value, {}, samples, "", false}; }
  static Evidence None(std::string why, uint64_t samples = 0) {
    return {std::nullopt, {}, samples, std::move(why), false};
  }
};

// The selectors of one call. Texts were checked when the lab was read; an unreadable one gives the fallback.
class Selectors {
 public:
  explicit Selectors(const std::vector<Selector>& list);
  bool Has(const std::string& name) const { return texts_.contains(name); }
  std::string Text(const std::string& name, const std::string& fallback = "") const;
  double Number(const std::string& name, double fallback = 0) const;  // base units: "1s" → 1, "1/60" → 0.0167
  std::vector<std::string> Names(const std::string& name) const;      // "pause+kill" → both
  const std::map<std::string, std::string>& all() const { return texts_; }

 private:
  std::map<std::string, std::string> texts_;
};

enum class SelectorKind {
  kPhase,        // one phase
  kPhases,       // one or several, "pause+kill"
  kFaultPhases,  // phases in which a fault begins
  kStream,       // a lane or a load
  kPart,         // a part of the system, or "host", "generator"
  kCount,        // a number above 0
  kTime,         // a time above 0
  kShare,        // "1/60", "10%"
  kYesNo,
  kAs,    // rate, delta, last, max, min, mean
  kUnit,  // s, 1/s, bytes, cores, none
  kAsk,   // reads, writes
  kTier,  // any, l1, l2, stale
  kText,
};

struct SelectorSpec {
  std::string name;
  SelectorKind kind;
  bool required = false;
};

struct Function {
  std::string name;
  std::vector<SelectorSpec> selectors;
  bool labels = false;  // further selectors are labels of the metric
  std::function<Unit(const Selectors&)> unit;
  std::function<Evidence(const Trial&, const Lab&, const Selectors&)> evaluate;
};

// All of them, in the order of the README.
const std::vector<Function>& Functions();
const Function* FindFunction(const std::string& name);

void AddCounts(std::vector<Function>& functions);
void AddLatencies(std::vector<Function>& functions);
void AddLimiterValues(std::vector<Function>& functions);
void AddRecovery(std::vector<Function>& functions);
void AddFaultAccounts(std::vector<Function>& functions);
void AddRaceValues(std::vector<Function>& functions);
void AddSeriesValues(std::vector<Function>& functions);
void AddStaleness(std::vector<Function>& functions);
void AddCacheValues(std::vector<Function>& functions);

// A function whose unit does not depend on its selectors.
Function Fixed(std::string name, Unit unit, std::vector<SelectorSpec> selectors,
               std::function<Evidence(const Trial&, const Lab&, const Selectors&)> evaluate);

}  // namespace lab::bench
