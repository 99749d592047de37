#pragma once

#include <string>
#include <vector>

#include "bench/labfile/lab.h"

namespace lab::bench {

// What the generator would refuse of this load, asked of the very code that prepares it, so that a lab file is told
// before anything starts: values of request fields that cannot be, a replay file that is missing or wrong. "" when it
// is right; otherwise the text, which names the field or the file and its line.
std::string CheckLoad(const LoadSpec& load, const std::vector<PhaseSpec>& phases);

}  // namespace lab::bench
