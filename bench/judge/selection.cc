#include "bench/judge/selection.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

using Windows = std::vector<std::pair<int64_t, int64_t>>;

Windows Merged(Windows windows) {
  std::sort(windows.begin(), windows.end());
  Windows merged;
  for (const auto& window : windows) {
    if (!merged.empty() && window.first <= merged.back().second) {
      merged.back().second = std::max(merged.back().second, window.second);
    } else {
      merged.push_back(window);
    }
  }
  return merged;
}

void SelectPhases(const Trial& trial, const Selectors& selectors, Selection& selection) {
  const int64_t after_ns = ToNanos(selectors.Number("after"));
  for (const std::string& name : selectors.Names("phase")) {
    const Phase* phase = FindPhase(trial, name);
    if (phase == nullptr) {
      selection.why = Concat("phase ", name, " did not take place");
      return;
    }
    const int64_t begin_ns = ToNanos(phase->begin_s) + after_ns, end_ns = ToNanos(phase->end_s);
    if (begin_ns < end_ns) selection.windows_ns.emplace_back(begin_ns, end_ns);
  }
}

void SelectFaults(const Trial& trial, const Selectors& selectors, Selection& selection) {
  selection.by_fault = true;
  for (const std::string& phase : selectors.Names("fault")) {
    bool found = false;
    for (const FaultRecord& fault : trial.faults) {
      if (fault.phase != phase) continue;
      found = true;
      if (!fault.seen_s || !fault.heal_asked_s) {
        selection.why = Concat(fault.id, fault.seen_s ? " has no end" : " was never seen");
        return;
      }
      selection.windows_ns.emplace_back(ToNanos(*fault.seen_s), ToNanos(*fault.heal_asked_s));
    }
    if (!found) {
      selection.why = Concat("no fault began in phase ", phase);
      return;
    }
  }
}

void SelectStreams(const Trial& trial, const Lab& lab, const Selectors& selectors, Selection& selection) {
  const std::string name = selectors.Text("stream");
  std::vector<std::string> wanted = {name};
  for (const LoadSpec& load : lab.load) {
    if (load.name != name) continue;
    for (const auto& [lane, request] : load.lanes) wanted.push_back(lane);
  }
  bool any = false;
  for (size_t i = 0; i < trial.streams.size(); ++i) {
    const StreamInfo& stream = trial.streams[i];
    const bool in =
        name.empty() || stream.load == name || std::find(wanted.begin(), wanted.end(), stream.name) != wanted.end();
    selection.streams.push_back(in);
    any = any || in;
    if (in) selection.keys += stream.keys;
  }
  if (!any && selection.why.empty()) selection.why = Concat("there was no stream ", name);
}

}  // namespace

bool Selection::Intended(const Op& op) const {
  if (!InStream(op)) return false;
  for (const auto& [begin, end] : windows_ns) {
    if (op.intended_ns >= begin && op.intended_ns < end) return true;
  }
  return false;
}

bool Selection::Within(const Op& op) const {
  if (!by_fault) return Intended(op);
  if (!InStream(op) || op.outcome == Outcome::kDropped) return false;
  for (const auto& [begin, end] : windows_ns) {
    if (op.sent_ns >= begin && op.done_ns <= end) return true;
  }
  return false;
}

Selection Select(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  Selection selection;
  if (selectors.Has("fault")) {
    SelectFaults(trial, selectors, selection);
  } else if (selectors.Has("phase")) {
    SelectPhases(trial, selectors, selection);
  } else if (trial.phases.empty()) {
    selection.why = "there were no phases";
  } else {
    selection.windows_ns = {{ToNanos(trial.phases.front().begin_s), ToNanos(trial.phases.back().end_s)}};
  }
  if (selectors.Has("after") && !selectors.Has("phase")) selection.why = "after= needs phase=";
  SelectStreams(trial, lab, selectors, selection);
  selection.reads = selectors.Text("ops") != "writes";
  selection.writes = selectors.Text("ops") != "reads";
  selection.windows_ns = Merged(std::move(selection.windows_ns));
  int64_t length_ns = 0;
  for (const auto& [begin, end] : selection.windows_ns) length_ns += std::max<int64_t>(0, end - begin);
  selection.length_s = static_cast<double>(length_ns) * 1e-9;
  if (selection.why.empty() && selection.length_s <= 0) selection.why = "the selected time has no length";
  return selection;
}

const Phase* FindPhase(const Trial& trial, const std::string& name) {
  for (const Phase& phase : trial.phases) {
    if (phase.name == name) return &phase;
  }
  return nullptr;
}

int64_t ToNanos(double seconds) { return std::llround(seconds * 1e9); }

std::string Place(const Trial& trial, int64_t at_ns) {
  const double at_s = static_cast<double>(at_ns) * 1e-9;
  std::string text = absl::StrFormat("%.6f s", at_s);
  for (const Phase& phase : trial.phases) {
    if (at_s >= phase.begin_s && at_s < phase.end_s) {
      return absl::StrFormat("%s (%s+%.3f s)", text, phase.name, at_s - phase.begin_s);
    }
  }
  return text;
}

}  // namespace lab::bench
