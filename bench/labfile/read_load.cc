#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <optional>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bench/labfile/parsing.h"
#include "bench/labfile/quantity.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr int64_t kMaxKeys = 10'000'000;
// Of one trial; the generator keeps every one of them. It refuses 5 million itself, while it makes the schedule: what
// passes here has room for the luck of Poisson arrivals.
constexpr double kMaxOperations = 4.5e6;
constexpr char kOfKnee[] = " of knee";

const std::vector<std::string>& ArrivalNames() {
  static const std::vector<std::string> names = {"constant", "poisson", "ramp", "step", "spike", "replay", "closed"};
  return names;
}

// "4000/s", or "60% of knee" into *of_knee and 0. Nothing after an error.
std::optional<double> ReadRate(const yaml::Value& value, const Catalogue& catalogue, double* of_knee) {
  const std::string text = value.String();
  const size_t knee = text.find(kOfKnee);
  if (knee != std::string::npos && knee + sizeof(kOfKnee) - 1 == text.size()) {
    const absl::StatusOr<double> share = ShareOf(text.substr(0, knee));
    if (!share.ok() || *share <= 0 || *share > 2) {
      value.Error("write a share between 1% and 200%, as \"60% of knee\"");
      return std::nullopt;
    }
    if (of_knee == nullptr || !catalogue.knee) {
      value.Error("a share of the knee cannot be used here; write a rate, as 4000/s");
      return std::nullopt;
    }
    *of_knee = *share;
    return 0;
  }
  const absl::StatusOr<Quantity> quantity = QuantityOf(text);
  if (!quantity.ok() || !quantity->unit.SameKind(Unit::Rate())) {
    value.Error(Concat("\"", text.substr(0, 40), "\" is not a rate; write a number and its unit, as 4000/s"));
    return std::nullopt;
  }
  if (quantity->value > kMaxRate) {
    value.Error("is more than 2000000/s");
    return std::nullopt;
  }
  return quantity->value;
}

void ReadRates(const yaml::Value& rate, Reading& reading, RateSpec& spec) {
  if (!rate.is_map()) {
    const std::optional<double> per_s = ReadRate(rate, reading.catalogue, &spec.of_knee);
    if (per_s && *per_s <= 0 && spec.of_knee <= 0) rate.Error("must be above 0");
    spec.per_s = per_s.value_or(0);
    return;
  }
  const std::vector<std::string> phases = PhaseNames(reading.lab);
  for (const auto& [phase, value] : rate.Entries()) {
    if (std::find(phases.begin(), phases.end(), phase) == phases.end()) {
      value.Error(Concat("unknown phase", Suggestion(phase, phases)));
    }
    double of_knee = 0;
    spec.by_phase[phase] = ReadRate(value, reading.catalogue, &of_knee).value_or(0);
    if (of_knee > 0) spec.of_knee_by_phase[phase] = of_knee;
  }
  for (const std::string& phase : phases) {
    if (!spec.by_phase.contains(phase)) {
      rate.Error(Concat("no rate for phase \"", phase, "\"; write ", phase, ": 0/s for silence"));
    }
  }
}

// The arguments of "zipf(1.0, 10000)", or nothing when the text is not of that form.
std::optional<std::pair<std::string, std::vector<double>>> NameAndArguments(const std::string& text) {
  const size_t open = text.find('(');
  if (open == std::string::npos || text.back() != ')') return std::nullopt;
  std::vector<double> arguments;
  const std::string inside = text.substr(open + 1, text.size() - open - 2);
  for (absl::string_view part : absl::StrSplit(inside, ',')) {
    const std::string trimmed(absl::StripAsciiWhitespace(part));
    const absl::StatusOr<Quantity> quantity = QuantityOf(trimmed);
    if (!quantity.ok() || !quantity->unit.SameKind(Unit::Plain())) return std::nullopt;
    arguments.push_back(quantity->value);
  }
  return std::make_pair(text.substr(0, open), arguments);
}

