#include "bench/judge/functions.h"

#include "absl/strings/str_split.h"

namespace lab::bench {

Selectors::Selectors(const std::vector<Selector>& list) {
  for (const Selector& selector : list) texts_[selector.name] = selector.text;
}

std::string Selectors::Text(const std::string& name, const std::string& fallback) const {
  const auto found = texts_.find(name);
  return found == texts_.end() ? fallback : found->second;
}

double Selectors::Number(const std::string& name, double fallback) const {
  const auto found = texts_.find(name);
  if (found == texts_.end()) return fallback;
  const absl::StatusOr<Quantity> quantity = QuantityOf(found->second);
  if (quantity.ok()) return quantity->value;
  const absl::StatusOr<double> share = ShareOf(found->second);
  return share.ok() ? *share : fallback;
}

std::vector<std::string> Selectors::Names(const std::string& name) const {
  const auto found = texts_.find(name);
  if (found == texts_.end()) return {};
  return absl::StrSplit(found->second, '+');
}

const std::vector<Function>& Functions() {
  static const std::vector<Function> functions = [] {
    std::vector<Function> list;
    AddCounts(list);
    AddLatencies(list);
    AddLimiterValues(list);
    AddRecovery(list);
    AddFaultAccounts(list);
    AddSeriesValues(list);
    AddStaleness(list);
    AddCacheValues(list);
    AddRaceValues(list);
    return list;
  }();
  return functions;
}

const Function* FindFunction(const std::string& name) {
  for (const Function& function : Functions()) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

Function Fixed(std::string name, Unit unit, std::vector<SelectorSpec> selectors,
               std::function<Evidence(const Trial&, const Lab&, const Selectors&)> evaluate) {
  return {std::move(name), std::move(selectors), false, [unit](const Selectors&) { return unit; }, std::move(evaluate)};
}

}  // namespace lab::bench
