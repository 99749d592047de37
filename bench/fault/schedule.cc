#include "bench/fault/schedule.h"

#include <algorithm>

#include "bench/host/namespaces.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr double kPrepareBefore = 0.1;
constexpr Millis kPoll{3};
constexpr double kReceiptGrace = 1.0;  // how long an instantaneous fault may take to be seen
constexpr double kHealPatience = 5.0;  // how long healing is tried, and its effect awaited
constexpr double kStopPatience = 0.5;  // the same once the run is to stop

double Seconds(Nanos time) { return std::chrono::duration<double>(time).count(); }

std::string ActionOf(const std::string& fault) { return fault.substr(fault.find('.') + 1); }

}  // namespace

struct FaultSchedule::Occurrence {
  FaultSpec spec;
  FaultRecord record;
  const FaultKind* kind = nullptr;
  FaultTarget* target = nullptr;
  double begin_s = 0;
  double end_s = 0;
  bool heal_now = false;  // under the mutex, like the record
  bool ended = false;
  std::thread thread;
};

FaultSchedule::FaultSchedule(std::vector<FaultSpec> faults, Options options) : options_(std::move(options)) {
  for (FaultSpec& spec : faults) occurrences_.push_back(Make(std::move(spec)));
}

std::unique_ptr<FaultSchedule::Occurrence> FaultSchedule::Make(FaultSpec spec) {
  auto made = std::make_unique<Occurrence>();
  const std::string part = spec.part.empty() ? spec.fault.substr(0, spec.fault.find('.')) : spec.part;
  made->target = options_.target(part, spec.replica);
  if (made->target != nullptr) made->kind = FindFault(made->target->kind(), ActionOf(spec.fault));
  made->begin_s = Seconds(spec.offset);
  double phase_end_s = options_.end_s;
  for (const Phase& phase : options_.phases) {
    if (phase.name != spec.phase) continue;
    made->begin_s += phase.begin_s;
    phase_end_s = phase.end_s;
  }
  const bool instantaneous = made->kind != nullptr && made->kind->instantaneous;
  made->end_s = instantaneous ? made->begin_s : spec.length ? made->begin_s + Seconds(*spec.length) : phase_end_s;
  made->end_s = std::min(made->end_s, std::max(options_.end_s, made->begin_s));
  made->record.id = Concat(spec.fault, "#", ++numbers_[spec.fault]);
  made->record.fault = spec.fault;
  made->record.part = part;
  made->record.replica = spec.replica;
  made->record.phase = spec.phase;
  made->record.asked_s = made->begin_s;
  if (!instantaneous) made->record.ends_s = made->end_s;
  made->spec = std::move(spec);
  return made;
}

FaultSchedule::~FaultSchedule() { Stop(); }

absl::Status FaultSchedule::Check() const {
  for (const std::unique_ptr<Occurrence>& occurrence : occurrences_) {
    if (absl::Status checked = Check(*occurrence); !checked.ok()) return checked;
  }
  return absl::OkStatus();
}

absl::Status FaultSchedule::Check(const Occurrence& occurrence) const {
  const FaultRecord& record = occurrence.record;
  if (occurrence.target == nullptr) {
    return absl::InvalidArgumentError(Concat(record.fault, ": there is no part \"", record.part, "\""));
  }
  if (occurrence.kind == nullptr) {
    std::vector<std::string> known;
    for (const FaultKind* kind : FaultsFor(occurrence.target->kind())) known.push_back(kind->action);
    return absl::InvalidArgumentError(Concat(record.part, " has no fault \"", ActionOf(record.fault), "\"",
                                             Suggestion(ActionOf(record.fault), known)));
  }
  const std::string wrong = CheckFaultOptions(*occurrence.kind, occurrence.spec.options);
  return wrong.empty() ? absl::OkStatus() : absl::InvalidArgumentError(wrong);
}

void FaultSchedule::Start() {
  for (const std::unique_ptr<Occurrence>& occurrence : occurrences_) Launch(*occurrence);
}

