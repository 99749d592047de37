#include "bench/report/result_json.h"

#include "absl/strings/str_cat.h"
#include "bench/model/archive.h"
#include "bench/model/knee_fields.h"
#include "bench/report/capacity_fields.h"
#include "bench/report/exploration_fields.h"
#include "bench/report/pretty_json.h"
#include "services/runtime/base/file.h"

namespace lab::bench {
namespace {

using archive::Json;
using archive::Reader;
using archive::Writer;

constexpr size_t kMaxResultBytes = 256 << 20;

constexpr std::pair<State, const char*> kStates[] = {{State::kPass, "pass"},
                                                     {State::kFail, "fail"},
                                                     {State::kInconclusive, "inconclusive"},
                                                     {State::kNotAsked, "not asked"}};

}  // namespace

// The functions that the archives find by their arguments' namespace.

static std::string NameOf(State state) {
  for (const auto& [value, name] : kStates) {
    if (value == state) return name;
  }
  return "inconclusive";
}

static void FromName(const std::string& name, State& state) {
  for (const auto& [value, known] : kStates) {
    if (name == known) {
      state = value;
      return;
    }
  }
  throw std::runtime_error("\"" + name + "\" is no state");
}

template <typename Archive>
void Fields(Archive& archive, Phase& phase) {
  archive("name", phase.name);
  archive("begin_s", phase.begin_s);
  archive("end_s", phase.end_s);
}

template <typename Archive>
void Fields(Archive& archive, StreamInfo& stream) {
  archive("name", stream.name);
  archive("target", stream.target);
  archive("keys", stream.keys);
  archive("offered_per_s", stream.offered_per_s);
}

template <typename Archive>
void Fields(Archive& archive, FaultRecord& fault) {
  archive("id", fault.id);
  archive("fault", fault.fault);
  archive("part", fault.part);
  archive.Added("replica", fault.replica);
  archive("phase", fault.phase);
  archive("asked_s", fault.asked_s);
  archive("applied_s", fault.applied_s);
  archive("seen_s", fault.seen_s);
  archive("evidence", fault.evidence);
  archive("heal_asked_s", fault.heal_asked_s);
  archive("healed_s", fault.healed_s);
  archive("error", fault.error);
}

template <typename Archive>
void Fields(Archive& archive, PartInfo& part) {
  archive("name", part.name);
  archive("kind", part.kind);
  archive("version", part.version);
  archive("command", part.command);
  archive("ports", part.ports);
  archive("changed", part.changed);
}

template <typename Archive>
void Fields(Archive& archive, Event& event) {
  archive("at_s", event.at_s);
  archive("text", event.text);
}

template <typename Archive>
void Fields(Archive& archive, Series& series) {
  archive("part", series.part);
  archive("name", series.name);
  archive("labels", series.labels);
  archive("samples", series.samples);
}

template <typename Archive>
void Fields(Archive& archive, PhaseStats& stats) {
  archive("phase", stats.phase);
  archive("offered", stats.offered);
  archive("ok", stats.ok);
  archive("failed", stats.failed);
  archive("unknown", stats.unknown);
  archive("dropped", stats.dropped);
  archive("admitted", stats.admitted);
  archive("limited", stats.limited);
  archive("samples", stats.samples);
  archive("p50_s", stats.p50_s);
  archive("p99_s", stats.p99_s);
  archive("max_s", stats.max_s);
  archive("service_p99_s", stats.service_p99_s);
  archive("lag_p99_s", stats.lag_p99_s);
  archive("spectrum_s", stats.spectrum_s);
}

template <typename Archive>
void Fields(Archive& archive, StreamTimeline& stream) {
  archive("name", stream.name);
  archive("admitted", stream.admitted);
}

// The steps stand in columns: a chart reads them so, and a list of objects would be five times as long.
template <typename Archive, typename Member>
void Column(Archive& archive, std::vector<Bucket>& buckets, const char* key, Member Bucket::*member) {
  std::vector<Member> column;
  if constexpr (std::is_same_v<Archive, Writer>) {
    for (const Bucket& bucket : buckets) column.push_back(bucket.*member);
    archive(key, column);
  } else {
    archive(key, column);
    if (column.size() != buckets.size()) throw std::runtime_error(absl::StrCat(key, ": another length than \"steps\""));
    for (size_t i = 0; i < column.size(); ++i) buckets[i].*member = column[i];
  }
}

template <typename Archive>
void Fields(Archive& archive, Timeline& timeline) {
  uint64_t steps = timeline.buckets.size();
  archive("step_s", timeline.step_s);
  archive("steps", steps);
  if (steps > 1'000'000) throw std::runtime_error("too many steps");
  timeline.buckets.resize(steps);
  Column(archive, timeline.buckets, "offered", &Bucket::offered);
  Column(archive, timeline.buckets, "ok", &Bucket::ok);
  Column(archive, timeline.buckets, "failed", &Bucket::failed);
  Column(archive, timeline.buckets, "unknown", &Bucket::unknown);
  Column(archive, timeline.buckets, "dropped", &Bucket::dropped);
  Column(archive, timeline.buckets, "admitted", &Bucket::admitted);
  Column(archive, timeline.buckets, "limited", &Bucket::limited);
  Column(archive, timeline.buckets, "samples", &Bucket::samples);
  Column(archive, timeline.buckets, "p50_s", &Bucket::p50_s);
  Column(archive, timeline.buckets, "p99_s", &Bucket::p99_s);
  Column(archive, timeline.buckets, "max_s", &Bucket::max_s);
  archive("streams", timeline.streams);
  archive("phases", timeline.phases);
}

template <typename Archive>
void Fields(Archive& archive, Trial& trial) {
  archive("variant", trial.variant);
  archive("repeat", trial.repeat);
  archive.Added("again", trial.again);
  archive("seed", trial.seed);
  archive("complete", trial.complete);
  archive("problems", trial.problems);
  archive.Added("host_problems", trial.host_problems);
  archive.Added("cautions", trial.cautions);
  archive.Added("disturbed", trial.disturbed);
  archive("started_unix_ns", trial.started_unix_ns);
  archive("duration_s", trial.duration_s);
  archive("generator_cpu_s", trial.generator_cpu_s);
  archive("phases", trial.phases);
  archive("streams", trial.streams);
  archive("faults", trial.faults);
  archive("parts", trial.parts);
  archive("finals", trial.finals);
  archive("events", trial.events);
  archive("series", trial.series);
  archive.Added("exploration", trial.exploration);
}

template <typename Archive>
void Fields(Archive& archive, Measured& measured) {
  archive("variant", measured.variant);
  archive("name", measured.name);
  archive("value", measured.value);
  archive("unit", measured.unit);
  archive("samples", measured.samples);
  archive("why_missing", measured.why_missing);
  archive("at_least", measured.at_least);
}

template <typename Archive>
void Fields(Archive& archive, Finding& finding) {
  archive("rule", finding.rule);
  archive("text", finding.text);
  archive("variant", finding.variant);
  archive("state", finding.state);
  archive("measured", finding.measured);
  archive("why", finding.why);
  archive("left", finding.left);
  archive("right", finding.right);
  archive.Added("low", finding.low);
  archive.Added("high", finding.high);
  archive("offenders", finding.offenders);
  archive("control", finding.control);
}

template <typename Archive>
void Fields(Archive& archive, Catch& caught) {
  archive("variant", caught.variant);
  archive("rule", caught.rule);
  archive("state", caught.state);
  archive("text", caught.text);
}

template <typename Archive>
void Fields(Archive& archive, Noise& noise) {
  archive("variant", noise.variant);
  archive("value", noise.value);
  archive("middle", noise.middle);
  archive("low", noise.low);
  archive("high", noise.high);
  archive("blocks", noise.blocks);
  archive("why", noise.why);
}

template <typename Archive>
void Fields(Archive& archive, RecoveryAccount& recovery) {
  archive("variant", recovery.variant);
  archive("fault", recovery.fault);
  archive("phase", recovery.phase);
  archive("values", recovery.values);
}

template <typename Archive>
void Fields(Archive& archive, PredictionScore& score) {
  archive("id", score.id);
  archive("ask", score.ask);
  archive("unit", score.unit);
  archive("predicted", score.predicted);
  archive("measured", score.measured);
  archive("factor", score.factor);
  archive("band", score.band);
}

template <typename Archive>
void Fields(Archive& archive, Verdict& verdict) {
  archive("state", verdict.state);
  archive("reasons", verdict.reasons);
  archive("values", verdict.values);
  archive("findings", verdict.findings);
  archive("catches", verdict.catches);
  archive.Added("noise", verdict.noise);
  archive.Added("recoveries", verdict.recoveries);
  archive("predictions", verdict.predictions);
}

template <typename Archive>
void Fields(Archive& archive, ValueInfo& value) {
  archive("name", value.name);
  archive("label", value.label);
  archive("expression", value.expression);
}

template <typename Archive>
void Fields(Archive& archive, VariantInfo& variant) {
  archive("name", variant.name);
  archive("note", variant.note);
  archive("broken", variant.broken);
  archive("caught_by", variant.caught_by);
}

template <typename Archive>
void Fields(Archive& archive, LatencyBound& bound) {
  archive("rule", bound.rule);
  archive("variant", bound.variant);
  archive("seconds", bound.seconds);
}

template <typename Archive>
void Fields(Archive& archive, Report& report) {
  Run& run = report.run;
  archive("lab", run.lab);
  archive("title", run.title);
  archive("question", report.question);
  archive("started", run.started);
  archive("duration_s", run.duration_s);
  archive.Added("budget_s", run.budget_s);
  archive("seed", run.seed);
  archive("quick", run.quick);
  archive("interrupted", run.interrupted);
  archive("verdict", run.verdict);
  archive("command", run.command);
  archive("revision", run.revision);
  archive("host", run.host);
  archive("changed", run.changed);
  archive("predictions", run.predictions);
  archive.Added("knee", run.knee);
  archive("load", report.load);
  archive("values", report.values);
  archive("variants", report.variants);
  archive("latency_bounds", report.bounds);
  archive("trials", run.trials);
  archive("timelines", report.timelines);
  archive.Added("queueing", report.queueing);
}

namespace {

absl::Status CheckSchema(const Json& json, const std::string& file) {
  if (!json.is_object()) return absl::InvalidArgumentError(file + ": not a result of a run (no JSON object)");
  const auto schema = json.find("schema");
  if (schema == json.end() || !schema->is_string()) return absl::InvalidArgumentError(file + ": no \"schema\"");
  if (*schema != kResultSchema) {
    return absl::FailedPreconditionError(absl::StrCat(file, ": written as \"", schema->get<std::string>(),
                                                      "\", this program reads \"", kResultSchema, "\""));
  }
  return absl::OkStatus();
}

}  // namespace

std::string ResultJson(const Report& report) {
  Json json = Json::object();
  json["schema"] = kResultSchema;
  json["exit_status"] = ExitStatus(report.run);
  Json body = Writer::ToJson(report);
  for (auto& item : body.items()) json[item.key()] = std::move(item.value());
  return PrettyJson(json) + "\n";
}

absl::StatusOr<Report> ParseResult(const std::string& text, const std::string& file) {
  try {
    const Json json = Json::parse(text);
    absl::Status status = CheckSchema(json, file);
    if (!status.ok()) return status;
    Report report;
    Reader::FromJson(json, report);
    if (report.timelines.size() != report.run.trials.size()) {
      return absl::InvalidArgumentError(file + ": timelines: one for each trial is needed");
    }
    return report;
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", error.what()));
  }
}

absl::StatusOr<Report> ReadReport(const std::string& folder) {
  const std::string file = folder + "/result.json";
  absl::StatusOr<std::string> text = ReadFile(file, kMaxResultBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<Report> report = ParseResult(*text, file);
  if (report.ok()) report->run.folder = folder;
  return report;
}

absl::StatusOr<RunHeadline> ReadHeadline(const std::string& folder) {
  const std::string file = folder + "/result.json";
  absl::StatusOr<std::string> text = ReadFile(file, kMaxResultBytes);
  if (!text.ok()) return text.status();
  try {
    // The samples are nearly all of the file: they are thrown away while it is read.
    const Json json = Json::parse(*text, [](int depth, Json::parse_event_t event, Json& parsed) {
      return depth != 1 || event != Json::parse_event_t::key ||
             (parsed != Json("trials") && parsed != Json("timelines"));
    });
    absl::Status status = CheckSchema(json, file);
    if (!status.ok()) return status;
    RunHeadline headline;
    headline.folder = folder;
    Reader reader(json);
    Verdict verdict;
    reader("lab", headline.lab);
    reader("started", headline.started);
    reader("revision", headline.revision);
    reader("exit_status", headline.exit_status);
    reader("seed", headline.seed);
    reader("quick", headline.quick);
    reader("values", headline.shown);
    reader("verdict", verdict);
    headline.state = verdict.state;
    headline.values = std::move(verdict.values);
    headline.predictions = std::move(verdict.predictions);
    return headline;
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", error.what()));
  }
}

}  // namespace lab::bench
