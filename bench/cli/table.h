#pragma once

#include <string>
#include <vector>

#include "bench/report/summary.h"

namespace lab::bench::cli {

// Rows of the same length, the first being the header, in aligned columns.
std::string TableText(const std::vector<std::vector<std::string>>& rows, const Ansi& ansi);

}  // namespace lab::bench::cli