void ReadKeys(const yaml::Value& value, KeySpec& keys) {
  if (!value.defined()) return;
  const std::string text = value.String();
  const std::vector<std::string> forms = {"uniform(400)", "zipf(1.0, 10000)", "hot(0.4, 1000)", "sequence(100)"};
  const std::vector<std::string> names = {"uniform", "zipf", "hot", "sequence"};
  const auto call = NameAndArguments(text);
  const auto found = call ? std::find(names.begin(), names.end(), call->first) : names.end();
  if (found == names.end()) {
    const std::string name = text.substr(0, text.find('('));
    value.Error(Concat("\"", text.substr(0, 40), "\" is no distribution of keys; write one of ", forms[0], ", ",
                       forms[1], ", ", forms[2], ", ", forms[3], call ? Suggestion(name, names) : ""));
    return;
  }
  keys.kind = static_cast<KeySpec::Kind>(found - names.begin());
  const bool two = keys.kind == KeySpec::Kind::kZipf || keys.kind == KeySpec::Kind::kHot;
  const std::vector<double>& arguments = call->second;
  if (arguments.size() != (two ? 2u : 1u)) {
    value.Error(Concat("wrong number of arguments; write it as ", forms[found - names.begin()]));
    return;
  }
  const double count = arguments.back();
  if (count < 1 || count > kMaxKeys || count != static_cast<double>(static_cast<int64_t>(count))) {
    value.Error(Concat("the number of keys is a whole number from 1 to ", kMaxKeys));
    return;
  }
  keys.count = static_cast<uint32_t>(count);
  if (keys.kind == KeySpec::Kind::kZipf) keys.exponent = arguments[0];
  if (keys.kind == KeySpec::Kind::kHot) keys.hot_share = arguments[0];
  if (keys.kind == KeySpec::Kind::kZipf && (keys.exponent < 0 || keys.exponent > 5)) {
    value.Error("the exponent lies between 0 and 5");
  }
  if (keys.hot_share < 0 || keys.hot_share > 1) value.Error("the share of the hot key lies between 0 and 1");
}

BurstSpec ReadBurst(const yaml::Value& value, const Lab& lab) {
  BurstSpec burst;
  const yaml::Value phase = value.Required("phase");
  burst.phase = phase.String();
  const std::vector<std::string> phases = PhaseNames(lab);
  if (phase.defined() && std::find(phases.begin(), phases.end(), burst.phase) == phases.end()) {
    phase.Error(Concat("unknown phase \"", burst.phase, "\"", Suggestion(burst.phase, phases)));
  }
  burst.every =
      value.Required("every").Duration(std::chrono::milliseconds(1), std::chrono::hours(1), std::chrono::seconds(1));
  const yaml::Value at = value.Required("at");
  for (const yaml::Value& place : at.List()) burst.at.push_back(place.Number(0, 0.999999, 0));
  RefuseEmpty(at, burst.at.empty(), "names no place in the period; write at: [0.5]");
  burst.count = static_cast<uint32_t>(value.Required("count").Int(1, 1'000'000, 1));
  value.Finish();
  return burst;
}

std::map<std::string, std::string> ReadRequest(const yaml::Value& value, const std::vector<std::string>* fields) {
  std::map<std::string, std::string> request;
  for (const auto& [field, text] : value.Entries()) {
    if (fields != nullptr && std::find(fields->begin(), fields->end(), field) == fields->end()) {
      text.Error(Concat("unknown request field", Suggestion(field, *fields)));
      continue;
    }
    request[field] = text.String();
  }
  return request;
}

// Resolves "part.api" to the part's kind. The fields of its requests, or null with an error.
const std::vector<std::string>* ReadTarget(const yaml::Value& value, const Reading& reading, LoadSpec& load) {
  const std::string target = load.target = value.String();
  if (!value.defined()) return nullptr;
  std::vector<std::string> known;
  for (const PartSpec& part : reading.lab.system) {
    for (const auto& [name, fields] : reading.catalogue.targets) {
      if (name.rfind(part.kind + ".", 0) != 0) continue;
      known.push_back(part.name + name.substr(part.kind.size()));
      if (known.back() != target) continue;
      load.api = name;
      return &fields;
    }
  }
  value.Error(Concat("unknown target \"", target, "\"", Suggestion(target, known)));
  return nullptr;
}

