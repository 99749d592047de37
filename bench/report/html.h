#pragma once

#include <string>

#include "bench/report/report.h"

namespace lab::bench {

// report.html: one file without outside references or scripts. Verdict first, then expectations, variants, predictions,
// charts with a table beside each, faults with their receipts, and the conditions under which it was measured.
std::string HtmlReport(const Report& report);

// The sections with charts (html_charts.cc), and the style sheet (html_style.cc); parts of the above.
std::string HtmlCharts(const Report& report);
const char* HtmlStyle();

}  // namespace lab::bench
