#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/judge/evidence.h"
#include "bench/model/result.h"

namespace lab::bench {

// A finding with what a catch needs to know of it.
struct Judged {
  Finding finding;
  double factor = 0;  // the least of all repeats by which its bound was missed, in multiples of the bound
};

// One expectation: a finding for each variant it speaks of, or one for a comparison of variants. Reads no `control`.
std::vector<Judged> JudgeExpectation(const ExpectSpec& rule, const Lab& lab, const Run& run,
                                     const std::vector<VariantEvidence>& all, const std::vector<Noise>& noise);

// One invariant on one variant, over all repeats.
Judged JudgeInvariant(const std::string& rule, const Lab& lab, const VariantEvidence& variant);

}  // namespace lab::bench
