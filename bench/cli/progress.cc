#include "bench/cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "bench/judge/judge.h"
#include "bench/report/text.h"

namespace lab::bench::cli {
namespace {

constexpr size_t kEvents = 5, kDone = 8;  // lines
constexpr Millis kFrame{200};

std::string Rate(double per_s) { return WithCommas(static_cast<uint64_t>(std::llround(std::max(0.0, per_s)))) + "/s"; }
std::string Time(double seconds) { return FormatQuantity(seconds, "s"); }

// Eight heights on a logarithmic scale, 100 us to 10 s: what counts is the order of magnitude.
std::string Sparkline(const std::vector<double>& values, int width) {
  static const char* const kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string out;
  const size_t first = values.size() > static_cast<size_t>(width) ? values.size() - width : 0;
  for (size_t i = first; i < values.size(); ++i) {
    const double place = (std::log10(std::max(values[i], 1e-4)) + 4) / 5 * 7;
    out += kBlocks[std::clamp(static_cast<int>(std::lround(place)), 0, 7)];
  }
  return out;
}

// `label` is what the trial was called when it began.
std::string TrialText(const std::string& label, const Trial& trial) {
  std::string text =
      absl::StrCat(label, trial.repeat > 1 ? absl::StrCat(" (", trial.repeat, ")") : "", "  ",
                   trial.complete ? "done" : "broken off", ", ",
                   trial.exploration ? absl::StrCat(WithCommas(trial.exploration->schedules()), " schedules")
                                     : absl::StrCat(WithCommas(trial.ops.size()), " operations"));
  for (const std::string& problem : trial.problems) absl::StrAppend(&text, "; ", PrintableText(problem));
  return text;
}

}  // namespace

std::string FaultText(const FaultRecord& fault) {
  if (!fault.error.empty()) return absl::StrCat(fault.fault, ": ", PrintableText(fault.error));
  if (fault.seen_s && fault.heal_asked_s && !Lasting(fault)) {
    return absl::StrCat(fault.fault, " seen by a probe after ", Time(*fault.seen_s - fault.asked_s), ": ",
                        PrintableText(fault.evidence));
  }
  if (fault.healed_s) {
    return absl::StrCat(fault.fault, " healed, well again ",
                        Time(*fault.healed_s - fault.heal_asked_s.value_or(fault.asked_s)), " later");
  }
  if (fault.heal_asked_s) return absl::StrCat(fault.fault, " is being healed");
  if (fault.seen_s) {
    return absl::StrCat(fault.fault, " seen by a probe after ", Time(*fault.seen_s - fault.asked_s), ": ",
                        PrintableText(fault.evidence));
  }
  return absl::StrCat(fault.fault, fault.applied_s ? " applied" : " asked for");
}

void PlainProgress::Line(const std::string& text) {
  const std::string line = absl::StrCat(variant_.empty() ? "" : "[" + variant_ + "] ", text, "\n");
  if (write(fd_, line.data(), line.size()) < 0) return;  // nobody reads any more; the run goes on
}

void PlainProgress::TrialStarts(const std::string& variant, int repeat, int index, int total) {
  variant_ = variant;
  phase_.clear();
  told_.clear();
  Line(absl::StrCat("trial ", index + 1, " of ", total, repeat > 1 ? absl::StrCat(", repeat ", repeat) : ""));
}

void PlainProgress::Boot(const std::string& text) { Line(PrintableText(text)); }
void PlainProgress::PhaseStarts(const Phase& phase) { phase_ = phase.name; }
void PlainProgress::FaultChanged(const FaultRecord& fault) {
  std::string& told = told_[fault.id];
  const std::string text = FaultText(fault);
  if (told == text) return;
  told = text;
  Line(text);
}
void PlainProgress::Note(const std::string& text) { Line(PrintableText(text)); }
void PlainProgress::TrialEnds(const Trial& trial) { Line(TrialText(trial.variant, trial)); }

void PlainProgress::Second(double at_s, const LiveLoad& load) {
  Line(absl::StrCat(PadLeft(absl::StrCat(std::lround(at_s), " s"), 5), "  ", PadRight(phase_, 12), " offered ",
                    Rate(load.offered_per_s), "  answered ", Rate(load.achieved_per_s), "  admitted ",
                    Rate(load.admitted_per_s), "  failed ", Rate(load.errors_per_s), "  dropped ",
                    Rate(load.dropped_per_s), "  p50 ", Time(load.p50_s), "  p99 ", Time(load.p99_s), "  max ",
                    Time(load.max_s)));
}

ViewState PlannedView(const Lab& lab, bool quick, uint64_t seed) {
  ViewState state;
  state.lab = lab.name;
  state.seed = seed;
  state.phases = TimelineOf(lab, quick);
  for (const FaultSpec& spec : FaultsOf(lab, quick, seed)) {
    FaultRecord fault;
    fault.fault = spec.fault;
    fault.phase = spec.phase;
    if (spec.length && spec.length->count() > 0)
      fault.heal_asked_s = std::chrono::duration<double>(*spec.length).count();
    state.planned.push_back(std::move(fault));
  }
  return state;
}

std::vector<std::string> RenderFrame(const ViewState& state, const TerminalStyle& style) {
  const Ansi ansi(style.color);
  const int width = std::max(40, style.width - 1);
  std::vector<std::string> lines;
  const size_t first = state.done.size() > kDone ? state.done.size() - kDone : 0;
  for (size_t i = first; i < state.done.size(); ++i) lines.push_back(absl::StrCat("   ", ansi.Dim(state.done[i])));
  std::string head = absl::StrCat(" ", ansi.Bold(state.lab));
  if (state.total > 0) {
    absl::StrAppend(&head, "  ", ansi.Bold(state.variant),
                    state.repeat > 1 ? absl::StrCat(" repeat ", state.repeat) : "", "   trial ", state.index + 1,
                    " of ", state.total);
  }
  lines.push_back(absl::StrCat(head, "   seed ", state.seed));
  lines.push_back(TimelineBar(state.phases, state.planned, std::min(width, 140), ansi, std::max(0.0, state.at_s)));
  if (state.at_s < 0) {
    lines.push_back("   starting …");
  } else {
    const LiveLoad& load = state.load;
    lines.push_back(absl::StrCat("   ", PadLeft(absl::StrCat(static_cast<int>(state.at_s), " s"), 5), "  ",
                                 ansi.Bold(PadRight(state.phase, 12)), "  p50 ", PadRight(Time(load.p50_s), 8), " p99 ",
                                 PadRight(Time(load.p99_s), 8), " max ", PadRight(Time(load.max_s), 8), " p99 ",
                                 Sparkline(state.p99_s, std::max(8, width - 72))));
    const double lost = load.errors_per_s + load.dropped_per_s;
    const std::string failed =
        absl::StrCat("   failed ", Rate(load.errors_per_s), "   dropped ", Rate(load.dropped_per_s));
    // What was lost stands before what a narrow terminal has no room for.
    lines.push_back(absl::StrCat("   offered ", Rate(load.offered_per_s), "   answered ", Rate(load.achieved_per_s),
                                 lost > 0 ? ansi.ByState(State::kFail, failed) : failed, "   admitted ",
                                 Rate(load.admitted_per_s), "   in flight ", WithCommas(load.in_flight)));
  }
  for (const FaultRecord& fault : state.faults) {
    if (fault.healed_s || (fault.seen_s && !fault.heal_asked_s && fault.part.empty())) continue;
    const std::string glyph = fault.seen_s ? ansi.ByState(State::kPass, "✓") : ansi.Fault("▓");
    lines.push_back(absl::StrCat("   ", glyph, " ", ansi.Fault(FaultText(fault))));
  }
  lines.push_back("");
  for (const std::string& event : state.events) lines.push_back(absl::StrCat("   ", ansi.Dim(event)));
  return lines;
}

LiveProgress::LiveProgress(const Lab& lab, bool quick, uint64_t seed, int fd, TerminalStyle style)
    : fd_(fd), style_(style), block_(fd), state_(PlannedView(lab, quick, seed)), thread_([this] { Loop(); }) {}

LiveProgress::~LiveProgress() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
  block_.Clear();
}

