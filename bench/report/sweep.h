#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "bench/labfile/lab.h"
#include "bench/model/result.h"
#include "bench/report/report.h"
#include "bench/report/summary.h"

// A lab over several values of one knob: a curve with intervals instead of a point. Made of one judged run for each
// value; everything that is printed of a sweep is made of a Sweep.
namespace lab::bench {

struct SweepKnob {
  std::string part, key;
  std::string type, doc;  // as the part's schema has them
  std::string name() const { return part + "." + key; }
};

struct SweepBlock {
  int repeat = 0;
  std::optional<double> value;  // base units
  bool at_least = false;
  std::string why;  // without a value
};

// One shown value of one variant at one place of the knob.
struct SweepEstimate {
  std::vector<SweepBlock> blocks;  // by repeat
  std::string unit;
  uint64_t samples = 0;
  // Over the blocks that have a value. The interval is that of median_interval.h; `coverage` says how often such an
  // interval encloses the median, 0 for a single block.
  std::optional<double> median, low, high;
  double coverage = 0;
  bool at_least = false;       // of the median
  bool high_at_least = false;  // of the upper end
  size_t fit() const;
  // More than half of the blocks have a value; one without is no evidence.
  bool complete() const { return 2 * fit() > blocks.size(); }
};

struct SweepPoint {
  std::string value;                                                       // of the knob, as given
  std::optional<double> x;                                                 // its place on an axis; absent for names
  std::map<std::pair<std::string, std::string>, SweepEstimate> estimates;  // (variant, value)
  std::vector<Finding> findings;
  std::vector<std::string> problems;  // of its trials, "deny (2): …"
};

struct Sweep {
  std::string lab, title, question, folder, load, started, revision;
  std::vector<std::string> command;
  std::map<std::string, std::string> host, changed;  // changed by --set, without the knob
  uint64_t seed = 0;
  bool quick = false, interrupted = false;
  int blocks = 1;  // planned
  double duration_s = 0;
  SweepKnob knob;
  std::vector<std::string> versions;  // of parts that have one
  std::vector<ValueInfo> values;      // those that are shown
  std::vector<VariantInfo> variants;  // those that were asked for
  std::vector<SweepPoint> points;     // ascending where the knob is a number, else as given
};

// Judges each run by itself. `runs` stand beside `plan`; `variants` are those that were asked for.
Sweep MakeSweep(const Lab& lab, const SweepKnob& knob, const std::vector<std::string>& plan,
                const std::vector<std::string>& variants, int blocks, std::vector<Run> runs);

// What lacks evidence, a line each: "p99 before, deny at 5ms: 1 of 5 blocks; <why>". Empty when the curve is complete.
std::vector<std::string> Lacking(const Sweep& sweep);
// 0 complete, 2 points lack evidence, 70 interrupted. Expectations are reported and decide nothing.
int ExitStatus(const Sweep& sweep);
// Whether the intervals of two points of this value lie apart, in any variant: then it moves with the knob. Absent with
// fewer than three blocks, which cannot say.
std::optional<bool> Moves(const Sweep& sweep, const std::string& value);
// How a rule of the lab came out at a point, over all its variants that count; not asked when it was not judged.
State StateAt(const SweepPoint& point, const std::string& rule);

// The rules that were judged at some point at least.
std::vector<std::string> RulesAsked(const Sweep& sweep);
// The shown values that move with the knob, then those of which that cannot be said, then the rest, each group with its
// heading ("" when there is only one); pointers into the sweep.
std::vector<std::pair<std::string, std::vector<const ValueInfo*>>> GroupsOf(const Sweep& sweep);

// "6.1 ms"; "> 2 s"; "–".
std::string MedianText(const SweepEstimate* estimate);
// "5.9 … 6.4 ms" of several blocks; "" of one.
std::string IntervalText(const SweepEstimate* estimate);
const SweepEstimate* FindEstimate(const SweepPoint& point, const std::string& variant, const std::string& value);
// What the intervals are worth, in one or two sentences.
std::string IntervalNote(const Sweep& sweep);
// "seed 7 · quick · 2 cores · redis 7.0.15 · build 3f2a1c9 · 4,000 req/s poisson".
std::string ConditionLine(const Sweep& sweep);

std::string SweepSummary(const Sweep& sweep, const TerminalStyle& style, const std::string& page_path);
std::string SweepMarkdown(const Sweep& sweep);
std::string SweepHtml(const Sweep& sweep);
std::string SweepJson(const Sweep& sweep);
// Writes sweep.json, sweep.md and sweep.html into the sweep's folder.
absl::Status WriteSweep(const Sweep& sweep);

}  // namespace lab::bench
