#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/report/result_json.h"
#include "bench/report/summary.h"

namespace lab::bench::cli {

// How the predictions of one's runs of a lab have fared, a paragraph a question: what was said, what was measured, off
// by which factor, and a line of blocks, oldest first, whose height is the factor. Then the share within a factor of
// two, of the earlier and of the later half. "" when nothing was predicted and measured. `runs` are of one lab, oldest
// first.
std::string CalibrationText(const std::vector<RunHeadline>& runs, const Ansi& ansi);

// A block a factor: 1 is the lowest, 16 and more, or no factor at all, the highest.
std::string FactorBlocks(const std::vector<std::optional<double>>& factors);

}  // namespace lab::bench::cli
