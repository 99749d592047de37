#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/fault_spec.h"
#include "services/runtime/base/time.h"

// A lab file, parsed and checked completely before anything starts. See labs/README.md for the grammar.
namespace lab::bench {

struct Phase;  // bench/model/trial.h

// A part of the system under test: a process, or several replicas of it.
struct PartSpec {
  std::string name;  // "ratelimit"
  std::string kind;  // registered kind; the name when not given
  int replicas = 1;
  std::map<std::string, std::string> set;    // configuration, "redis.deadline" → "5ms"
  std::map<std::string, std::string> files;  // files that the part reads, name → text ("rules.yaml"); `set` refers to
                                             // them as "@rules.yaml"
  uint64_t disk_bytes = 0;                   // its data lies on a disk of its own, of that size; 0: with the run's
  int line = 0;
};

// Every connection between two parts, or of the load to a part ("load"), goes through a proxy that faults can act on.
struct LinkSpec {
  std::string from, to;
  int line = 0;
  std::string name() const { return from + "->" + to; }
};

enum class Arrivals { kConstant, kPoisson, kRamp, kStep, kSpike, kReplay, kClosed };

// How the offered rate goes over the phases: a rate a phase, or one for all.
struct RateSpec {
  double per_s = 0;
  double of_knee = 0;                              // "60% of knee": a share of the reference's knee instead of per_s
  std::map<std::string, double> by_phase;          // overrides per_s in that phase; 0: silence
  std::map<std::string, double> of_knee_by_phase;  // phases whose rate is a share of the knee
};

inline constexpr Nanos kKneeAllowance = std::chrono::seconds(35);  // of a budget: to look for a knee, boot included

// What the knee of the reference is: the highest rate at which both hold. `quick_per_s` is taken for the knee by quick
// runs, which have no time to look for it; 0: they look for it too.
struct KneeSpec {
  Nanos p99{};
  double errors = 0;
  double quick_per_s = 0;
  int line = 0;
};

struct KeySpec {
  enum class Kind { kUniform, kZipf, kHot, kSequence } kind = Kind::kUniform;
  uint32_t count = 1;
  double exponent = 1.0;  // zipf
  double hot_share = 0;   // hot: share of key 0, the rest uniform
};

// A burst pattern placed in a phase: `count` arrivals at once for each key, at offsets of an epoch-aligned period.
// `bursts` make the schedule of a phase exact where a random one would only approach it.
struct BurstSpec {
  std::string phase;
  Nanos every{};           // the period, aligned to the Unix epoch
  std::vector<double> at;  // places in the period, 0 … 1
  uint32_t count = 0;      // arrivals a key at each place
};

// What clients do with an operation that failed or was not answered in time: they send it again, at once.
struct RetrySpec {
  int attempts = 1;              // at most, the first one included
  std::optional<double> budget;  // retries as a share of first attempts (bench/load/retry_budget.h); absent: unbounded
};

inline constexpr double kMaxRate = 2e6;  // of a load, a second

struct LoadSpec {
  std::string name;
  std::string target;  // of a part of this lab: "ratelimit.grpc", "edge.http"
  std::string api;     // the same of its kind, by which requests are written: "ratelimit.http"; "": as target
  Arrivals arrivals = Arrivals::kPoisson;
  RateSpec rate;
  double ramp_to_per_s = 0;  // ramp, step, spike: the other rate
  int steps = 0;             // step
  int closed_clients = 0;    // closed
  Nanos think{};             // closed
  std::string replay_file;   // replay: one arrival a line, "seconds[,key]"; beside the lab file
  KeySpec keys;
  std::vector<BurstSpec> bursts;
  int max_in_flight = 2000;
  Nanos timeout = std::chrono::seconds(5);  // of an attempt: how long its client is patient
  RetrySpec retries;
  // Each arrival is sent once to each lane, so that lanes see the same arrivals: name → request fields. Without lanes
  // there is one, named like the load.
  std::vector<std::pair<std::string, std::map<std::string, std::string>>> lanes;
  std::map<std::string, std::string> request;  // fields common to all lanes: {domain: outage, key: tenant}
  int line = 0;
};

struct PhaseSpec {
  std::string name;
  Nanos length{};
};

// A named value of a variant, as an expression of the value grammar (bench/judge/README.md).
struct ValueSpec {
  std::string name;
  std::string expression;  // "latency_p99{phase=pause}"
  std::string show;        // label of the row in the table of the terminal and report; "" is not shown
  int line = 0;
};

struct VariantSpec {
  std::string name;
  std::map<std::string, std::map<std::string, std::string>> set;      // part → configuration
  std::map<std::string, std::map<std::string, std::string>> request;  // load name → request fields
  std::map<std::string, RetrySpec> retries;                           // load name → instead of the load's own
  bool broken = false;                                                // control: broken
  std::string caught_by;
  std::string note;  // one line: what it shows
  int line = 0;
};

struct PredictSpec {
  std::string id, ask, unit, value;  // value: "deny.p99_fault"
  int line = 0;
};

struct ExpectSpec {
  std::string name;
  std::string expression;  // "each.max_fault <= 25ms"
  int line = 0;
};

// The casts of a variant.
const std::vector<std::string>& CastsOf(const struct ExploreSpec& explore, const std::string& variant, bool quick);

// Every interleaving of a few actors at a service with a step gate, instead of a load (bench/explore). The length of
// the lab's only phase bounds it.
struct ExploreSpec {
  struct Casts {
    std::vector<std::string> full;   // "R W evict die", the smaller ones first
    std::vector<std::string> quick;  // of a quick run
  };
  Casts casts;
  std::map<std::string, Casts> own;  // of a variant, instead
  std::string matrix;                // file beside the lab file: what is expected of each variant; "": nothing is
  int line = 0;
};

struct Lab {
  std::string name, file, title, question;
  std::vector<std::string> answers;  // questions of the bank
  std::vector<std::string> needs;    // "redis"
  bool private_network = false;      // network: private: parts and load run in a network of their own, loopback only
  Nanos budget_run = std::chrono::minutes(3);
  Nanos budget_quick = std::chrono::seconds(45);
  std::vector<PartSpec> system;  // in start order
  std::vector<LinkSpec> links;
  std::string reference;
  std::optional<KneeSpec> knee;
  std::vector<VariantSpec> variants;
  std::vector<LoadSpec> load;  // none only of a lab that explores
  std::optional<ExploreSpec> explore;
  std::vector<PhaseSpec> phases;
  std::vector<PhaseSpec> quick_phases;  // the same names, shorter
  std::vector<FaultSpec> faults;
  std::vector<ValueSpec> values;
  std::vector<PredictSpec> predict;
  std::vector<ExpectSpec> steady;  // what holds of every trial before its faults, or the trial is no evidence
  std::vector<ExpectSpec> expect;
  std::vector<std::string> invariants;  // names, with options: "limit-holds{limit=1, window=1s}"
  int repeat = 1;                       // of a full run; --quick runs once
  bool compares = false;                // variants with each other: a full run then runs one of them against itself too
};

// What a trial does: the phases of a full or a quick run, and the faults on them, with `offset` (from the begin of
// the phase) and `length` as times, one for each occurrence; those that are drawn, as the seed of the trial has it.
std::vector<PhaseSpec> PhasesOf(const Lab& lab, bool quick);
// The same phases one after the other, the first at 0.
std::vector<Phase> TimelineOf(const Lab& lab, bool quick);
std::vector<FaultSpec> FaultsOf(const Lab& lab, bool quick, uint64_t seed);

// Whether a load's rate is a share of the knee.
bool UsesKnee(const LoadSpec& load);
bool UsesKnee(const Lab& lab);
// The lab with these shares as rates.
Lab WithKnee(const Lab& lab, double knee_per_s);

// How an expression is used, which decides what it may name.
enum class ExpressionUse {
  kValue,        // values: functions of one trial, "latency_p99{phase=pause}"
  kPrediction,   // predict: values of variants, "deny.p99_fault"
  kExpectation,  // expect: a comparison of values, "each.max_fault <= 25ms"
  kInvariant,    // invariants: "limit-holds{limit=1, window=1s}"
};

// What a lab file may name; filled by whoever has the parts (bench/cli wires it), so that the parser needs none of
// them.
struct Catalogue {
  struct Knob {
    std::string path, type, fallback, range, doc;
    std::vector<std::string> names;  // allowed, for "one of"
  };
  std::map<std::string, std::vector<Knob>> knobs;      // part kind → its configuration
  std::vector<std::string> not_here;                   // part kinds whose program is missing: nothing is known of
                                                       // their configuration, so it is not checked
  std::map<std::string, std::set<std::string>> wired;  // part kind → configuration that the runner owns: its ports,
                                                       // and where the other parts are
  std::map<std::string, std::vector<std::string>> faults;  // fault → its options; those of a link as "link.latency"
  // "" or what the lab has to give for this fault and does not; may be null.
  std::string (*check_fault)(const Lab& lab, const FaultSpec& fault) = nullptr;
  // The configuration of a program that takes the place of a kind's own ("binary"); an error says why it cannot. Empty:
  // any is taken for right, and configured like the kind's own.
  std::function<absl::StatusOr<std::vector<Knob>>(const std::string& kind, const std::string& binary)> knobs_of_binary;
  std::map<std::string, std::vector<std::string>> targets;  // "ratelimit.grpc" → request fields
  std::vector<std::string> invariants;
  bool knee = false;  // whether runs are calibrated ("60% of knee")
  // "" or what is wrong with the requests or the replay file of a load. Set to bench/load's CheckLoad.
  std::string (*check_load)(const LoadSpec& load, const std::vector<PhaseSpec>& phases) = nullptr;
  // Checks one expression against this lab; "" or what is wrong with it and the nearest right name. Set to
  // bench/judge's CheckExpression.
  std::string (*check_expression)(const Lab& lab, const std::string& text, ExpressionUse use) = nullptr;
  // "" or what is wrong with the casts or the matrix of a lab that explores. Set to bench/run's CheckExplore.
  std::string (*check_explore)(const Lab& lab) = nullptr;
  // How many comparisons of variants a lab expects something of. Set to bench/judge's CountComparisons.
  size_t (*comparisons)(const Lab& lab) = nullptr;
  // Checks one option of a fault; "" or what is wrong with its value and the remedy. Set to bench/fault's
  // CheckFaultOption.
  std::string (*check_fault_option)(const std::string& fault, const std::string& option,
                                    const std::string& value) = nullptr;
};

// All errors at once as INVALID_ARGUMENT, a line each: "labs/x/lab.yaml:12: load[0].rate: …; did you mean …?".
absl::StatusOr<Lab> ParseLab(const std::string& text, const std::string& file, const Catalogue& catalogue);
absl::StatusOr<Lab> LoadLab(const std::string& file, const Catalogue& catalogue);

// The labs below root/labs: folders with a lab.yaml, sorted.
std::vector<std::string> LabNames(const std::string& root);
std::string LabFile(const std::string& root, const std::string& lab);

// "part.key=value" of --set, checked like the file, against every program that the part is: that of --set (`binary`, ""
// when there is none), else those of the lab and its variants.
absl::Status CheckSet(const Lab& lab, const Catalogue& catalogue, const std::string& part, const std::string& key,
                      const std::string& value, const std::string& binary = "");
// A program of the learner's own, as a path from `folder`: "./mine.py" → "/home/…/mine.py".
std::string BinaryPath(const std::string& folder, const std::string& binary);

}  // namespace lab::bench