// What only some arrivals have is an error on the others, where it would be silently without effect.
void ReadShape(const yaml::Value& value, Reading& reading, LoadSpec& load) {
  const auto only = [&](const yaml::Value& place, std::initializer_list<Arrivals> kinds, const char* names) {
    const bool allowed = std::find(kinds.begin(), kinds.end(), load.arrivals) != kinds.end();
    if (place.defined() && !allowed) place.Error(Concat("only for arrivals: ", names));
    return place.defined() && allowed;
  };
  const bool has_rate = load.arrivals != Arrivals::kClosed && load.arrivals != Arrivals::kReplay;
  const yaml::Value rate = has_rate ? value.Required("rate") : value.Optional("rate");
  if (rate.defined() && !has_rate) rate.Error(Concat("arrivals of this kind have no rate"));
  if (rate.defined() && has_rate) ReadRates(rate, reading, load.rate);
  if (UsesKnee(load) && load.arrivals != Arrivals::kConstant && load.arrivals != Arrivals::kPoisson) {
    rate.Error("a share of the knee is for constant and poisson arrivals");
  }
  const bool other =
      load.arrivals == Arrivals::kRamp || load.arrivals == Arrivals::kStep || load.arrivals == Arrivals::kSpike;
  const yaml::Value to = other ? value.Required("to") : value.Optional("to");
  if (only(to, {Arrivals::kRamp, Arrivals::kStep, Arrivals::kSpike}, "ramp, step, spike")) {
    load.ramp_to_per_s = ReadRate(to, reading.catalogue, nullptr).value_or(0);
  }
  const yaml::Value steps = value.Optional("steps");
  if (only(steps, {Arrivals::kStep}, "step")) load.steps = static_cast<int>(steps.Int(1, 1000, 1));
  if (load.arrivals == Arrivals::kStep && load.steps == 0) load.steps = 1;
  const yaml::Value file = load.arrivals == Arrivals::kReplay ? value.Required("replay") : value.Optional("replay");
  if (only(file, {Arrivals::kReplay}, "replay")) {
    load.replay_file = (std::filesystem::path(reading.lab.file).parent_path() / file.String()).string();
  }
  const yaml::Value clients =
      load.arrivals == Arrivals::kClosed ? value.Required("clients") : value.Optional("clients");
  if (only(clients, {Arrivals::kClosed}, "closed")) load.closed_clients = static_cast<int>(clients.Int(1, 100'000, 1));
  const yaml::Value think = value.Optional("think");
  if (only(think, {Arrivals::kClosed}, "closed"))
    load.think = think.Duration(Nanos(0), std::chrono::hours(1), Nanos(0));
}

// Roughly how many operations one trial of this load schedules.
double Operations(const LoadSpec& load, const std::vector<PhaseSpec>& phases) {
  double total = 0;
  for (const PhaseSpec& phase : phases) {
    const auto override_rate = load.rate.by_phase.find(phase.name);
    const double rate = override_rate == load.rate.by_phase.end() ? load.rate.per_s : override_rate->second;
    const double length_s = std::chrono::duration<double>(phase.length).count();
    total += std::max(rate, load.ramp_to_per_s) * length_s;
    for (const BurstSpec& burst : load.bursts) {
      if (burst.phase != phase.name || burst.every <= Nanos(0)) continue;
      // A phase of this length holds a place of the period at most so often.
      const double periods = std::ceil(length_s / std::chrono::duration<double>(burst.every).count());
      total += periods * static_cast<double>(burst.at.size()) * burst.count * load.keys.count;
    }
  }
  return total * static_cast<double>(std::max<size_t>(1, load.lanes.size()));
}

void ReadLoad(const yaml::Value& value, const std::string& fallback_name, Reading& reading) {
  LoadSpec load;
  load.line = value.line();
  const yaml::Value name = value.Optional("name");
  load.name = name.String(fallback_name);
  CheckName(name, load.name, false);
  const std::vector<std::string>* fields = ReadTarget(value.Required("target"), reading, load);
  load.arrivals = static_cast<Arrivals>(value.Optional("arrivals").OneOf(ArrivalNames(), 1));
  ReadShape(value, reading, load);
  ReadKeys(value.Optional("keys"), load.keys);
  const yaml::Value bursts = value.Optional("bursts");
  for (const yaml::Value& burst : bursts.List()) load.bursts.push_back(ReadBurst(burst, reading.lab));
  RefuseEmpty(bursts, load.bursts.empty(), "names no burst; leave it out");
  load.max_in_flight = static_cast<int>(value.Optional("max_in_flight").Int(1, 1'000'000, load.max_in_flight));
  load.timeout =
      value.Optional("timeout").Duration(std::chrono::milliseconds(1), std::chrono::minutes(1), load.timeout);
  load.retries = ReadRetries(value.Optional("retries"));
  load.request = ReadRequest(value.Optional("request"), fields);
  const yaml::Value lanes = value.Optional("lanes");
  for (const auto& [lane, request] : lanes.Entries()) {
    CheckName(request, lane, false);
    load.lanes.emplace_back(lane, ReadRequest(request, fields));
  }
  RefuseEmpty(lanes, load.lanes.empty(), "names no lane; leave it out, and the load is one lane");
  value.Finish();
  const double operations = std::max(Operations(load, reading.lab.phases), Operations(load, reading.lab.quick_phases));
  if (operations > kMaxOperations) {
    value.Error(absl::StrFormat("would send %.0f operations a trial; at most %.0f (rate x phases x lanes)", operations,
                                kMaxOperations));
  }
  reading.lab.load.push_back(std::move(load));
  reading.load_places.push_back(value);
}

void CheckStreamNames(const yaml::Value& place, const Lab& lab) {
  std::set<std::string> seen;
  for (const LoadSpec& load : lab.load) {
    std::vector<std::string> names = NamesOf(load.lanes, [](const auto& lane) { return lane.first; });
    if (names.empty() || std::find(names.begin(), names.end(), load.name) == names.end()) names.push_back(load.name);
    for (const std::string& name : names) {
      if (!seen.insert(name).second) place.Error(Concat("two loads or lanes are called \"", name, "\""));
    }
  }
}

}  // namespace

RetrySpec ReadRetries(const yaml::Value& value) {
  RetrySpec retries;
  if (!value.defined()) return retries;
  retries.attempts = static_cast<int>(value.Required("attempts").Int(1, 10, 1));
  if (const yaml::Value budget = value.Optional("budget"); budget.defined()) {
    const absl::StatusOr<double> share = ShareOf(budget.String());
    if (!share.ok() || *share < 0 || *share > 1) budget.Error("write a share from 0 to 100%, as 10%");
    retries.budget = share.value_or(0);
  }
  value.Finish();
  return retries;
}

bool UsesKnee(const LoadSpec& load) { return load.rate.of_knee > 0 || !load.rate.of_knee_by_phase.empty(); }

bool UsesKnee(const Lab& lab) {
  return std::any_of(lab.load.begin(), lab.load.end(), [](const LoadSpec& load) { return UsesKnee(load); });
}

Lab WithKnee(const Lab& lab, double knee_per_s) {
  Lab rated = lab;
  for (LoadSpec& load : rated.load) {
    if (load.rate.of_knee > 0) load.rate.per_s = load.rate.of_knee * knee_per_s;
    for (const auto& [phase, share] : load.rate.of_knee_by_phase) load.rate.by_phase[phase] = share * knee_per_s;
    load.rate.of_knee = 0;
    load.rate.of_knee_by_phase.clear();
  }
  return rated;
}

void ReadKnee(const yaml::Value& knee, Reading& reading) {
  if (!knee.defined()) return;
  KneeSpec spec;
  spec.line = knee.line();
  spec.p99 = knee.Required("p99").Duration(std::chrono::microseconds(100), std::chrono::seconds(10), Millis(20));
  spec.errors = 0.001;
  if (const yaml::Value errors = knee.Optional("errors"); errors.defined()) {
    const absl::StatusOr<double> share = ShareOf(errors.String());
    if (!share.ok() || *share < 0 || *share > 0.5) errors.Error("write a share from 0 to 50%, as 0.1%");
    spec.errors = share.value_or(spec.errors);
  }
  if (const yaml::Value quick = knee.Optional("quick"); quick.defined()) {
    const std::optional<double> per_s = ReadRate(quick, reading.catalogue, nullptr);
    if (per_s && *per_s <= 0) quick.Error("must be above 0");
    spec.quick_per_s = per_s.value_or(0);
  }
  knee.Finish();
  reading.lab.knee = spec;
}

void ReadLoads(const yaml::Value& load, Reading& reading) {
  const std::vector<yaml::Value> list = load.List();
  for (size_t i = 0; i < list.size(); ++i) {
    ReadLoad(list[i], i == 0 ? "main" : Concat("load", i + 1), reading);
  }
  if (load.defined() && list.empty()) load.Error("names no load");
  if (UsesKnee(reading.lab) && !reading.lab.knee) {
    load.Error("a rate is a share of the knee; say what the knee is, as knee: {p99: 20ms, errors: 0.1%}");
  }
  if (!UsesKnee(reading.lab) && reading.lab.knee) load.Error("no rate is a share of the knee, but knee: is there");
  CheckStreamNames(load, reading.lab);
}

}  // namespace lab::bench
