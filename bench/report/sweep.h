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
  std::vector<std::string> problems;       // of its trials, "deny (2): …"
  std::vector<std::string> host_problems;  // those of them that are the host's doing
};

struct Sweep : RunConditions {  // `changed` without the knob
  std::string lab, title, question, folder, started;
  std::vector<std::string> command;
  bool interrupted = false;
  int blocks = 1;  // planned
  double duration_s = 0;
  SweepKnob knob;
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
// The comparisons in which a value can be seen to move: each two points in each variant.
size_t ComparisonsOf(size_t points, size_t variants);
size_t ComparisonsOf(const Sweep& sweep);
// The blocks that each point needs before anything can be said of so many comparisons.
size_t BlocksToTell(size_t points, size_t variants);
size_t BlocksToTell(const Sweep& sweep);
// Whether this value differs between two points, in any variant: then it moves with the knob. All pairs of the blocks
// of two points are compared, as those of two variants are (bench/judge/difference.h), so that a value that does not
// move is said to do so in at most kErrorBound of all sweeps, over all comparisons of it together. False: every two
// points could be compared. Absent: it is not seen to move, and at some points too few blocks have a value to say.
std::optional<bool> Moves(const Sweep& sweep, const std::string& value);
// How a rule of the lab came out at a point, over all its variants that count; not asked when it was not judged.
State StateAt(const SweepPoint& point, const std::string& rule);

// The rules that were judged at some point at least.
std::vector<std::string> RulesAsked(const Sweep& sweep);
struct ValueGroup {
  std::optional<bool> moves;
  std::string title;  // "" of a sweep in which nothing can be said of any value
  std::vector<const ValueInfo*> values;
};
// The shown values that move with the knob, then those of which that cannot be said, then the rest; pointers into the
// sweep.
std::vector<ValueGroup> GroupsOf(const Sweep& sweep);

// "6.1 ms"; "> 2 s"; "–".
std::string MedianText(const SweepEstimate* estimate);
// "5.9 … 6.4 ms" of several blocks; "" of one.
std::string IntervalText(const SweepEstimate* estimate);
// "3 of 5 blocks" where some have no value; "" of a whole one.
std::string BlocksText(const SweepEstimate* estimate);
const SweepEstimate* FindEstimate(const SweepPoint& point, const std::string& variant, const std::string& value);
// What the intervals are worth, of the point with the fewest blocks, and what it takes to say that a value moves.
std::string IntervalNote(const Sweep& sweep);

std::string SweepSummary(const Sweep& sweep, const TerminalStyle& style, const std::string& page_path);
std::string SweepMarkdown(const Sweep& sweep);
std::string SweepHtml(const Sweep& sweep);
std::string SweepJson(const Sweep& sweep);
// Writes sweep.json, sweep.md and sweep.html into the sweep's folder.
absl::Status WriteSweep(const Sweep& sweep);

}  // namespace lab::bench
