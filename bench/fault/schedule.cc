#include "bench/fault/schedule.h"

#include <algorithm>

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
  std::thread thread;
};

FaultSchedule::FaultSchedule(std::vector<FaultSpec> faults, Options options) : options_(std::move(options)) {
  std::map<std::string, int> numbers;
  for (FaultSpec& spec : faults) {
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
    made->record.id = Concat(spec.fault, "#", ++numbers[spec.fault]);
    made->record.fault = spec.fault;
    made->record.part = part;
    made->record.phase = spec.phase;
    made->record.asked_s = made->begin_s;
    made->spec = std::move(spec);
    occurrences_.push_back(std::move(made));
  }
}

FaultSchedule::~FaultSchedule() { Stop(); }

absl::Status FaultSchedule::Check() const {
  for (const std::unique_ptr<Occurrence>& occurrence : occurrences_) {
    const FaultRecord& record = occurrence->record;
    if (occurrence->target == nullptr) {
      return absl::InvalidArgumentError(Concat(record.fault, ": there is no part \"", record.part, "\""));
    }
    if (occurrence->kind == nullptr) {
      std::vector<std::string> known;
      for (const FaultKind* kind : FaultsFor(occurrence->target->kind())) known.push_back(kind->action);
      return absl::InvalidArgumentError(Concat(record.part, " has no fault \"", ActionOf(record.fault), "\"",
                                               Suggestion(ActionOf(record.fault), known)));
    }
    if (const std::string wrong = CheckFaultOptions(*occurrence->kind, occurrence->spec.options); !wrong.empty()) {
      return absl::InvalidArgumentError(wrong);
    }
  }
  return absl::OkStatus();
}

void FaultSchedule::Start() {
  for (const std::unique_ptr<Occurrence>& occurrence : occurrences_) {
    occurrence->thread = std::thread([this, &occurrence = *occurrence] {
      Run(occurrence);
      const std::lock_guard lock(mutex_);
      ++done_;
    });
  }
}

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
  return done_ == occurrences_.size();
}

double FaultSchedule::Now() const { return std::chrono::duration<double>(Clock::now() - options_.zero).count(); }

bool FaultSchedule::WaitUntil(double at_s) {
  const auto moment = options_.zero + std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(at_s));
  std::unique_lock lock(mutex_);
  return !wake_.wait_until(lock, moment, [this] { return stopping_; });
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
  if (!WaitUntil(occurrence.begin_s - kPrepareBefore)) return;
  const std::unique_ptr<Fault> fault = occurrence.kind->make(
      {*occurrence.target, occurrence.spec.options,
       std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(occurrence.end_s - occurrence.begin_s))});
  const absl::Status prepared = fault->Prepare();
  if (!prepared.ok()) {
    // Without a state to compare with there is no receipt, and without a receipt no verdict: so it is not applied.
    Change(occurrence, [&](FaultRecord& record) { record.error = Concat("before: ", prepared.message()); });
    return;
  }
  if (!WaitUntil(occurrence.begin_s)) return;
  Inject(occurrence, *fault);
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
  if (!occurrence.kind->instantaneous) WaitUntil(occurrence.end_s);
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
  } while (looked < give_up && WaitUntil(looked));
}

void FaultSchedule::HealAndSee(Occurrence& occurrence, Fault& fault) {
  const double asked = Now();
  Change(occurrence, [&](FaultRecord& record) { record.heal_asked_s = asked; });
  absl::Status healed = fault.Heal();
  for (;;) {
    if (healed.ok() && fault.Healed()) {
      const double seen = Now();
      Change(occurrence, [&](FaultRecord& record) { record.healed_s = seen; });
      return;
    }
    const bool waiting = WaitUntil(Now() + Seconds(kPoll));
    if (Now() > asked + (waiting ? kHealPatience : kStopPatience)) break;
    if (!waiting) std::this_thread::sleep_for(kPoll);
    if (!healed.ok()) healed = fault.Heal();
  }
  Change(occurrence, [&](FaultRecord& record) {
    if (!record.error.empty()) record.error += "; ";
    record.error += healed.ok() ? "not seen well again" : Concat("heal: ", healed.message());
  });
}

}  // namespace lab::bench
