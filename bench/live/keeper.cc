#include "bench/live/keeper.h"

#include <algorithm>
#include <cstdio>

#include "bench/live/steady_load.h"
#include "bench/observe/process_figures.h"
#include "bench/run/trial.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {
namespace {

constexpr Millis kTick{50};
constexpr Millis kPartsEvery{200};
constexpr Millis kLogsEvery{1000};

double Seconds(Nanos time) { return std::chrono::duration<double>(time).count(); }
Nanos NanosOf(double seconds) { return std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds)); }

// The caller has checked the name.
const VariantSpec& VariantOf(const Lab& lab, const std::string& name) {
  const std::string& wanted = name.empty() ? lab.reference : name;
  const auto found = std::find_if(lab.variants.begin(), lab.variants.end(),
                                  [&](const VariantSpec& variant) { return variant.name == wanted; });
  return found == lab.variants.end() ? lab.variants.front() : *found;
}

// All that are on, and of those that are over the last ones.
std::vector<FaultRecord> Newest(std::vector<FaultRecord> records) {
  constexpr size_t kOver = 20;
  size_t later = 0;
  for (size_t i = records.size(); i-- > 0;) {
    const bool over = records[i].healed_s || !records[i].error.empty();
    if (over && ++later > kOver) records.erase(records.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return records;
}

}  // namespace

Keeper::Keeper(const Lab& lab, Options options, Spawner& spawner, Journal& journal)
    : lab_(lab),
      options_(std::move(options)),
      variant_spec_(VariantOf(lab, options_.variant)),
      variant_(variant_spec_.name),
      journal_(journal),
      system_(lab,
              {options_.root,
               options_.folder,
               Concat(journal.folder(), "/data"),
               {variant_spec_.set, options_.set},
               [this] { return Interrupted(); }},
              spawner, journal) {}

Keeper::~Keeper() { Stop(); }

bool Keeper::Interrupted() const { return options_.interrupted != nullptr && options_.interrupted->load() != 0; }

absl::Status Keeper::Start(Progress& boot) {
  if (absl::Status started = system_.Start(boot); !started.ok()) return started;
  const std::vector<PartInfo> described = system_.Describe();
  for (size_t i = 0; i < described.size(); ++i) {
    const std::unique_ptr<Part>& part = system_.parts()[i];
    const auto failpoints = described[i].changed.find("failpoints.enabled");
    for (const FaultKind* kind : FaultsFor(part->kind())) {
      if (!WhyNotOn(*kind, *part).empty()) continue;  // `doctor` says why
      if (kind->action == "failpoint" && (failpoints == described[i].changed.end() || failpoints->second != "true"))
        continue;
      breakable_.push_back({Concat(part->full_name(), ".", kind->action), kind});
    }
  }
  if (absl::Status loading = StartLoad(); !loading.ok()) return loading;
  StartFaults();
  StartObserver();
  ShowState();
  server_ = std::make_unique<Server>(hub_, this, options_.page);
  return server_->Start();
}

absl::Status Keeper::StartLoad() {
  const absl::StatusOr<std::string> phase = SteadyPhase(lab_, options_.phase);
  if (!phase.ok()) return phase.status();
  Generator::Options options;
  options.loads = SteadyLoads(LoadsOf(lab_, variant_spec_), *phase);
  options.endless = true;
  options.seed = options_.seed;
  for (const LoadSpec& load : options.loads) {
    options.endpoints[load.target] = system_.Endpoints(load.target);
    if (options.endpoints[load.target].empty()) {
      return absl::InvalidArgumentError(Concat("load ", load.name, ": no part serves ", load.target));
    }
  }
  offered_per_s_ = OfferedBy(options.loads);
  options.on_second = [this](const LiveLoad& load) {
    const double at_s = Now();
    mailbox_.Post([this, at_s, load] { ShowSecond(at_s, load); });
  };
  generator_ = std::make_unique<Generator>(std::move(options));
  const absl::Status connected = generator_->Connect();
  if (!connected.ok()) return absl::Status(connected.code(), Concat("the load generator: ", connected.message()));
  zero_ = Clock::now();
  load_ = std::thread([this] {
    loaded_ = generator_->Run();
    load_ended_ = true;
  });
  return absl::OkStatus();
}

void Keeper::StartFaults() {
  FaultSchedule::Options options;
  options.zero = zero_;
  options.end_s = Seconds(options_.length);
  options.target = [this](const std::string& part, int replica) -> FaultTarget* { return system_.Find(part, replica); };
  options.journal = [this](const std::string& line) { journal_.Fault(line); };
  options.changed = [this](const FaultRecord& fault) { mailbox_.Post([this, fault] { ShowFault(fault); }); };
  faults_.emplace(std::vector<FaultSpec>{}, std::move(options));
  faults_->Start();
}

void Keeper::StartObserver() {
  ObserverOptions options;
  options.keep = false;
  options.on_look = [this](const std::vector<ObservedValue>& look) {
    Queues queues = QueuesOf(look);
    const std::lock_guard lock(queues_mutex_);
    queues_ = std::move(queues);
  };
  observer_.emplace(system_.Sources(), std::move(options));
  observer_->Start();
}

void Keeper::ShowState() {
  const double unix_s = Seconds(std::chrono::system_clock::now().time_since_epoch()) - Now();
  const std::pair<const char*, std::string> members[] = {
      {"lab", JsonString(lab_.name)},
      {"title", JsonString(lab_.title)},
      {"question", JsonString(lab_.question)},
      {"mode", "\"up\""},
      {"variant", JsonString(variant_)},
      {"seed", Concat(options_.seed)},
      {"started", JsonString(LocalTime())},
      {"started_unix_s", JsonNumber(unix_s)},
      {"ends_s", JsonNumber(Seconds(options_.length))},
      {"phases", "[]"},
      {"links", LinksJson(lab_)},
      {"breakable", BreakableJson(breakable_)},
      {"faults", "[]"},
      {"load_factor", "1"},
      {"load_per_s", JsonNumber(offered_per_s_)},
  };
  for (const auto& [key, json] : members) hub_.SetState(key, json);
  ShowParts();
}

std::vector<PartNow> Keeper::PartsNow() const {
  std::vector<PartInfo> infos = system_.Describe();
  std::vector<PartNow> parts;
  for (size_t i = 0; i < infos.size(); ++i) {
    const Part& part = *system_.parts()[i];
    PartNow now{std::move(infos[i]), part.name(), part.replica(), part.pid(), '?'};
    if (now.pid > 0) {
      if (const auto figures = ReadProcess(now.pid)) now.state = figures->state;
    }
    parts.push_back(std::move(now));
  }
  return parts;
}

void Keeper::ShowParts() {
  parts_shown_ = Clock::now();
  const std::vector<PartNow> parts = PartsNow();
  states_.resize(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string state = Concat(StateWordOf(parts[i]), " ", parts[i].pid);
    if (state == states_[i]) continue;
    states_[i] = state;
    hub_.Publish("part", PartJson(parts[i]));
  }
  hub_.SetState("parts", PartsJson(parts));  // the hub tells it on only when it has changed
}

void Keeper::Note(const std::string& text) {
  std::printf("%s %s\n", LocalTime().c_str(), text.c_str());
  std::fflush(stdout);
  hub_.Publish("note", NoteJson(Now(), text));
}

void Keeper::ShowSecond(double at_s, const LiveLoad& load) {
  Queues queues;
  {
    const std::lock_guard lock(queues_mutex_);
    queues = queues_;
  }
  const std::string second = SecondJson(at_s, load, queues);
  hub_.KeepState("second", second);
  hub_.Publish("second", second);
}

void Keeper::ShowFault(const FaultRecord& fault) {
  ShowParts();  // who is told of the fault finds the part as it is by then
  hub_.KeepState("faults", FaultsJson(Newest(faults_->records())));
  hub_.Publish("fault", FaultJson(fault));
  std::printf("%s %s\n", LocalTime().c_str(), FaultJson(fault).c_str());
  std::fflush(stdout);
}

void Keeper::Tick() {
  mailbox_.Deliver();
  for (const std::string& end : system_.UnaskedEnds()) Note(end);
  if (Clock::now() > parts_shown_ + kPartsEvery) ShowParts();
  if (Clock::now() > logs_bounded_ + kLogsEvery) {
    system_.BoundLogs();
    logs_bounded_ = Clock::now();
  }
  std::this_thread::sleep_for(kTick);
}

std::string Keeper::Run() {
  const Clock::time_point end = zero_ + options_.length;
  std::string why;
  while (!down_) {
    if (Interrupted()) {
      why = "a signal asked it to end";
      break;
    }
    if (Clock::now() >= end) {
      why = Concat("its time of ", FormatDuration(options_.length), " was over");
      break;
    }
    if (load_ended_.exchange(false)) Note(Concat("the load has ended: ", loaded_.message()));
    Tick();
  }
  Stop();
  return why;
}

void Keeper::Stop() {
  server_.reset();
  if (faults_) faults_->Stop();
  if (generator_) generator_->Stop();
  if (load_.joinable()) load_.join();
  if (observer_) observer_->Stop();
  for (const std::string& stubborn : system_.Stop(false)) std::printf("%s\n", stubborn.c_str());
  mailbox_.Deliver();
}

absl::StatusOr<FaultSpec> Keeper::SpecOf(const std::string& fault) const {
  std::vector<std::string> known;
  for (const Breakable& one : breakable_) known.push_back(one.fault);
  if (std::find(known.begin(), known.end(), fault) == known.end()) {
    return absl::InvalidArgumentError(Concat("there is no fault \"", fault, "\" here", Suggestion(fault, known)));
  }
  FaultSpec spec;
  spec.fault = fault;
  const std::string name = fault.substr(0, fault.find('.'));
  for (const std::unique_ptr<Part>& part : system_.parts()) {
    if (part->full_name() != name) continue;
    spec.part = part->name();
    spec.replica = part->replica();
  }
  return spec;
}

absl::StatusOr<std::string> Keeper::Break(const std::string& fault, std::optional<double> seconds,
                                          const std::map<std::string, std::string>& options) {
  absl::StatusOr<FaultSpec> spec = SpecOf(fault);
  if (!spec.ok()) return spec.status();
  spec->options = options;
  spec->length = seconds ? NanosOf(*seconds) : kLongestBreak;
  if (seconds && *seconds <= 0) return absl::InvalidArgumentError("a fault lasts longer than 0 s");
  return faults_->Add(*std::move(spec));
}

absl::Status Keeper::Heal(const std::optional<std::string>& fault) {
  if (!fault) {
    faults_->HealAll();
    return absl::OkStatus();
  }
  if (!faults_->Heal(*fault).empty()) return absl::OkStatus();
  size_t healed = 0;
  std::vector<std::string> on;
  for (const FaultRecord& record : faults_->records()) {
    if (record.healed_s || !record.error.empty()) continue;
    on.push_back(record.fault);
    if (record.fault == *fault) healed += faults_->Heal(record.id).size();
  }
  if (healed > 0) return absl::OkStatus();
  if (on.empty()) return absl::NotFoundError(Concat(*fault, " is not on; nothing is broken"));
  return absl::NotFoundError(Concat(*fault, " is not on", Suggestion(*fault, on)));
}

absl::Status Keeper::Load(double factor) {
  if (offered_per_s_ <= 0) return absl::FailedPreconditionError("the load of this phase is silence");
  if (!(factor >= 0) || factor * offered_per_s_ > kMostPerSecond) {
    return absl::InvalidArgumentError(Concat("the load can be from 0 to ", kMostPerSecond, " operations a second"));
  }
  generator_->SetRateFactor(factor);
  hub_.SetState("load_factor", JsonNumber(factor));
  return absl::OkStatus();
}

absl::Status Keeper::Down() {
  down_ = true;
  return absl::OkStatus();
}

}  // namespace lab::bench::live
