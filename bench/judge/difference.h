#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bench/judge/expression.h"
#include "bench/labfile/lab.h"

// When two variants may be called different. The unit of evidence is a block: one trial of each variant, interleaved.
// Operations of one trial are no independent samples (a busy moment slows thousands of them), trials are nearly so.
//
// Two variants with n blocks each are compared by all n x n pairs of their blocks (Mann and Whitney, "On a test of
// whether one of two random variables is stochastically larger than the other", 1947). Were both the same, every
// arrangement of the 2n blocks would be as likely, which gives the exact chance of any number of pairs on one side; the
// interval between two ordered pairs is the exact interval of the ratio (Hodges and Lehmann, 1963; Moses). It claims
// nothing of the shape of a distribution, and one wild block cannot decide it. Expressions of more than two variants,
// or of a max() or min() over both, are compared block by block by a sign test, which needs more blocks.
namespace lab::bench {

inline constexpr double kErrorBound = 0.05;  // two-sided, of all comparisons of a lab together (Bonferroni)
inline constexpr size_t kLeastBlocks = 4;

// The blocks that find a shift of a p99 by kSmallShift in at least 80 % of the cases, measured on recorded runs
// (difference_test.cc). What wants to see less than that has to run longer.
inline constexpr size_t kBlocksForSmallShift = 24;
inline constexpr double kSmallShift = 1.2;

struct Interval {
  double low = 0, high = 0;
};

enum class Pairing {
  kAllPairs,  // every block of one variant with every block of the other
  kBlocks,    // the same block of each
};

// The variants that a comparison names, "each" among them.
std::set<std::string> VariantsOf(const Comparison& comparison);
// How the variants of this comparison are paired.
Pairing PairingOf(const Comparison& comparison);

// The chance that at most `pairs` of the n x n pairs lie on one side although both variants are the same.
double PairTail(size_t blocks, size_t pairs);
// The chance of at most `hits` heads in `tries` of a fair coin.
double CoinTail(size_t tries, size_t hits);

// The most outcomes that may lie on the other side of a bound that is said to hold, at this share of the error bound;
// none when so few blocks can decide nothing.
std::optional<size_t> Allowed(Pairing pairing, size_t blocks, double error);
// The same of all pairs of so many blocks with so many `others`: where trials are missing, not as many on both sides.
std::optional<size_t> AllowedPairs(size_t blocks, size_t others, double error);
// The fewest blocks with which anything can be decided, at least kLeastBlocks.
size_t LeastBlocks(Pairing pairing, size_t comparisons);

// The interval that a bound has to miss: outcomes without the `allowed` smallest and largest ones. Not empty.
Interval IntervalOf(std::vector<double> outcomes, size_t allowed);
// The middle of these values; there is at least one.
double MiddleOf(std::vector<double> values);

// How many comparisons of variants an expectation is, counting each. once a variant; 0: it speaks of one variant at a
// time.
size_t ComparisonsIn(const std::string& expression, const Lab& lab);
// Of all expectations of the lab.
size_t CountComparisons(const Lab& lab);
// How many interleaved repeats this expectation of the lab needs before it can be decided at all, and, where its bound
// is closer to equality of times than kSmallShift, before so little could be seen; 0 for one that compares no variants.
size_t BlocksNeeded(const std::string& expression, const Lab& lab);

// The variant that a run of these variants (empty: all) repeats to show what the same design differs from itself by:
// the reference if it runs, else the first; "" when nothing is compared.
std::string NoiseVariant(const Lab& lab, const std::vector<std::string>& chosen);

}  // namespace lab::bench
