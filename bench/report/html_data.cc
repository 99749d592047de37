#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/report/html.h"
#include "bench/ui/system_map.h"
#include "services/runtime/base/json.h"

// The trials as bench/ui/web/src/types.ts describes them: columns of steps, and samples of queues and pools. Four
// digits are more than a chart can show.
namespace lab::bench {
namespace {

std::string Number(double value) { return std::isfinite(value) ? absl::StrFormat("%.4g", value) : "null"; }
std::string Time(double seconds) { return absl::StrFormat("%.6g", seconds); }
std::string Time(const std::optional<double>& seconds) { return seconds ? Time(*seconds) : "null"; }

// Commas between, nothing before the first.
class List {
 public:
  void Add(const std::string& item) { absl::StrAppend(&text_, text_.empty() ? "" : ",", item); }
  std::string Array() const { return absl::StrCat("[", text_, "]"); }
  std::string Object() const { return absl::StrCat("{", text_, "}"); }

 private:
  std::string text_;
};

std::string Member(const std::string& name, const std::string& json) {
  return absl::StrCat(JsonString(name), ":", json);
}

using Figure = std::function<std::string(const Bucket&)>;

std::string Columns(const Timeline& timeline) {
  const double per_s = 1 / timeline.step_s;
  const auto rate = [per_s](uint64_t count) { return Number(static_cast<double>(count) * per_s); };
  const auto latency = [](const Bucket& bucket, double seconds) {
    return bucket.samples > 0 ? Number(seconds) : std::string("null");
  };
  const std::pair<const char*, Figure> figures[] = {
      {"offered", [&](const Bucket& b) { return rate(b.offered); }},
      {"achieved", [&](const Bucket& b) { return rate(b.ok); }},
      {"errors", [&](const Bucket& b) { return rate(b.failed + b.unknown); }},
      {"dropped", [&](const Bucket& b) { return rate(b.dropped); }},
      {"admitted", [&](const Bucket& b) { return rate(b.admitted); }},
      {"p50_s", [&](const Bucket& b) { return latency(b, b.p50_s); }},
      {"p99_s", [&](const Bucket& b) { return latency(b, b.p99_s); }},
      {"max_s", [&](const Bucket& b) { return latency(b, b.max_s); }}};
  List columns;
  for (const auto& [name, figure] : figures) {
    List values;
    for (const Bucket& bucket : timeline.buckets) values.Add(figure(bucket));
    columns.Add(Member(name, values.Array()));
  }
  return columns.Object();
}

// "ratelimit.redis_outstanding", of each replica its own.
std::string Queues(const Trial& trial) {
  List queues;
  for (const Series& series : trial.series) {
    const bool in_flight = series.part == "generator" && series.name == "in_flight";
    if (!in_flight && !ui::IsDepth(series.name)) continue;
    std::string name = in_flight ? "in flight" : absl::StrCat(series.part, ".", series.name);
    for (const auto& [key, value] : series.labels) absl::StrAppend(&name, " ", key, " ", value);
    List samples;
    for (const auto& [at_s, value] : series.samples) {
      samples.Add(absl::StrCat("[", absl::StrFormat("%.2f", at_s), ",", Number(value), "]"));
    }
    queues.Add(Member(name, samples.Array()));
  }
  return queues.Object();
}

std::string FaultJson(const FaultRecord& fault) {
  return absl::StrCat("{\"id\":", JsonString(fault.id), ",\"fault\":", JsonString(fault.fault),
                      ",\"part\":", JsonString(fault.part), ",\"asked_s\":", Time(fault.asked_s),
                      ",\"applied_s\":", Time(fault.applied_s), ",\"seen_s\":", Time(fault.seen_s),
                      ",\"evidence\":", JsonString(fault.evidence), ",\"heal_asked_s\":", Time(fault.heal_asked_s),
                      ",\"healed_s\":", Time(fault.healed_s), ",\"error\":", JsonString(fault.error), "}");
}

std::string PartJson(const PartInfo& part) {
  List ports;
  for (const auto& [name, address] : part.ports) ports.Add(Member(name, JsonString(address)));
  return absl::StrCat("{\"name\":", JsonString(part.name), ",\"kind\":", JsonString(part.kind),
                      ",\"version\":", JsonString(part.version), ",\"ports\":", ports.Object(), "}");
}

std::string TrialJson(const Trial& trial, const Timeline& timeline) {
  List phases, parts, faults, notes;
  for (const Phase& phase : trial.phases) {
    phases.Add(absl::StrCat("{\"name\":", JsonString(phase.name), ",\"begin_s\":", Time(phase.begin_s),
                            ",\"end_s\":", Time(phase.end_s), "}"));
  }
  for (const PartInfo& part : trial.parts) parts.Add(PartJson(part));
  for (const FaultRecord& fault : trial.faults) faults.Add(FaultJson(fault));
  for (const Event& event : trial.events) {
    notes.Add(absl::StrCat("{\"at_s\":", Time(event.at_s), ",\"text\":", JsonString(event.text), "}"));
  }
  return absl::StrCat("{\"variant\":", JsonString(trial.variant), ",\"repeat\":", trial.repeat,
                      ",\"step_s\":", Time(timeline.step_s), ",\"phases\":", phases.Array(),
                      ",\"parts\":", parts.Array(), ",\"faults\":", faults.Array(), ",\"notes\":", notes.Array(),
                      ",\"columns\":", Columns(timeline), ",\"queues\":", Queues(trial), "}");
}

std::string Links(const Report& report) {
  if (report.run.trials.empty()) return "[]";
  const Trial& trial = report.run.trials.front();
  std::vector<std::string> targets;
  for (const StreamInfo& stream : trial.streams) targets.push_back(stream.target);
  List links;
  for (const auto& [from, to] : ui::LinksOf(trial.parts, targets)) {
    links.Add(absl::StrCat("{\"from\":", JsonString(from), ",\"to\":", JsonString(to), "}"));
  }
  return links.Array();
}

}  // namespace

std::string HtmlData(const Report& report) {
  List trials;
  for (size_t i = 0; i < report.run.trials.size() && i < report.timelines.size(); ++i) {
    trials.Add(TrialJson(report.run.trials[i], report.timelines[i]));
  }
  return absl::StrCat("{\"links\":", Links(report), ",\"trials\":", trials.Array(), "}");
}

}  // namespace lab::bench
