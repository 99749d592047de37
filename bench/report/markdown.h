#pragma once

#include <string>

#include "bench/report/report.h"

namespace lab::bench {

// report.md: the same content as report.html without charts, for pull requests and terminals.
std::string MarkdownReport(const Report& report);

}  // namespace lab::bench
