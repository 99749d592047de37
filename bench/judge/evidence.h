#pragma once

#include <map>
#include <string>
#include <vector>

#include "bench/judge/evaluate.h"
#include "bench/judge/functions.h"
#include "bench/model/result.h"

// What a run knows: the values of each trial, and which trials are fit to be judged.
namespace lab::bench {

// Why this trial cannot be judged: broken off, problems, a fault that was not seen, not healed or not there. "" when it
// can.
std::string WhyUnfit(const Trial& trial, const Lab& lab, bool quick);

struct TrialEvidence {
  const Trial* trial = nullptr;
  std::string unfit;
  std::map<std::string, Evidence> values;  // by name; without values when unfit: none of them would mean what it says
};

struct VariantEvidence {
  std::string name;
  std::vector<TrialEvidence> repeats;       // by number
  std::vector<TrialEvidence> again;         // the same design once more, by number; of one variant, to show the noise
  std::map<std::string, Evidence> medians;  // over the fit ones of `repeats`, for display and predictions
};

// By variant in the order of the lab file; variants without trials are not there.
std::vector<VariantEvidence> CollectEvidence(const Lab& lab, const Run& run);

// The median of these values of `of` repeats; those without one are left out, which `why` then tells.
Evidence MedianOf(std::vector<Evidence> list, size_t of);

const VariantEvidence* FindVariant(const std::vector<VariantEvidence>& all, const std::string& name);

}  // namespace lab::bench