void FaultSchedule::Launch(Occurrence& occurrence) {
  occurrence.thread = std::thread([this, &occurrence] {
    JoinNamespaces();  // a fault asked for by hand comes from a thread that may be outside of the run's
    Run(occurrence);
    const std::lock_guard lock(mutex_);
    occurrence.ended = true;
  });
}

absl::StatusOr<std::string> FaultSchedule::Add(FaultSpec spec) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return absl::FailedPreconditionError("everything is being stopped");
  ForgetEnded();
  spec.phase.clear();
  spec.offset = std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(Now()));
  const std::string fault = spec.fault;
  std::unique_ptr<Occurrence> made = Make(std::move(spec));
  absl::Status possible = Check(*made);
  const auto open = std::count_if(occurrences_.begin(), occurrences_.end(),
                                  [](const std::unique_ptr<Occurrence>& occurrence) { return !occurrence->ended; });
  if (possible.ok() && static_cast<size_t>(open) >= kMaxOpen) {
    possible = absl::ResourceExhaustedError(Concat(open, " faults are on already; heal one first"));
  }
  if (!possible.ok()) {
    --numbers_[fault];
    return possible;
  }
  occurrences_.push_back(std::move(made));
  Launch(*occurrences_.back());
  return occurrences_.back()->record.id;
}

// With the mutex, so that no thread of an ended one holds it any more.
void FaultSchedule::ForgetEnded() {
  auto ended = std::count_if(occurrences_.begin(), occurrences_.end(),
                             [](const std::unique_ptr<Occurrence>& occurrence) { return occurrence->ended; });
  std::erase_if(occurrences_, [&ended](const std::unique_ptr<Occurrence>& occurrence) {
    if (!occurrence->ended || ended <= static_cast<decltype(ended)>(kMaxEnded)) return false;
    occurrence->thread.join();
    --ended;
    return true;
  });
}

std::vector<std::string> FaultSchedule::Heal(const std::string& id) {
  std::vector<std::string> healed;
  {
    const std::lock_guard lock(mutex_);
    for (const std::unique_ptr<Occurrence>& occurrence : occurrences_) {
      if (occurrence->ended || (!id.empty() && occurrence->record.id != id)) continue;
      occurrence->heal_now = true;
      healed.push_back(occurrence->record.id);
    }
  }
  wake_.notify_all();
  return healed;
}

std::vector<std::string> FaultSchedule::HealAll() { return Heal(""); }

void FaultSchedule::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (const std::unique_ptr<Occurrence>& occurrence : occurrences_) {
    if (occurrence->thread.joinable()) occurrence->thread.join();
  }
}

std::vector<FaultRecord> FaultSchedule::records() const {
  const std::lock_guard lock(mutex_);
  std::vector<FaultRecord> all;
  for (const std::unique_ptr<Occurrence>& occurrence : occurrences_) all.push_back(occurrence->record);
  return all;
}

bool FaultSchedule::Done() const {
  const std::lock_guard lock(mutex_);
  return std::all_of(occurrences_.begin(), occurrences_.end(),
                     [](const std::unique_ptr<Occurrence>& occurrence) { return occurrence->ended; });
}

double FaultSchedule::Now() const { return std::chrono::duration<double>(Clock::now() - options_.zero).count(); }

bool FaultSchedule::WaitUntil(double at_s, const Occurrence* unless_healed) {
  const auto moment = options_.zero + std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(at_s));
  std::unique_lock lock(mutex_);
  return !wake_.wait_until(lock, moment,
                           [&] { return stopping_ || (unless_healed != nullptr && unless_healed->heal_now); });
}

void FaultSchedule::Change(Occurrence& occurrence, const std::function<void(FaultRecord&)>& change) {
  FaultRecord copy;
  {
    const std::lock_guard lock(mutex_);
    change(occurrence.record);
    copy = occurrence.record;
  }
  if (options_.changed) options_.changed(copy);
}

