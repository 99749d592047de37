#pragma once

#include <string>
#include <vector>

#include "bench/judge/difference.h"
#include "bench/judge/findings.h"

// Comparisons of variants: decided by the blocks of a run (difference.h), and by what the same design differs from
// itself by in that run.
namespace lab::bench {

// Of each value that a comparison names: how the variant that was run twice differs from itself. Empty for a run in
// which none was.
std::vector<Noise> NoiseOf(const Lab& lab, const std::vector<VariantEvidence>& all);

// One comparison of `variants`, all of which ran. It holds, or does not, only when its interval lies on one side of the
// bound and not within the noise.
Judged JudgeTogether(const ExpectSpec& rule, const Comparison& comparison, const std::string& each, const Lab& lab,
                     const std::vector<const VariantEvidence*>& variants, const std::vector<Noise>& noise);

}  // namespace lab::bench
