#include "bench/cli/table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "bench/report/text.h"

namespace lab::bench::cli {

std::string TableText(const std::vector<std::vector<std::string>>& rows, const Ansi& ansi) {
  if (rows.empty()) return "";
  std::vector<int> widths(rows[0].size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(row[i]));
  }
  std::string out;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < rows[r].size(); ++i) absl::StrAppend(&line, "  ", PadRight(rows[r][i], widths[i]));
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&out, r == 0 ? ansi.Bold(line) : line, "\n");
  }
  return out;
}

}  // namespace lab::bench::cli
