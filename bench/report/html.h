#pragma once

#include <string>

#include "bench/report/report.h"

namespace lab::bench {

// report.html: one file without outside references, which is complete without its script. Verdict first, then
// expectations, variants, predictions, charts with a table beside each, faults with their receipts, and the conditions
// under which it was measured. The script of the page (bench/ui) adds a view of each trial over time.
std::string HtmlReport(const Report& report);

// What stands in the page for readers; the sections with charts of it (html_charts.cc); what the script draws from
// (html_data.cc), as JSON.
std::string HtmlBody(const Report& report);
std::string HtmlCharts(const Report& report);
std::string HtmlData(const Report& report);

}  // namespace lab::bench
