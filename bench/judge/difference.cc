#include "bench/judge/difference.h"

#include <algorithm>
#include <cmath>

#include "bench/judge/evaluate.h"

namespace lab::bench {
namespace {

// Ways to arrange `blocks` and `others` so that exactly u of all their pairs lie on one side, for all u; as shares of
// all ways.
std::vector<double> PairShares(size_t blocks, size_t others) {
  // Adding a block to either side: the classical recursion, kept for all m at one n.
  const size_t pairs = blocks * others;
  std::vector<std::vector<double>> of_m(others + 1, std::vector<double>(pairs + 1, 0));
  for (std::vector<double>& ways : of_m) ways[0] = 1;  // n = 0: one way, no pairs
  for (size_t n = 1; n <= blocks; ++n) {
    std::vector<std::vector<double>> next(others + 1, std::vector<double>(pairs + 1, 0));
    next[0][0] = 1;
    for (size_t m = 1; m <= others; ++m) {
      for (size_t u = 0; u <= n * m; ++u) next[m][u] = next[m - 1][u] + (u >= m ? of_m[m][u - m] : 0);
    }
    of_m = std::move(next);
  }
  std::vector<double> shares = std::move(of_m[others]);
  double all = 0;
  for (const double ways : shares) all += ways;
  for (double& ways : shares) ways /= all;
  return shares;
}

// The largest place up to which these shares add up to no more than `error`; none when the first one is more.
std::optional<size_t> MostWithin(const std::vector<double>& shares, double error) {
  std::optional<size_t> most;
  double sum = 0;
  for (size_t place = 0; place < shares.size(); ++place) {
    sum += shares[place];
    if (sum > error) break;
    most = place;
  }
  return most;
}

std::set<std::string> VariantsIn(const Node& tree) {
  std::set<std::string> variants;
  Walk(tree, [&](const Node& node) {
    if (node.kind == Node::Kind::kReference) variants.insert(node.variant);
  });
  return variants;
}

// Whether a value of the lab is a latency or a service time, whose noise the small shift was measured on.
bool IsTime(const Lab& lab, const std::string& value) {
  for (const ValueSpec& spec : lab.values) {
    if (spec.name != value) continue;
    const absl::StatusOr<Node> tree = ParseValue(spec.expression);
    bool time = false;
    if (!tree.ok()) return false;
    Walk(*tree, [&](const Node& node) {
      time = time || (node.kind == Node::Kind::kCall &&
                      (node.name.starts_with("latency_") || node.name.starts_with("service_")));
    });
    return time;
  }
  return false;
}

// Whether the bound lies so near to equality of the variants that a small shift decides it. Said of the expression
// alone: every value of every variant stands for the same amount.
bool AsksForSmallShift(const Comparison& comparison, const Lab& lab) {
  bool times = true;
  Walk(comparison, [&](const Node& node) {
    if (node.kind == Node::Kind::kReference) times = times && IsTime(lab, node.name);
    // "a.p99 + 5ms": how near that is to a.p99, only a run can tell.
    if (node.kind == Node::Kind::kNumber) times = times && !node.number.unit.SameKind(Unit::Seconds());
  });
  if (!times) return false;
  const Resolver one = [](const std::string&, const std::string&) { return Evidence::Of(1, 1); };
  const Compared equal = Compare(comparison, one);
  if (!equal.left || !equal.right || *equal.left <= 0 || *equal.right <= 0) return false;
  const auto near = [&](double bound) {
    return std::abs(std::log(*equal.left / bound)) < std::log(kSmallShift) * 0.999;
  };
  return near(*equal.right) || (equal.high && *equal.high > 0 && near(*equal.high));
}

size_t NeededFor(const Comparison& comparison, const Lab& lab) {
  const size_t least = LeastBlocks(PairingOf(comparison), std::max<size_t>(1, CountComparisons(lab)));
  return AsksForSmallShift(comparison, lab) ? std::max(least, kBlocksForSmallShift) : least;
}

}  // namespace

std::set<std::string> VariantsOf(const Comparison& comparison) {
  std::set<std::string> variants;
  Walk(comparison, [&](const Node& node) {
    if (node.kind == Node::Kind::kReference) variants.insert(node.variant);
  });
  return variants;
}

Pairing PairingOf(const Comparison& comparison) {
  bool mixed = false;
  Walk(comparison, [&](const Node& node) {
    const bool extreme = node.kind == Node::Kind::kMax || node.kind == Node::Kind::kMin;
    mixed = mixed || (extreme && VariantsIn(node).size() > 1);
  });
  return VariantsOf(comparison).size() == 2 && !mixed ? Pairing::kAllPairs : Pairing::kBlocks;
}

double PairTail(size_t blocks, size_t pairs) {
  const std::vector<double> shares = PairShares(blocks, blocks);
  double sum = 0;
  for (size_t u = 0; u <= std::min(pairs, shares.size() - 1); ++u) sum += shares[u];
  return sum;
}

double CoinTail(size_t tries, size_t hits) {
  double sum = 0, ways = 1;
  for (size_t k = 0; k <= std::min(hits, tries); ++k) {
    if (k > 0) ways = ways * static_cast<double>(tries - k + 1) / static_cast<double>(k);
    sum += ways;
  }
  return sum * std::pow(0.5, static_cast<double>(tries));
}

std::optional<size_t> Allowed(Pairing pairing, size_t blocks, double error) {
  if (pairing == Pairing::kAllPairs) return AllowedPairs(blocks, blocks, error);
  if (blocks == 0) return std::nullopt;
  std::vector<double> shares;
  for (size_t hits = 0; hits <= blocks; ++hits) {
    shares.push_back(CoinTail(blocks, hits) - (hits > 0 ? CoinTail(blocks, hits - 1) : 0));
  }
  return MostWithin(shares, error / 2);
}

std::optional<size_t> AllowedPairs(size_t blocks, size_t others, double error) {
  if (blocks == 0 || others == 0) return std::nullopt;
  return MostWithin(PairShares(blocks, others), error / 2);
}

size_t LeastBlocks(Pairing pairing, size_t comparisons) {
  const double error = kErrorBound / static_cast<double>(std::max<size_t>(1, comparisons));
  size_t blocks = kLeastBlocks;
  while (!Allowed(pairing, blocks, error)) ++blocks;
  return blocks;
}

Interval IntervalOf(std::vector<double> outcomes, size_t allowed) {
  std::sort(outcomes.begin(), outcomes.end());
  const size_t cut = std::min(allowed, (outcomes.size() - 1) / 2);
  return {outcomes[cut], outcomes[outcomes.size() - 1 - cut]};
}

double MiddleOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

size_t ComparisonsIn(const std::string& expression, const Lab& lab) {
  const absl::StatusOr<Comparison> comparison = ParseComparison(expression);
  if (!comparison.ok()) return 0;
  const std::set<std::string> variants = VariantsOf(*comparison);
  if (variants.size() < 2) return 0;
  // Those that it names are not compared with themselves.
  return variants.contains("each") ? lab.variants.size() - std::min(lab.variants.size(), variants.size() - 1) : 1;
}

size_t CountComparisons(const Lab& lab) {
  size_t count = 0;
  for (const ExpectSpec& rule : lab.expect) count += ComparisonsIn(rule.expression, lab);
  return count;
}

size_t BlocksNeeded(const std::string& expression, const Lab& lab) {
  if (ComparisonsIn(expression, lab) == 0) return 0;
  return NeededFor(*ParseComparison(expression), lab);
}

std::string NoiseVariant(const Lab& lab, const std::vector<std::string>& chosen) {
  const auto runs = [&](const std::string& name) {
    return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
  };
  bool asked = false;
  for (const ExpectSpec& rule : lab.expect) {
    if (ComparisonsIn(rule.expression, lab) == 0) continue;
    size_t others = 0;  // for each.: one more than those it names has to run
    bool named_run = true;
    const std::set<std::string> variants = VariantsOf(*ParseComparison(rule.expression));
    for (const std::string& name : variants) named_run = named_run && (name == "each" || runs(name));
    for (const VariantSpec& variant : lab.variants) others += runs(variant.name) && !variants.contains(variant.name);
    asked = asked || (named_run && (!variants.contains("each") || others > 0));
  }
  if (!asked) return "";
  if (runs(lab.reference)) return lab.reference;
  for (const VariantSpec& variant : lab.variants) {
    if (runs(variant.name)) return variant.name;
  }
  return "";
}

}  // namespace lab::bench
