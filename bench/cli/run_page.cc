#include "bench/cli/run_page.h"

#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bench/cli/checkout.h"
#include "bench/fault/fault.h"
#include "bench/report/result_json.h"
#include "services/runtime/base/json.h"

namespace lab::bench::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string PhasesJson(const Lab& lab, bool quick) {
  Json phases = Json::array();
  for (const Phase& phase : TimelineOf(lab, quick)) {
    phases.push_back({{"name", phase.name}, {"begin_s", phase.begin_s}, {"end_s", phase.end_s}});
  }
  return Dump(phases);
}

// What could be broken, though not in a judged run: the page shows it with the reason.
std::string AllBreakable(const Lab& lab) {
  std::vector<live::Breakable> all;
  for (const PartSpec& part : lab.system) {
    for (const FaultKind* kind : FaultsFor(part.kind.empty() ? part.name : part.kind)) {
      all.push_back({absl::StrCat(part.name, ".", kind->action), kind});
    }
  }
  return live::BreakableJson(all);
}

}  // namespace

HubProgress::HubProgress(const Lab& lab, const RunOptions& options, live::Hub& hub) : lab_(lab), hub_(hub) {
  const std::pair<const char*, std::string> members[] = {{"lab", JsonString(lab.name)},
                                                         {"title", JsonString(lab.title)},
                                                         {"question", JsonString(lab.question)},
                                                         {"mode", "\"run\""},
                                                         {"why_disabled", JsonString(live::kJudged)},
                                                         {"seed", absl::StrCat(options.seed)},
                                                         {"phases", PhasesJson(lab, options.quick)},
                                                         {"links", live::LinksJson(lab)},
                                                         {"breakable", AllBreakable(lab)},
                                                         {"load_factor", "1"},
                                                         {"parts", "[]"}};
  for (const auto& [key, json] : members) hub_.SetState(key, json);
}

void HubProgress::TrialStarts(const std::string& variant, int repeat, int index, int total) {
  at_s_ = 0;
  queues_.clear();
  hub_.SetState("variant", JsonString(variant));
  hub_.SetState("parts", "[]");
  hub_.Publish("trial", Dump({{"variant", variant}, {"repeat", repeat}, {"index", index}, {"total", total}}));
}

void HubProgress::Boot(const std::string& text) { Note(text); }

void HubProgress::PartsAreUp(const std::vector<PartInfo>& parts) {
  Json all = Json::array();
  for (const PartInfo& part : parts) {
    const std::string& name = part.part;
    const int replica = part.replica;
    all.push_back({{"name", name},
                   {"replica", replica},
                   {"label", part.name},
                   {"kind", part.kind},
                   {"version", part.version},
                   {"state", "up"},
                   {"ports", part.ports}});
  }
  hub_.SetState("parts", Dump(all));
}

void HubProgress::PhaseStarts(const Phase& phase) {
  at_s_ = phase.begin_s;
  hub_.Publish("phase", Dump({{"name", phase.name}, {"at_s", phase.begin_s}}));
}

void HubProgress::Looked(const std::vector<ObservedValue>& look) { queues_ = live::QueuesOf(look); }

void HubProgress::Second(double at_s, const LiveLoad& load) {
  at_s_ = at_s;
  hub_.Publish("second", live::SecondJson(at_s, load, queues_));
}

void HubProgress::FaultChanged(const FaultRecord& fault) { hub_.Publish("fault", live::FaultJson(fault)); }
void HubProgress::Note(const std::string& text) { hub_.Publish("note", live::NoteJson(at_s_, text)); }

void HubProgress::TrialEnds(const Trial& trial) {
  Note(absl::StrCat(trial.variant, trial.complete ? " done, " : " broken off, ", trial.ops.size(), " operations"));
}

void HubProgress::Judged(const Report& report) {
  const Json whole = Json::parse(ResultJson(report));
  const Json& verdict = whole["verdict"];
  hub_.Publish("verdict", Dump({{"state", verdict["state"]},
                                {"reasons", verdict["reasons"]},
                                {"findings", verdict["findings"]},
                                {"report", ShortPath(report.run.folder + "/report.html")}}));
}

void BothProgress::TrialStarts(const std::string& variant, int repeat, int index, int total) {
  first_.TrialStarts(variant, repeat, index, total);
  second_.TrialStarts(variant, repeat, index, total);
}
void BothProgress::Boot(const std::string& text) {
  first_.Boot(text);
  second_.Boot(text);
}
void BothProgress::PartsAreUp(const std::vector<PartInfo>& parts) {
  first_.PartsAreUp(parts);
  second_.PartsAreUp(parts);
}
void BothProgress::PhaseStarts(const Phase& phase) {
  first_.PhaseStarts(phase);
  second_.PhaseStarts(phase);
}
void BothProgress::Looked(const std::vector<ObservedValue>& look) {
  first_.Looked(look);
  second_.Looked(look);
}
void BothProgress::Second(double at_s, const LiveLoad& load) {
  first_.Second(at_s, load);
  second_.Second(at_s, load);
}
void BothProgress::FaultChanged(const FaultRecord& fault) {
  first_.FaultChanged(fault);
  second_.FaultChanged(fault);
}
void BothProgress::Note(const std::string& text) {
  first_.Note(text);
  second_.Note(text);
}
void BothProgress::TrialEnds(const Trial& trial) {
  first_.TrialEnds(trial);
  second_.TrialEnds(trial);
}

RunPage::RunPage(const Lab& lab, const RunOptions& options, int port)
    : progress_(lab, options, hub_), server_(hub_, nullptr, {.port = port}) {}

absl::StatusOr<std::unique_ptr<RunPage>> RunPage::Start(const Lab& lab, const RunOptions& options, int port) {
  std::unique_ptr<RunPage> page(new RunPage(lab, options, port));
  if (const absl::Status started = page->server_.Start(); !started.ok()) return started;
  return page;
}

void RunPage::AwaitLeave(const std::atomic<int>& interrupted) {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  while (interrupted.load() == 0) {
    if (poll(&input, 1, 200) > 0) {
      char line[256];
      // Nothing is done with what was typed.
      if (read(STDIN_FILENO, line, sizeof(line)) >= 0) return;
    }
  }
}

}  // namespace lab::bench::cli
