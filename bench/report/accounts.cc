#include "bench/report/accounts.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/judge/judge.h"
#include "bench/report/text.h"

namespace lab::bench {
namespace {

const Measured* Find(const RecoveryAccount& account, const std::string& column) {
  const auto found = std::find_if(account.values.begin(), account.values.end(),
                                  [&](const Measured& measured) { return measured.name == column; });
  return found == account.values.end() ? nullptr : &*found;
}

}  // namespace

const std::vector<AccountColumn>& AccountColumns() {
  static const auto* const columns =
      new std::vector<AccountColumn>{{"detect", "detected after", false},  {"heal", "healed after", false},
                                     {"right_again", "right again", true}, {"goodput_lost", "goodput lost", true},
                                     {"lost_time", "lost for", true},      {"attempts", "attempts/request", false},
                                     {"drained", "drained", true}};
  return *columns;
}

std::string AccountText(const RecoveryAccount& account, const std::string& column) {
  const Measured* measured = Find(account, column);
  return measured == nullptr || !measured->value ? "–" : FormatMeasured(*measured);
}

std::string AccountWhy(const RecoveryAccount& account, const std::string& column) {
  const Measured* measured = Find(account, column);
  return measured == nullptr || measured->value ? "" : measured->why_missing;
}

std::string NoiseText(const Noise& noise) {
  if (!noise.low || !noise.high) return absl::StrCat(noise.value, " ", noise.why);
  return absl::StrFormat("%s %.3g … %.3gx", noise.value, *noise.low, *noise.high);
}

std::string NoiseLine(const Report& report) {
  const std::vector<Noise>& all = report.run.verdict.noise;
  if (all.empty()) return "";
  std::vector<std::string> known;
  std::map<std::string, std::vector<std::string>> unknown;  // why → values: one bad trial has them all
  uint64_t blocks = 0;
  for (const Noise& noise : all) {
    blocks = std::max(blocks, noise.blocks);
    if (noise.low && noise.high) {
      known.push_back(NoiseText(noise));
    } else {
      unknown[noise.why].push_back(noise.value);
    }
  }
  if (!known.empty()) known.back() += absl::StrCat(" (", blocks, " blocks)");
  for (const auto& [why, values] : unknown) known.push_back(absl::StrCat(absl::StrJoin(values, ", "), " ", why));
  return absl::StrCat("the same design (", all.front().variant, ") against itself: ", absl::StrJoin(known, "; "));
}

std::string RecoveryTable(const Report& report, int width, const Ansi& ansi) {
  std::vector<std::vector<std::string>> rows = {{"fault", "variant"}};
  for (const AccountColumn& column : AccountColumns()) {
    if (column.compact) rows[0].push_back(column.heading);
  }
  std::string previous;
  for (const RecoveryAccount& account : report.run.verdict.recoveries) {
    rows.push_back({account.fault == previous ? "" : PrintableText(account.fault), PrintableText(account.variant)});
    previous = account.fault;
    for (const AccountColumn& column : AccountColumns()) {
      if (column.compact) rows.back().push_back(AccountText(account, column.name));
    }
  }
  if (rows.size() == 1) return "";
  std::vector<int> widths(rows[0].size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(row[i]));
  }
  std::string out;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < rows[r].size(); ++i) {
      absl::StrAppend(&line, i == 0 ? " " : "   ",
                      i < 2 ? PadRight(rows[r][i], widths[i]) : PadLeft(rows[r][i], widths[i]));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    line = Truncate(line, width);
    absl::StrAppend(&out, r == 0 ? ansi.Bold(line) : line, "\n");
  }
  return out;
}

}  // namespace lab::bench