void LiveProgress::Loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_) {
    ViewState view = state_;
    if (view.at_s >= 0 && !view.phases.empty()) {
      const double since = std::chrono::duration<double>(Clock::now() - second_at_).count();
      view.at_s = std::min(view.at_s + std::min(since, 2.0), view.phases.back().end_s);
    }
    lock.unlock();
    TerminalStyle style = style_;
    style.width = TerminalWidth(fd_);
    block_.Draw(RenderFrame(view, style));
    lock.lock();
    wake_.wait_for(lock, kFrame, [this] { return stop_; });
  }
}

void LiveProgress::Event(const std::string& text) {
  state_.events.push_back(PrintableText(text));
  if (state_.events.size() > kEvents) state_.events.pop_front();
}

void LiveProgress::TrialStarts(const std::string& variant, int repeat, int index, int total) {
  const std::lock_guard<std::mutex> lock(mutex_);
  state_.variant = variant;
  state_.repeat = repeat;
  state_.index = index;
  state_.total = total;
  state_.phase.clear();
  state_.at_s = -1;
  state_.load = {};
  state_.p99_s.clear();
  state_.faults.clear();
  state_.events.clear();
}

void LiveProgress::Boot(const std::string& text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Event(text);
}

void LiveProgress::PhaseStarts(const Phase& phase) {
  const std::lock_guard<std::mutex> lock(mutex_);
  state_.phase = phase.name;
  state_.at_s = std::max(state_.at_s, phase.begin_s);
  second_at_ = Clock::now();
}

void LiveProgress::Second(double at_s, const LiveLoad& load) {
  const std::lock_guard<std::mutex> lock(mutex_);
  state_.at_s = at_s;
  state_.load = load;
  state_.p99_s.push_back(load.p99_s);
  if (state_.p99_s.size() > 600) state_.p99_s.erase(state_.p99_s.begin());
  second_at_ = Clock::now();
}

void LiveProgress::FaultChanged(const FaultRecord& fault) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto same = [&](const FaultRecord& known) { return known.id == fault.id; };
  const auto found = std::find_if(state_.faults.begin(), state_.faults.end(), same);
  const bool told = found != state_.faults.end() && FaultText(*found) == FaultText(fault);
  if (found == state_.faults.end()) {
    state_.faults.push_back(fault);
  } else {
    *found = fault;
  }
  if (!told) Event(FaultText(fault));
}

void LiveProgress::Note(const std::string& text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Event(text);
}

void LiveProgress::TrialEnds(const Trial& trial) {
  const std::lock_guard<std::mutex> lock(mutex_);
  state_.done.push_back(TrialText(state_.variant, trial));
}

bool ShowsLive(bool json, bool plain) { return !json && !plain && IsTerminal(STDOUT_FILENO); }

std::unique_ptr<Progress> MakeProgress(const Lab& lab, const RunOptions& options, bool json, bool plain) {
  if (!ShowsLive(json, plain)) return std::make_unique<PlainProgress>(json ? STDERR_FILENO : STDOUT_FILENO);
  return std::make_unique<LiveProgress>(lab, options.quick, options.seed, STDOUT_FILENO, StyleOf(STDOUT_FILENO, false));
}

}  // namespace lab::bench::cli
