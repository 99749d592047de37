#include "bench/report/testing/synthetic.h"

#include <algorithm>
#include <cmath>

#include "services/runtime/base/random.h"

namespace lab::bench::testing {
namespace {

constexpr double kPauseAt = 6, kPauseEnd = 10, kKillAt = 13, kKillEnd = 16, kFlushAt = 16.5, kEnd = 19;

const std::vector<Phase>& Phases() {
  static const auto* const phases = new std::vector<Phase>{{"warmup", 0, 2},
                                                           {"steady", 2, kPauseAt},
                                                           {"pause", kPauseAt, kPauseEnd},
                                                           {"after_pause", kPauseEnd, kKillAt},
                                                           {"kill", kKillAt, kKillEnd},
                                                           {"after_kill", kKillEnd, 17.5},
                                                           {"flush", 17.5, kEnd}};
  return *phases;
}

bool InFault(double at) { return (at >= kPauseAt && at < kPauseEnd) || (at >= kKillAt && at < kKillEnd); }

// Seconds from the intended time to the answer.
double Latency(const std::string& variant, double at, Random& random) {
  const double base = 0.00022 + random.Exponential(0.00009);
  const double hiccup = random.Uniform() < 0.004 ? random.Exponential(0.001) : 0;
  if (!InFault(at)) return base + hiccup;
  const double begin = at < kPauseEnd ? kPauseAt : kKillAt;
  const double end = at < kPauseEnd ? kPauseEnd : kKillEnd;
  if (variant == "no-deadline") return end - at + 0.02 + base;
  // The breaker opens after the first deadlines; then answers come without the store.
  if (at - begin < 0.05) return 0.005 + base;
  return 0.00009 + random.Exponential(0.00002) + (random.Uniform() < 0.01 ? 0.005 : 0);
}

bool Admitted(const std::string& variant, double at, uint32_t key, std::vector<int>& second_of_key, Random& random) {
  if (InFault(at) && variant == "deny") return false;
  if (InFault(at) && variant == "allow") return true;
  (void)random;
  // One a second for each key.
  const int second = static_cast<int>(at);
  if (second_of_key[key] == second) return false;
  second_of_key[key] = second;
  return true;
}

FaultRecord Fault(const std::string& name, int number, const std::string& phase, double at, double end,
                  const std::string& evidence) {
  FaultRecord fault;
  fault.id = name + "#" + std::to_string(number);
  fault.fault = name;
  fault.part = "redis";
  fault.phase = phase;
  fault.asked_s = at;
  fault.applied_s = at + 0.0012;
  fault.seen_s = at + 0.0213;
  fault.evidence = evidence;
  if (end > at) {
    fault.heal_asked_s = end;
    fault.healed_s = end + 0.0031;
  }
  return fault;
}

Trial MakeTrial(const std::string& variant, uint64_t seed, double rate) {
  Random random(seed);
  Trial trial;
  trial.variant = variant;
  trial.repeat = 1;
  trial.seed = seed;
  trial.duration_s = kEnd;
  trial.started_unix_ns = 1795000000'000000000;
  trial.phases = Phases();
  trial.streams = {{"main", "ratelimit.grpc", 400, rate}};
  trial.faults = {Fault("redis.pause", 1, "pause", kPauseAt, kPauseEnd, "PING unanswered for 20 ms"),
                  Fault("redis.kill", 2, "kill", kKillAt, kKillEnd, "connection refused"),
                  Fault("redis.flush", 3, "after_kill", kFlushAt, 0, "0 keys, 400 before")};
  std::vector<int> second_of_key(400, -1);
  for (double at = 0; at < kEnd;) {
    at += random.Exponential(1 / rate);
    Op op;
    op.intended_ns = static_cast<int64_t>(at * 1e9);
    op.sent_ns = op.intended_ns + 3000 + static_cast<int64_t>(random.Below(9000));
    op.key = static_cast<uint32_t>(random.Below(400));
    op.done_ns = op.sent_ns + static_cast<int64_t>(Latency(variant, at, random) * 1e9);
    op.outcome = Outcome::kOk;
    op.answer = Admitted(variant, at, op.key, second_of_key, random) ? Answer::kAdmitted : Answer::kLimited;
    trial.ops.push_back(op);
  }
  trial.series = {{"ratelimit", "process_resident_memory_bytes", {}, {{0, 31.2e6}, {1, 31.4e6}, {2, 31.4e6}}},
                  {"redis", "redis_operations_total", {{"outcome", "ok"}}, {{0, 0}, {1, 3980}}}};
  trial.finals = {{"redis.keys", 400}};
  trial.parts = {
      {"redis", "redis", "redis 7.0.15", {"redis-server", "--port", "4711"}, {{"redis", "127.0.0.1:4711"}}, {}},
      {"ratelimit",
       "ratelimit",
       "",
       {"ratelimit", "--config", "ratelimit.yaml"},
       {{"grpc", "127.0.0.1:4712"}},
       {{"redis.deadline", variant == "no-deadline" ? "0s" : "5ms"}}}};
  trial.events = {{6.0, "redis.pause asked"}, {6.021, "redis.pause seen"}};
  trial.generator_cpu_s = 0.41;
  trial.complete = true;
  return trial;
}

Finding Found(const std::string& rule, const std::string& text, const std::string& variant, State state,
              const std::string& measured, bool control = false) {
  Finding finding;
  finding.rule = rule;
  finding.text = text;
  finding.variant = variant;
  finding.state = state;
  finding.measured = measured;
  finding.control = control;
  return finding;
}

Verdict MakeVerdict() {
  Verdict verdict;
  verdict.state = State::kPass;
  verdict.reasons = {"every expectation held and the broken variant was caught"};
  const struct {
    const char* variant;
    double p99_before, p99_fault, max_fault;
    std::optional<double> admitted;
    double right_again;
  } rows[] = {{"no-deadline", 0.0013, 4.96, 5.02, std::nullopt, 5.1},
              {"deny", 0.0013, 0.0014, 0.0061, 0.0, 0.4},
              {"allow", 0.0013, 0.0014, 0.0059, 9.8, 0.4},
              {"local", 0.0013, 0.0014, 0.0061, 1.0, 0.4}};
  for (const auto& row : rows) {
    verdict.values.push_back({row.variant, "p99_before", row.p99_before, "s", 15980, ""});
    verdict.values.push_back({row.variant, "p99_fault", row.p99_fault, "s", 27991, ""});
    verdict.values.push_back({row.variant, "max_fault", row.max_fault, "s", 27991, ""});
    verdict.values.push_back({row.variant, "admitted_ratio", row.admitted, "x", 27991,
                              row.admitted ? "" : "nothing was decided while the fault was in force"});
    verdict.values.push_back({row.variant, "right_again", row.right_again, "s", 27991, ""});
  }
  const std::string bounded = "each.max_fault <= 25ms";
  verdict.findings = {Found("bounded-latency", bounded, "no-deadline", State::kFail, "5.02 s <= 25 ms", true),
                      Found("bounded-latency", bounded, "deny", State::kPass, "6.1 ms <= 25 ms"),
                      Found("bounded-latency", bounded, "allow", State::kPass, "5.9 ms <= 25 ms"),
                      Found("bounded-latency", bounded, "local", State::kPass, "6.1 ms <= 25 ms"),
                      Found("deny-holds", "deny.admitted_ratio <= 0", "deny", State::kPass, "0 x <= 0"),
                      Found("allow-admits", "allow.admitted_ratio >= 5", "allow", State::kPass, "9.8 x >= 5")};
  verdict.findings.push_back(Found("steady-enough", "each.p99_before <= 1h", "", State::kNotAsked, ""));
  verdict.findings.back().why = "compares variants; asked in a full run only";
  verdict.catches = {
      {"no-deadline", "bounded-latency", State::kPass, "no-deadline breaks bounded-latency: 5.02 s > 25 ms"}};
  verdict.predictions = {
      {"p99-deny", "p99 of a call while Redis is away, with a 5 ms deadline, deny", "ms", 0.05, 0.0014, 35.7, "off"},
      {"open", "fail open: requests admitted, as a multiple of the limit", "x", 10.0, 9.8, 1.02, "within 2x"}};
  return verdict;
}

}  // namespace

Lab SyntheticLab() {
  Lab lab;
  lab.name = "rate-limit-outage";
  lab.file = "labs/rate-limit-outage/lab.yaml";
  lab.title = "The limiter loses its Redis";
  lab.question = "What does your rate limiter answer while its store is away, and how wrong is it afterwards?";
  lab.needs = {"redis"};
  for (const char* name : {"redis", "ratelimit"}) {
    PartSpec part;
    part.name = part.kind = name;
    lab.system.push_back(part);
  }
  const auto variant = [&](const char* name, const char* note, bool broken) {
    VariantSpec spec;
    spec.name = name;
    spec.note = note;
    spec.broken = broken;
    spec.caught_by = broken ? "bounded-latency" : "";
    lab.variants.push_back(spec);
  };
  variant("no-deadline", "every call waits for a store that does not answer", true);
  variant("deny", "fails closed", false);
  variant("allow", "fails open", false);
  variant("local", "decides from its own memory", false);
  LoadSpec load;
  load.name = "main";
  load.target = "ratelimit.grpc";
  load.rate.per_s = 4000;
  load.keys.count = 400;
  lab.load.push_back(load);
  lab.values = {
      {"p99_before", "latency_p99{phase=steady}", "p99 before", 50},
      {"p99_fault", "latency_p99{phase=pause+kill}", "p99 in the fault", 51},
      {"max_fault", "latency_max{phase=pause+kill}", "maximum in the fault", 52},
      {"admitted_ratio", "admitted_ratio{fault=pause+kill, limit=1, window=1s}", "admitted in the fault / limit", 53},
      {"right_again", "max(recovery{phase=after_pause}, recovery{phase=after_kill})", "right again after", 54},
      {"hidden", "latency_p50{phase=steady}", "", 55}};
  lab.predict = {
      {"p99-deny", "p99 of a call while Redis is away, with a 5 ms deadline, deny", "ms", "deny.p99_fault", 60},
      {"open", "fail open: requests admitted, as a multiple of the limit", "x", "allow.admitted_ratio", 61}};
  lab.expect = {{"bounded-latency", "each.max_fault <= 25ms", 70}, {"deny-holds", "deny.admitted_ratio <= 0", 71}};
  return lab;
}

Run SyntheticRun(uint64_t seed, double rate_per_s) {
  Run run;
  run.lab = "rate-limit-outage";
  run.title = "The limiter loses its Redis";
  run.folder = "/nowhere";
  run.seed = seed;
  run.command = {"build/release/bench/cli/lab", "run", "rate-limit-outage", "--predict", "p99-deny=50ms"};
  run.revision = "3f2a1c9";
  run.host = {{"cpu", "AMD EPYC 7B13"},
              {"cores", "2"},
              {"memory", "23 GiB"},
              {"kernel", "6.18.44"},
              {"distribution", "Debian GNU/Linux 12 (bookworm)"},
              {"co-located", "yes"}};
  run.changed = {{"ratelimit.redis.deadline", "5ms"}};
  run.started = "2026-11-21T10:53:32+00:00";
  run.duration_s = 81.4;
  run.predictions = {{"p99-deny", 0.05}, {"open", 10}};
  for (const char* variant : {"no-deadline", "deny", "allow", "local"}) {
    run.trials.push_back(MakeTrial(variant, seed, rate_per_s));
  }
  run.verdict = MakeVerdict();
  return run;
}

}  // namespace lab::bench::testing
