#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/judge/queueing.h"
#include "bench/labfile/lab.h"
#include "bench/model/result.h"
#include "bench/report/timeline.h"

// What a reader gets of a run. Everything here is made of a Report, which is what result.json holds: the same pages can
// be made again later, by a newer program, without the operations.
namespace lab::bench {

// A value of the lab file; `label` is its row in the table of variants, "" when it is not shown.
struct ValueInfo {
  std::string name, label, expression;
};

struct VariantInfo {
  std::string name, note, caught_by;
  bool broken = false;
};

// A limit that an expectation sets to a latency, drawn into the chart; `variant` empty: all of them.
struct LatencyBound {
  std::string rule, variant;
  double seconds = 0;
};

struct Report {
  Run run;  // the operations of its trials may be gone
  std::string question;
  std::string load;                   // "4,000 req/s poisson, 400 keys"
  std::vector<ValueInfo> values;      // of the lab file, in its order
  std::vector<VariantInfo> variants;  // likewise, also those that did not run
  std::vector<LatencyBound> bounds;
  std::vector<Timeline> timelines;                   // one for each of run.trials
  std::vector<std::vector<PhaseQueueing>> queueing;  // likewise; none in results of earlier builds
};

// Computes the timelines from the operations of `run`.
Report MakeReport(const Lab& lab, Run run);

// "4,000 req/s poisson, 400 keys"; "4,320 req/s (60 % of the knee) poisson, 400 keys".
std::string LoadText(const Lab& lab, const std::optional<Knee>& knee);

// All findings of one rule, and what they say together: the worst of those that count.
struct Rule {
  std::string name, text;
  State state = State::kNotAsked;
  std::vector<const Finding*> findings;  // point into the report
};
std::vector<Rule> RulesOf(const Report& report);

// A fault over all trials: asked for in each, seen in how many, how fast.
struct FaultSummary {
  std::string id, fault, phase;
  int trials = 0, applied = 0, seen = 0, healed = 0;
  std::optional<double> slowest_seen_s;    // from the time it was asked for
  std::optional<double> slowest_healed_s;  // from the time its heal was asked for
  std::string evidence, error;             // the first ones
  bool lasting = false;                    // in force for a time, so that there was something to heal
  bool complete() const { return trials > 0 && seen == trials; }
};
std::vector<FaultSummary> SummarizeFaults(const Report& report);

// Whether it was in force for a time, rather than a single blow (a flush).
bool Lasting(const FaultRecord& fault);

// Variants that ran, in the order of the lab; and the names of those in `trials` that the lab does not know.
std::vector<VariantInfo> VariantsThatRan(const Report& report);
// Whether any value was measured: without one there is nothing to show and nothing to quote.
bool AnythingMeasured(const Report& report);
const Measured* FindValue(const Report& report, const std::string& variant, const std::string& name);
// "6.1 ms"; "–" where nothing was measured.
std::string ValueText(const Report& report, const std::string& variant, const std::string& name);

// "deny", "deny (2)", "deny (2, again)": a trial among those of its variant.
std::string TrialName(const Trial& trial);

std::string StateWord(State state);   // "PASS", "FAIL", "INCONCLUSIVE", "NOT ASKED"
std::string StateGlyph(State state);  // "✓", "✗", "?", "·"
// The verdict's reasons, the headline first; one that several rules or variants share is given once. Then the problems
// of trials that no reason names, and what the host did that asks for caution.
std::vector<std::string> DistinctReasons(const Run& run);
// The versions of the parts that have one; services of ours have none but the revision. Sorted, each once.
std::vector<std::string> VersionsOf(const std::vector<Trial>& trials);

// Under what was measured, as far as one line tells it.
struct RunConditions {
  uint64_t seed = 0;
  bool quick = false;
  std::map<std::string, std::string> host, changed;  // changed by --set
  std::vector<std::string> versions;                 // of parts that have one
  std::string revision, load;
};
// The line under the name of a lab: "seed 7 · 2 cores · redis 7.0.15 · build 3f2a1c9 · 4,000 req/s poisson".
std::string ConditionLine(const RunConditions& conditions);
std::string ConditionLine(const Report& report);
// The command as it can be pasted into a shell, with the seed that was used.
std::string CommandLine(const Report& report);
// The part of a finding's measurement before its comparison: "6.1 ms <= 25 ms" → "6.1 ms".
std::string MeasuredSide(const std::string& measured);

// Writes result.json, report.md, report.html and card.md into run.folder; without a `card_template` the card is a plain
// one. `card_file` is the template's path, for messages. A full disk is an error that names the file.
absl::Status WriteReports(const Report& report, const std::string& card_template, const std::string& card_file);

}  // namespace lab::bench
