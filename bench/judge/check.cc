#include <algorithm>

#include "bench/judge/constant.h"
#include "bench/judge/difference.h"
#include "bench/judge/expression.h"
#include "bench/judge/functions.h"
#include "bench/judge/invariants.h"
#include "bench/judge/judge.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

// Checks expressions before anything starts: names, selectors, and units.
namespace lab::bench {
namespace {

constexpr char kUnknownLabel[] = "?";  // of a value that has an error of its own, reported at its own line

Unit UnknownUnit() { return {0, 0, kUnknownLabel}; }
bool IsUnknown(const Unit& unit) { return unit.label == kUnknownLabel; }

// A literal 0 is a time, a rate or a size as well.
bool IsZero(const Node& node) {
  return node.kind == Node::Kind::kNumber && node.number.value == 0 && node.number.unit.label.empty();
}

std::string Quoted(const std::string& text) { return Concat("\"", text, "\""); }

class Checker {
 public:
  Checker(const Lab& lab, ExpressionUse use) : lab_(lab), use_(use) {}

  absl::StatusOr<Unit> UnitOf(const Node& node) const {
    switch (node.kind) {
      case Node::Kind::kNumber:
        return node.number.unit;
      case Node::Kind::kReference:
        return OfReference(node);
      case Node::Kind::kCall:
        return OfCall(node);
      case Node::Kind::kBinary:
        return OfBinary(node);
      default:
        return OfList(node);
    }
  }

  // "" or why these two cannot be added or compared.
  static absl::Status SameKind(const Node& left, const Unit& left_unit, const Node& right, const Unit& right_unit) {
    if (IsUnknown(left_unit) || IsUnknown(right_unit) || IsZero(left) || IsZero(right)) return absl::OkStatus();
    if (left_unit.SameKind(right_unit)) return absl::OkStatus();
    std::string text = Concat(KindName(left_unit), " and ", KindName(right_unit), " do not go together");
    const bool right_is_bare = right.kind == Node::Kind::kNumber && right_unit.label.empty();
    const bool left_is_bare = left.kind == Node::Kind::kNumber && left_unit.label.empty();
    if (right_is_bare) text += Concat(": write ", HowToWrite(left_unit, right.written));
    if (left_is_bare) text += Concat(": write ", HowToWrite(right_unit, left.written));
    return ErrorAt(right.at, text);
  }

  absl::Status CheckSelectors(const Node& call, const std::vector<SelectorSpec>& specs, bool labels) const {
    std::vector<std::string> known;
    for (const SelectorSpec& spec : specs) known.push_back(spec.name);
    for (const Selector& selector : call.selectors) {
      const auto spec = std::find_if(specs.begin(), specs.end(),
                                     [&](const SelectorSpec& candidate) { return candidate.name == selector.name; });
      if (spec == specs.end()) {
        if (labels) continue;
        return ErrorAt(selector.at, Concat(call.name, " has no selector ", Quoted(selector.name),
                                           known.empty() ? "; it has none" : Suggestion(selector.name, known)));
      }
      const std::string wrong = SelectorError(spec->kind, selector.text);
      if (!wrong.empty()) return ErrorAt(selector.at, Concat(selector.name, ": ", wrong));
    }
    const Selectors given(call.selectors);
    for (const SelectorSpec& spec : specs) {
      if (spec.required && !given.Has(spec.name)) {
        return ErrorAt(call.at, Concat(call.name, " needs ", spec.name, "=…"));
      }
    }
    if (given.Has("phase") && given.Has("fault")) {
      return ErrorAt(call.at, Concat(call.name, ": phase and fault exclude each other"));
    }
    return CheckAfter(call, given);
  }

