#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/judge/evaluate.h"
#include "bench/judge/judge.h"

// Hand-made labs and trials with known answers, for the tests of the judge.
namespace lab::bench::testing {

inline constexpr int64_t kMs = 1'000'000;
inline constexpr int64_t kSecond = 1'000 * kMs;

inline Op At(int64_t intended_ns, int64_t latency_ns, Answer answer = Answer::kAdmitted, uint32_t key = 0,
             uint16_t stream = 0) {
  Op op;
  op.intended_ns = intended_ns;
  op.sent_ns = intended_ns;
  op.done_ns = intended_ns + latency_ns;
  op.key = key;
  op.stream = stream;
  op.outcome = Outcome::kOk;
  op.answer = answer;
  return op;
}

inline Op Dropped(int64_t intended_ns) {
  Op op;
  op.intended_ns = intended_ns;
  return op;
}

// Writes the schedule that these operations account for.
inline void KeepSchedule(Trial& trial) {
  for (size_t stream = 0; stream < trial.streams.size(); ++stream) {
    auto schedule = std::make_shared<std::vector<Arrival>>();
    for (const Op& op : trial.ops) {
      if (op.stream == stream) schedule->push_back({op.intended_ns, op.key});
    }
    trial.streams[stream].schedule = schedule;
  }
}

// steady 0–5 s, pause 5–10 s with a fault in it, after 10–15 s; one stream "main" of `keys` keys.
inline Trial EmptyTrial(const std::string& variant = "a", uint32_t keys = 1) {
  Trial trial;
  trial.variant = variant;
  trial.complete = true;
  trial.duration_s = 15;
  trial.started_unix_ns = 1'700'000'000'000'000'000;
  trial.phases = {{"steady", 0, 5}, {"pause", 5, 10}, {"after", 10, 15}};
  trial.streams = {{"main", "ratelimit.grpc", keys, 1000, "", nullptr}};
  FaultRecord fault;
  fault.id = "redis.pause#1";
  fault.fault = "redis.pause";
  fault.part = "redis";
  fault.phase = "pause";
  fault.asked_s = 5;
  fault.applied_s = 5.001;
  fault.seen_s = 5.02;
  fault.heal_asked_s = 10;
  fault.healed_s = 10.1;
  trial.faults = {fault};
  return trial;
}

// 1,000 operations a second over the whole trial: 1 ms each, `fault_ms` in the phase "pause"; all admitted.
inline Trial SteadyTrial(const std::string& variant, int64_t fault_ms, int repeat = 0) {
  Trial trial = EmptyTrial(variant);
  trial.repeat = repeat;
  for (int64_t i = 0; i < 15'000; ++i) {
    const bool in_fault = i >= 5'000 && i < 10'000;
    trial.ops.push_back(At(i * kMs, (in_fault ? fault_ms : 1) * kMs));
  }
  KeepSchedule(trial);
  return trial;
}

// 60 schedules with nothing wrong, as was derived; race 1 is closed.
inline Exploration CleanExploration() {
  Exploration explored;
  explored.casts = {{"R W", 60, 5, 0, 0, 0.1, true}};
  explored.expected = {{1, "fill against delete", false, "the lease"}};
  return explored;
}
// The same, with two schedules that run into race 1.
inline Exploration SpoiltExploration() {
  Exploration explored = CleanExploration();
  explored.casts = {{"R W", 60, 5, 0, 2, 0.1, true, 3}, {"W1 W2", 60, 9, 0, 0, 0.1, true}};
  explored.races = {{1, "fill against delete", 2, "R W", "R:get R:select W:commit W:delete R:set", "stale", {}}};
  return explored;
}

// The lab that belongs to these trials: variants a, b and the broken c, which `caught_by` catches.
inline Lab TestLab() {
  Lab lab;
  lab.name = "test";
  lab.system = {{"redis", "redis", 1, {}, {}, 0}, {"ratelimit", "ratelimit", 1, {}, {}, 0}};
  lab.reference = "a";
  for (const char* name : {"a", "b", "c"}) {
    VariantSpec variant;
    variant.name = name;
    lab.variants.push_back(variant);
  }
  lab.variants[2].broken = true;
  lab.variants[2].caught_by = "bounded";
  LoadSpec load;
  load.name = "main";
  load.target = "ratelimit.grpc";
  lab.load = {load};
  const auto five = std::chrono::seconds(5);
  lab.phases = {{"steady", five}, {"pause", five}, {"after", five}};
  lab.quick_phases = lab.phases;
  FaultSpec fault;
  fault.phase = "pause";
  fault.fault = "redis.pause";
  fault.part = "redis";
  fault.length = five;
  lab.faults = {fault};
  lab.values = {{"p99", "latency_p99{phase=pause}", "", 0},
                {"rate", "offered_rate{phase=steady}", "", 0},
                {"before", "latency_p99{phase=steady}", "", 0}};
  lab.expect = {{"bounded", "each.p99 <= 25ms", 0}};
  lab.invariants = {"every-arrival-accounted"};
  return lab;
}

inline Run RunOf(std::vector<Trial> trials) {
  Run run;
  run.trials = std::move(trials);
  return run;
}

inline Evidence Value(const Trial& trial, const std::string& text, const Lab& lab = TestLab()) {
  const absl::StatusOr<Node> tree = ParseValue(text);
  if (!tree.ok()) return Evidence::None(std::string(tree.status().message()));
  return EvaluateValue(*tree, trial, lab);
}

inline const Finding* FindFinding(const Verdict& verdict, const std::string& rule, const std::string& variant) {
  for (const Finding& finding : verdict.findings) {
    if (finding.rule == rule && finding.variant == variant) return &finding;
  }
  return nullptr;
}

}  // namespace lab::bench::testing