void FaultSchedule::Run(Occurrence& occurrence) {
  if (!WaitUntil(occurrence.begin_s - kPrepareBefore, &occurrence)) return TakeBack(occurrence);
  const std::unique_ptr<Fault> fault = occurrence.kind->make(
      {*occurrence.target, occurrence.spec.options,
       std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(occurrence.end_s - occurrence.begin_s))});
  const absl::Status prepared = fault->Prepare();
  if (!prepared.ok()) {
    // Without a state to compare with there is no receipt, and without a receipt no verdict: so it is not applied.
    Change(occurrence, [&](FaultRecord& record) { record.error = Concat("before: ", prepared.message()); });
    return;
  }
  if (!WaitUntil(occurrence.begin_s, &occurrence)) return TakeBack(occurrence);
  Inject(occurrence, *fault);
}

void FaultSchedule::TakeBack(Occurrence& occurrence) {
  {
    const std::lock_guard lock(mutex_);
    if (!occurrence.heal_now) return;  // everything stops
  }
  Change(occurrence, [](FaultRecord& record) { record.error = "taken back before it was applied"; });
}

void FaultSchedule::Inject(Occurrence& occurrence, Fault& fault) {
  const FaultRecord& record = occurrence.record;
  if (options_.journal) options_.journal(Concat("apply ", record.id, " on ", record.part));
  const bool defused = options_.defused.count(record.fault) > 0;
  const double asked = Now();
  const absl::Status applied = defused ? absl::OkStatus() : fault.Apply();
  Change(occurrence, [&](FaultRecord& changed) {
    // The effect may begin before Apply returns; a time that is too early hides none of it.
    changed.applied_s = asked;
    if (!applied.ok()) changed.error = Concat("apply: ", applied.message());
  });
  if (applied.ok()) AwaitReceipt(occurrence, fault);
  if (!occurrence.kind->instantaneous) WaitUntil(occurrence.end_s, &occurrence);
  HealAndSee(occurrence, fault);
  if (options_.journal && record.healed_s) options_.journal(Concat("healed ", record.id, " on ", record.part));
}

void FaultSchedule::AwaitReceipt(Occurrence& occurrence, Fault& fault) {
  const double give_up = occurrence.kind->instantaneous ? occurrence.begin_s + kReceiptGrace : occurrence.end_s;
  double looked = Now();
  do {
    if (std::optional<std::string> evidence = fault.Seen()) {
      const double seen = Now();
      Change(occurrence, [&](FaultRecord& record) {
        record.seen_s = seen;
        record.evidence = std::move(*evidence);
      });
      return;
    }
    looked = Now() + Seconds(kPoll);
  } while (looked < give_up && WaitUntil(looked, &occurrence));
}

void FaultSchedule::HealAndSee(Occurrence& occurrence, Fault& fault) {
  const double asked = Now();
  Change(occurrence, [&](FaultRecord& record) { record.heal_asked_s = asked; });
  // What can only end by itself, at its time, is awaited until then when it is to be healed earlier.
  const double patience_ends = std::max(asked, occurrence.end_s) + kHealPatience;
  absl::Status healed = fault.Heal();
  for (;;) {
    if (healed.ok() && fault.Healed()) {
      const double seen = Now();
      Change(occurrence, [&](FaultRecord& record) { record.healed_s = seen; });
      return;
    }
    const bool waiting = WaitUntil(Now() + Seconds(kPoll));
    if (Now() > (waiting ? patience_ends : asked + kStopPatience)) break;
    if (!waiting) std::this_thread::sleep_for(kPoll);
    if (!healed.ok()) healed = fault.Heal();
  }
  Change(occurrence, [&](FaultRecord& record) {
    if (!record.error.empty()) record.error += "; ";
    record.error += healed.ok() ? "not seen well again" : Concat("heal: ", healed.message());
  });
}

}  // namespace lab::bench