 private:
  // Of each phase something must be left.
  absl::Status CheckAfter(const Node& call, const Selectors& given) const {
    if (!given.Has("after")) return absl::OkStatus();
    const double after_s = given.Number("after");
    for (const bool quick : {false, true}) {
      for (const PhaseSpec& phase : PhasesOf(lab_, quick)) {
        const std::vector<std::string> names = given.Names("phase");
        if (std::find(names.begin(), names.end(), phase.name) == names.end()) continue;
        if (after_s < std::chrono::duration<double>(phase.length).count()) continue;
        return ErrorAt(
            call.at, Concat("after: ", given.Text("after"), " leaves nothing of the ", quick ? "quick " : "", "phase ",
                            phase.name, ", which lasts ", FormatDuration(phase.length), "; write less"));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Unit> OfReference(const Node& node) const {
    if (use_ == ExpressionUse::kValue) {
      return ErrorAt(node.at,
                     "values are made of functions of one trial; those of variants stand in expect and predict");
    }
    std::vector<std::string> variants;
    for (const VariantSpec& variant : lab_.variants) variants.push_back(variant.name);
    const bool named = std::find(variants.begin(), variants.end(), node.variant) != variants.end();
    if (use_ == ExpressionUse::kPrediction && node.variant == "each") {
      return ErrorAt(node.at, "a prediction asks for one variant, not for each");
    }
    if (!named && node.variant != "each") {
      variants.push_back("each");
      return ErrorAt(node.at, Concat("unknown variant ", Quoted(node.variant), Suggestion(node.variant, variants)));
    }
    std::vector<std::string> values;
    for (const ValueSpec& value : lab_.values) {
      values.push_back(value.name);
      if (value.name != node.name) continue;
      const absl::StatusOr<Node> tree = ParseValue(value.expression);
      if (!tree.ok()) return UnknownUnit();
      const absl::StatusOr<Unit> unit = Checker(lab_, ExpressionUse::kValue).UnitOf(*tree);
      return unit.ok() ? *unit : UnknownUnit();
    }
    return ErrorAt(node.at, Concat("unknown value ", Quoted(node.name), Suggestion(node.name, values)));
  }

  absl::StatusOr<Unit> OfCall(const Node& node) const {
    const bool is_value = std::any_of(lab_.values.begin(), lab_.values.end(),
                                      [&](const ValueSpec& value) { return value.name == node.name; });
    if (use_ != ExpressionUse::kValue) {
      const std::string variant = use_ == ExpressionUse::kPrediction ? lab_.reference : "each";
      if (is_value) return ErrorAt(node.at, Concat("of which variant? write ", variant, ".", node.name));
      return ErrorAt(node.at, Concat(Quoted(node.name), ": name a value of a variant here, as ", variant,
                                     ".p99, and define it under values"));
    }
    const Function* function = FindFunction(node.name);
    if (function == nullptr) {
      std::vector<std::string> names;
      for (const Function& candidate : Functions()) names.push_back(candidate.name);
      return ErrorAt(node.at, Concat("unknown function ", Quoted(node.name), Suggestion(node.name, names)));
    }
    const absl::Status selectors = CheckSelectors(node, function->selectors, function->labels);
    if (!selectors.ok()) return selectors;
    const Selectors given(node.selectors);
    if (node.name == "recovery" && !given.Has("like") && !HasPhase("steady")) {
      return ErrorAt(node.at, "recovery needs like=<a phase before the fault>, as there is no phase \"steady\"");
    }
    return function->unit(given);
  }

  absl::StatusOr<Unit> OfBinary(const Node& node) const {
    const absl::StatusOr<Unit> left = UnitOf(node.children[0]);
    if (!left.ok()) return left;
    const absl::StatusOr<Unit> right = UnitOf(node.children[1]);
    if (!right.ok()) return right;
    if (IsUnknown(*left) || IsUnknown(*right)) return UnknownUnit();
    if (node.op == '*') return Multiply(*left, *right);
    if (node.op == '/') return Divide(*left, *right);
    const absl::Status same = SameKind(node.children[0], *left, node.children[1], *right);
    if (!same.ok()) return same;
    return IsZero(node.children[0]) ? *right : *left;
  }

  absl::StatusOr<Unit> OfList(const Node& node) const {
    absl::StatusOr<Unit> first = UnitOf(node.children[0]);
    for (size_t i = 1; i < node.children.size() && first.ok(); ++i) {
      const absl::StatusOr<Unit> unit = UnitOf(node.children[i]);
      if (!unit.ok()) return unit;
      const absl::Status same = SameKind(node.children[0], *first, node.children[i], *unit);
      if (!same.ok()) return same;
    }
    return first;
  }

  std::string PhasesError(const std::string& text, bool one, bool with_fault) const {
    const std::vector<std::string> names = Selectors({{"phase", text, 0}}).Names("phase");
    if (one && names.size() != 1) return "name one phase";
    std::vector<std::string> known, faulty;
    for (const PhaseSpec& phase : lab_.phases) known.push_back(phase.name);
    for (const FaultSpec& fault : lab_.faults) faulty.push_back(fault.phase);
    for (const std::string& name : names) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        return Concat("unknown phase ", Quoted(name), Suggestion(name, known));
      }
      if (with_fault && std::find(faulty.begin(), faulty.end(), name) == faulty.end()) {
        return Concat("no fault begins in phase ", Quoted(name));
      }
    }
    return "";
  }

  bool HasPhase(const std::string& name) const { return PhasesError(name, true, false).empty(); }

  std::string NameError(const char* what, const std::string& text, const std::vector<std::string>& known) const {
    if (std::find(known.begin(), known.end(), text) != known.end()) return "";
    return Concat("unknown ", what, " ", Quoted(text), Suggestion(text, known));
  }

  std::string AmountError(const std::string& text, const Unit& wanted, const std::string& example) const {
    const absl::StatusOr<Quantity> quantity = QuantityOf(text);
    if (!quantity.ok() || !quantity->unit.SameKind(wanted) || quantity->value <= 0) {
      return Concat(Quoted(text), " is not ", KindName(wanted), " above 0; write it as ", example);
    }
    return "";
  }

  std::string SelectorError(SelectorKind kind, const std::string& text) const {
    switch (kind) {
      case SelectorKind::kPhase:
      case SelectorKind::kPhases:
        return PhasesError(text, kind == SelectorKind::kPhase, false);
      case SelectorKind::kFaultPhases:
        return PhasesError(text, false, true);
      case SelectorKind::kStream: {
        std::vector<std::string> known;
        for (const LoadSpec& load : lab_.load) {
          known.push_back(load.name);
          for (const auto& [lane, request] : load.lanes) known.push_back(lane);
        }
        return NameError("stream", text, known);
      }
      case SelectorKind::kPart: {
        std::vector<std::string> known;
        for (const PartSpec& part : lab_.system) known.push_back(part.name);
        known.insert(known.end(), {"host", "generator"});
        return NameError("part", text, known);
      }
      case SelectorKind::kCount:
        return AmountError(text, Unit::Plain(), "50");
      case SelectorKind::kTime:
        return AmountError(text, Unit::Seconds(), "1s");
      case SelectorKind::kShare: {
        const absl::StatusOr<double> share = ShareOf(text);
        return share.ok() && *share > 0 && *share <= 1 ? ""
                                                       : Concat(Quoted(text), " is not a share; write 1/60 or 10%");
      }
      case SelectorKind::kYesNo:
        return NameError("choice", text, {"yes", "no"});
      case SelectorKind::kAs:
        return NameError("form", text, {"rate", "delta", "last", "max", "min", "mean"});
      case SelectorKind::kAsk:
        return NameError("kind of operation", text, {"reads", "writes"});
      case SelectorKind::kTier:
        return NameError("tier", text, {"any", "l1", "l2", "stale"});
      case SelectorKind::kUnit:
        return NameError("unit", text, {"s", "1/s", "bytes", "cores", "none"});
      case SelectorKind::kText:
        return "";
    }
    return "";
  }

  const Lab& lab_;
  ExpressionUse use_;
};

absl::Status CheckDivisions(const Node& node) {
  const Node* division = DivisionByZero(node);
  return division == nullptr ? absl::OkStatus() : ErrorAt(division->children[1].at, "divides by 0; divide by a value");
}

// Nothing that a run measures could change the answer.
absl::Status CheckUndecided(const Comparison& comparison) {
  const Node& left = comparison.left;
  if (!comparison.high) {
    if (!ConstantDifference(left, comparison.right)) return absl::OkStatus();
    return ErrorAt(left.at,
                   "is decided before the run, as what is measured cancels out; compare a value, as each.p99, with"
                   " a bound");
  }
  const std::optional<double> span = ConstantDifference(*comparison.high, comparison.right);
  if (span && *span < 0) {
    return ErrorAt(comparison.right.at, "the range is empty: its first bound is above its second; exchange them");
  }
  if (!span || !ConstantDifference(left, comparison.right)) return absl::OkStatus();
  return ErrorAt(left.at, "is decided before the run, as what is measured cancels out; compare a value with a range");
}

absl::Status CheckValue(const Lab& lab, const std::string& text, ExpressionUse use) {
  const absl::StatusOr<Node> tree = ParseValue(text);
  if (!tree.ok()) return tree.status();
  bool names_something = false;
  Walk(*tree, [&](const Node& node) {
    names_something = names_something || node.kind == Node::Kind::kCall || node.kind == Node::Kind::kReference;
  });
  if (!names_something || ConstantOf(*tree)) {
    return ErrorAt(0, "measures nothing: it is the same number whatever a run gives");
  }
  if (absl::Status status = CheckDivisions(*tree); !status.ok()) return status;
  return Checker(lab, use).UnitOf(*tree).status();
}

// A comparison of variants that the lab's own repeats could never decide.
absl::Status CheckRepeats(const Lab& lab, const std::string& text) {
  const bool expected = std::any_of(lab.expect.begin(), lab.expect.end(),
                                    [&](const ExpectSpec& rule) { return rule.expression == text; });
  const size_t needed = expected ? BlocksNeeded(text, lab) : 0;
  if (static_cast<size_t>(lab.repeat) >= needed) return absl::OkStatus();
  return ErrorAt(0, Concat("compares variants, which takes ", needed,
                           " interleaved repeats here; write repeat: ", needed, " or more (it is ", lab.repeat, ")"));
}

absl::Status CheckComparison(const Lab& lab, const std::string& text) {
  const absl::StatusOr<Comparison> comparison = ParseComparison(text);
  if (!comparison.ok()) return comparison.status();
  bool names_something = false;
  Walk(*comparison,
       [&](const Node& node) { names_something = names_something || node.kind == Node::Kind::kReference; });
  const Checker checker(lab, ExpressionUse::kExpectation);
  const absl::StatusOr<Unit> left = checker.UnitOf(comparison->left);
  if (!left.ok()) return left.status();
  for (const Node* side : {&comparison->right, comparison->high ? &*comparison->high : nullptr}) {
    if (side == nullptr) continue;
    const absl::StatusOr<Unit> right = checker.UnitOf(*side);
    if (!right.ok()) return right.status();
    const absl::Status same = Checker::SameKind(comparison->left, *left, *side, *right);
    if (!same.ok()) return same;
  }
  if (!names_something) return ErrorAt(0, "compares nothing that was measured; name a value, as each.p99");
  for (const Node* side : {&comparison->left, &comparison->right, comparison->high ? &*comparison->high : nullptr}) {
    if (side == nullptr) continue;
    if (absl::Status status = CheckDivisions(*side); !status.ok()) return status;
  }
  if (absl::Status status = CheckUndecided(*comparison); !status.ok()) return status;
  return CheckRepeats(lab, text);
}

absl::Status CheckInvariant(const Lab& lab, const std::string& text) {
  const absl::StatusOr<Node> call = ParseCall(text);
  if (!call.ok()) return call.status();
  const Invariant* invariant = FindInvariant(call->name);
  if (invariant == nullptr) {
    return ErrorAt(call->at,
                   Concat("unknown invariant ", Quoted(call->name), Suggestion(call->name, InvariantNames())));
  }
  return Checker(lab, ExpressionUse::kInvariant).CheckSelectors(*call, invariant->selectors, false);
}

}  // namespace

std::string CheckExpression(const Lab& lab, const std::string& text, ExpressionUse use) {
  absl::Status status;
  if (use == ExpressionUse::kExpectation) {
    status = CheckComparison(lab, text);
  } else if (use == ExpressionUse::kInvariant) {
    status = CheckInvariant(lab, text);
  } else {
    status = CheckValue(lab, text, use);
  }
  return std::string(status.message());
}

}  // namespace lab::bench
