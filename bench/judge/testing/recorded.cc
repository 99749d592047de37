#include "bench/judge/testing/recorded.h"

#include <stdexcept>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "bench/judge/testing/trials.h"
#include "services/runtime/base/file.h"

namespace lab::bench::testing {
namespace {

constexpr char kFolder[] = LAB_SOURCE_DIR "/bench/judge/testing/recorded/";
constexpr size_t kOpsOfATrial = 18'900;

std::string Read(const std::string& name) {
  absl::StatusOr<std::string> text = ReadFile(kFolder + name, 4 << 20);
  if (!text.ok()) throw std::runtime_error(std::string(text.status().message()));
  return *std::move(text);
}

int64_t Number(absl::string_view text) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) throw std::runtime_error("limiter.csv: no number: " + std::string(text));
  return number;
}

}  // namespace

std::vector<std::vector<uint16_t>> RecordedLatencies() {
  const std::string bytes = Read("latencies.u16");
  std::vector<std::vector<uint16_t>> trials;
  for (size_t at = 0; at + 1 < bytes.size(); at += 2) {
    if (at % (2 * kOpsOfATrial) == 0) trials.emplace_back().reserve(kOpsOfATrial);
    const auto low = static_cast<unsigned char>(bytes[at]), high = static_cast<unsigned char>(bytes[at + 1]);
    trials.back().push_back(static_cast<uint16_t>(low | high << 8));
  }
  return trials;
}

Trial RecordedLimiter() {
  Trial trial;
  trial.variant = "correct";
  trial.repeat = 1;
  trial.complete = true;
  trial.duration_s = 15.7;
  trial.started_unix_ns = 1795278844250869836;
  trial.phases = {
      {"warmup", 0, 0.3}, {"edge", 0.3, 6.5}, {"brink", 6.5, 10.7}, {"quiet", 10.7, 13.2}, {"busy", 13.2, 15.7}};
  trial.streams = {{"fixed_window", "ratelimit.grpc", 4, 0, "main", nullptr},
                   {"sliding_log", "ratelimit.grpc", 4, 0, "main", nullptr}};
  bool header = true;
  const std::string text = Read("limiter.csv");
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ',');
    if (std::exchange(header, false)) continue;
    Op op;
    op.stream = fields.at(0) == "sliding_log" ? 1 : 0;
    op.key = static_cast<uint32_t>(Number(fields.at(1)));
    op.intended_ns = Number(fields.at(2)) * 1000;
    op.sent_ns = Number(fields.at(3)) * 1000;
    op.done_ns = Number(fields.at(4)) * 1000;
    op.outcome = Outcome::kOk;  // all of them, in this part of the run
    op.answer = fields.at(6) == "admitted" ? Answer::kAdmitted : Answer::kLimited;
    trial.ops.push_back(op);
  }
  KeepSchedule(trial);
  return trial;
}

Lab RecordedLab() {
  Lab lab = TestLab();
  lab.reference = "correct";
  lab.variants.resize(1);
  lab.variants[0].name = "correct";
  lab.phases = {};
  for (const Phase& phase : RecordedLimiter().phases) {
    lab.phases.push_back(
        {phase.name, std::chrono::milliseconds(static_cast<int64_t>((phase.end_s - phase.begin_s) * 1000))});
  }
  lab.quick_phases = lab.phases;
  lab.faults.clear();
  lab.values.clear();
  lab.expect.clear();
  lab.invariants.clear();
  lab.load[0].lanes = {{"fixed_window", {}}, {"sliding_log", {}}};
  return lab;
}

}  // namespace lab::bench::testing
