#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/model/trial.h"

namespace lab::bench {

enum class State { kPass, kFail, kInconclusive, kNotAsked };

// One value of one variant, with where it comes from.
struct Measured {
  std::string variant;
  std::string name;             // as the lab file calls it: "p99_fault"
  std::optional<double> value;  // base units (seconds, 1/s, ratio, bytes, count)
  std::string unit;             // "s", "1/s", "", "bytes": how to print it
  uint64_t samples = 0;         // operations or scrapes behind it
  std::string why_missing;      // when there is no value, or when some repeats have none
  bool at_least = false;        // the phase ended first: the true value is larger ("> 2.0 s")
};

// One expectation, or invariant, of one variant (or of a comparison, variant empty).
struct Finding {
  std::string rule;  // "bounded-latency"
  std::string text;  // as in the lab file: "each.max_fault <= 25ms"
  std::string variant;
  State state = State::kInconclusive;
  std::string measured;                // "6.1 ms <= 25 ms"
  std::string why;                     // for inconclusive and not asked
  std::optional<double> left, right;   // the two sides, base units
  std::optional<double> low, high;     // of a comparison of variants: the interval of left / right
  std::vector<std::string> offenders;  // of an invariant: ids with their place on the timeline, at most 20
  bool control = false;                // of a broken variant: shown, counted only through the catch
};

// Whether a broken variant was caught by the rule it names.
struct Catch {
  std::string variant;
  std::string rule;
  State state = State::kInconclusive;  // kPass: caught; kFail: got away
  std::string text;                    // "no-deadline breaks bounded-latency: 5.0 s > 25 ms"
};

// One value of a design against the same design, in blocks of the same run: what is not larger than this is noise.
struct Noise {
  std::string variant;
  std::string value;                        // "p99"
  std::optional<double> middle, low, high;  // ratio of the two
  uint64_t blocks = 0;
  std::string why;  // when there is no ratio
};

// What one fault cost one variant and how it ended, by name: the medians over its repeats.
struct RecoveryAccount {
  std::string variant;
  std::string fault;  // its id, "redis.pause#1"
  std::string phase;
  std::vector<Measured> values;  // in one order for all: detect, heal, right_again, …
};

struct PredictionScore {
  std::string id;
  std::string ask;
  std::string unit;
  std::optional<double> predicted;
  std::optional<double> measured;
  std::optional<double> factor;  // max(p/m, m/p) where both are positive
  std::string band;              // "within 2x", "within 4x", "off", "not asked", "not measured"
};

struct Verdict {
  State state = State::kInconclusive;
  std::vector<std::string> reasons;  // in one line each, the first being the headline
  std::vector<Measured> values;
  std::vector<Finding> findings;
  std::vector<Catch> catches;
  std::vector<Noise> noise;  // of a run that compares variants
  std::vector<RecoveryAccount> recoveries;
  std::vector<PredictionScore> predictions;
};

// One rate that was tried while the knee was looked for.
struct KneeProbe {
  std::string purpose;  // "bracket", "bisect", "confirm", "above"
  double rate_per_s = 0;
  double seconds = 0;  // measured
  bool meets = false;  // the objective
  double p99_s = 0, error_ratio = 0, achieved_per_s = 0;
  uint64_t samples = 0;
};

// The highest rate at which a variant meets its objective, and what it rests on.
struct Knee {
  std::string variant;
  std::string objective;  // "p99 <= 20 ms, errors <= 0.1 %"
  std::optional<double> per_s;
  bool at_least = false;                   // the time ended before a rate just above it was seen to miss
  std::string why;                         // without a rate: why none was found
  std::vector<std::string> host_problems;  // the host's part in that
  std::string source = "measured";         // or "kept" from an earlier run, or "declared" for quick runs
  std::string found;                       // when it was measured, ISO 8601
  double took_s = 0;
  std::vector<KneeProbe> probes;  // in the order in which they were tried
};

// Everything about one run of a lab; what result.json holds, but for the operations, which are files of the trials.
struct Run {
  std::string lab;
  std::string title;
  std::string folder;  // of the run
  uint64_t seed = 0;
  bool quick = false;
  bool interrupted = false;
  std::vector<std::string> command;            // argv
  std::string revision;                        // git, "+changes" when dirty
  std::map<std::string, std::string> host;     // cpu, cores, memory, kernel, distribution, governor, co-located
  std::map<std::string, std::string> changed;  // by --set
  std::string started;                         // ISO 8601, local time with zone
  double duration_s = 0;
  double budget_s = 0;                        // what the lab allows a run of so many trials; 0: not known
  std::map<std::string, double> predictions;  // as given, base units
  std::optional<Knee> knee;                   // of a lab whose rates are shares of it
  std::vector<Trial> trials;
  Verdict verdict;

  bool over_budget() const { return budget_s > 0 && duration_s > budget_s; }
};

// 0 pass, 1 fail, 2 inconclusive; 70 when the run could not be completed.
int ExitStatus(const Run& run);

}  // namespace lab::bench
