#pragma once

#include <string>
#include <vector>

#include "bench/report/report.h"
#include "bench/report/summary.h"

// What the judge says of each fault and of the run's own noise, as text that all forms of a report share.
namespace lab::bench {

struct AccountColumn {
  std::string name;      // of the value: "goodput_lost"
  std::string heading;   // "goodput lost"
  bool compact = false;  // shown where there is little room
};
const std::vector<AccountColumn>& AccountColumns();

// "1,600 ops"; "–" where there is no value.
std::string AccountText(const RecoveryAccount& account, const std::string& column);
// Why there is no value; "" when there is one.
std::string AccountWhy(const RecoveryAccount& account, const std::string& column);

// What each fault cost, a line a variant, for the terminal: the compact columns. What a probe saw stands elsewhere. ""
// without faults.
std::string RecoveryTable(const Report& report, int width, const Ansi& ansi);

// "p99 0.94 … 1.07x"
std::string NoiseText(const Noise& noise);
// "the same design (deny) against itself: p99 0.94 … 1.07x, rate 0.99 … 1.01x (5 blocks)"; "" for a run that compares
// nothing.
std::string NoiseLine(const Report& report);

}  // namespace lab::bench
