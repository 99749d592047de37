#include "bench/run/system.h"

#include <filesystem>
#include <set>

#include "absl/strings/numbers.h"
#include "bench/host/namespaces.h"
#include "bench/load/target.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kReady{15};
constexpr std::chrono::seconds kGrace{6};
constexpr Millis kBriefGrace{800};

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? absl::UnavailableError(Concat("cannot make ", path, ": ", error.message())) : absl::OkStatus();
}

}  // namespace

PartSpec WithReplicas(PartSpec spec, std::map<std::string, std::string>& set) {
  const auto given = set.find("replicas");
  if (given == set.end()) return spec;
  if (!absl::SimpleAtoi(given->second, &spec.replicas)) spec.replicas = 1;  // the parser has checked it
  set.erase(given);
  return spec;
}

std::map<std::string, std::string> ConfigurationOf(const PartSpec& spec, const std::vector<Settings>& layers) {
  std::map<std::string, std::string> set = spec.set;
  for (const Settings& settings : layers) {
    const auto found = settings.find(spec.name);
    if (found == settings.end()) continue;
    for (const auto& [key, value] : found->second) set[key] = value;
  }
  return set;
}

System::System(const Lab& lab, Options options, Spawner& spawner, Journal& journal)
    : lab_(lab), options_(std::move(options)), build_{options_.root}, spawner_(spawner), journal_(journal) {}

System::~System() {
  Stop(true);
  for (const std::unique_ptr<Part>& part : parts_) UnmountDisk(Concat(options_.data_folder, "/", part->full_name()));
  std::error_code ignored;
  fs::remove_all(options_.data_folder, ignored);
}

absl::Status System::Start(Progress& progress) {
  for (const char* folder : {"/logs", "/config"}) {
    if (absl::Status made = MakeFolder(options_.trial_folder + folder); !made.ok()) return made;
  }
  for (const PartSpec& spec : lab_.system) {
    if (absl::Status started = StartPart(spec, progress); !started.ok()) return started;
    for (const LinkSpec& link : lab_.links) {
      if (link.to != spec.name) continue;
      if (absl::Status started = StartLink(link, spec, progress); !started.ok()) return started;
    }
  }
  return absl::OkStatus();
}

// Its files written, and their names replaced.
absl::StatusOr<std::map<std::string, std::string>> System::Configure(const PartSpec& spec) const {
  std::map<std::string, std::string> set = ConfigurationOf(spec, options_.settings);
  const std::string folder = Concat(options_.trial_folder, "/config/", spec.name);
  if (!spec.files.empty()) {
    if (absl::Status made = MakeFolder(folder); !made.ok()) return made;
  }
  for (const auto& [name, text] : spec.files) {
    const std::string path = Concat(folder, "/", name);
    if (name.empty() || name.find('/') != std::string::npos || name[0] == '.') {
      return absl::InvalidArgumentError(Concat(spec.name, ".files: \"", name, "\" is not the plain name of a file"));
    }
    if (absl::Status written = WriteFileAtomic(path, text); !written.ok()) return written;
    for (auto& [key, value] : set) {
      if (value == "@" + name) value = path;
    }
  }
  return set;
}

absl::Status System::StartPart(const PartSpec& as_declared, Progress& progress) {
  const PartKind* kind = FindPartKind(as_declared.kind.empty() ? as_declared.name : as_declared.kind);
  if (kind == nullptr) return absl::InvalidArgumentError(Concat("there is no part of the kind ", as_declared.kind));
  absl::StatusOr<std::map<std::string, std::string>> set = Configure(as_declared);
  if (!set.ok()) return set.status();
  const PartSpec spec = WithReplicas(as_declared, *set);
  absl::StatusOr<std::string> version = kind->Version(build_, *set);
  if (!version.ok()) return version.status();
  versions_[spec.name] = *version;
  changed_[spec.name] = *set;
  const auto own = set->find("binary");
  const absl::StatusOr<std::vector<Catalogue::Knob>> knobs =
      own == set->end() || own->second.empty() ? kind->Knobs(build_) : kind->KnobsOf(build_, own->second);
  if (knobs.ok()) {
    for (const Catalogue::Knob& knob : *knobs) {
      const auto value = changed_[spec.name].find(knob.path);
      if (value != changed_[spec.name].end() && value->second == knob.fallback) changed_[spec.name].erase(value);
    }
  }

  for (int replica = 0; replica < spec.replicas; ++replica) {
    parts_.push_back(std::make_unique<Part>(spec, replica, *kind, spawner_, journal_));
    const LaunchRequest request{build_, "", *set, "", "", {}, OthersOf(spec.name), replica};
    absl::Status started = StartReplica(*parts_.back(), request, spec.disk_bytes, progress);
    if (!started.ok()) return started;
  }
  return absl::OkStatus();
}

// One proxy before each replica of the part.
absl::Status System::StartLink(const LinkSpec& link, const PartSpec& to, Progress& progress) {
  link_kinds_.push_back(MakeLinkPart(Find(to.name, 0)->part_kind()));
  PartSpec spec;
  spec.name = link.name();
  spec.replicas = 0;
  while (Find(to.name, spec.replicas) != nullptr) ++spec.replicas;  // as many as the variant has
  for (int replica = 0; replica < spec.replicas; ++replica) {
    parts_.push_back(std::make_unique<Part>(spec, replica, *link_kinds_.back(), spawner_, journal_));
    const Part& behind = *Find(to.name, replica);
    const LaunchRequest request{build_, "", {}, "", "", {}, {{behind.kind(), behind.ports()}}, replica};
    if (absl::Status started = StartReplica(*parts_.back(), request, 0, progress); !started.ok()) return started;
  }
  const absl::StatusOr<std::string> version = link_kinds_.back()->Version(build_, {});
  versions_[spec.name] = version.value_or("");
  changed_[spec.name] = {};
  return absl::OkStatus();
}

std::map<std::string, Ports> System::OthersOf(const std::string& part) const {
  std::map<std::string, Ports> others;
  for (const std::unique_ptr<Part>& each : parts_) {
    if (each->kind() != "link") others.emplace(each->kind(), each->ports());
  }
  for (const LinkSpec& link : lab_.links) {
    if (link.from == part) others[Find(link.to, 0)->kind()] = Find(link.name(), 0)->ports();
  }
  return others;
}

absl::Status System::StartReplica(Part& part, LaunchRequest request, uint64_t disk_bytes, Progress& progress) {
  std::vector<std::string> environment = CleanEnvironment();
  environment.push_back(journal_.Marker());
  request.name = part.full_name();
  request.config_folder = options_.trial_folder + "/config";
  request.data_folder = Concat(options_.data_folder, "/", part.full_name());
  if (absl::Status made = MakeFolder(request.data_folder); !made.ok()) return made;
  if (disk_bytes > 0) {
    if (absl::Status mounted = MountDisk(request.data_folder, disk_bytes); !mounted.ok()) return mounted;
  }
  request.tell = [&progress](const std::string& text) { progress.Boot(text); };
  const Clock::time_point begin = Clock::now();
  const absl::Status started = part.Start(request, Concat(options_.trial_folder, "/logs/", part.full_name(), ".log"),
                                          environment, kReady, options_.interrupted);
  if (!started.ok()) return started;
  std::string ports;
  for (const auto& [name, port] : part.ports()) ports += Concat(ports.empty() ? "" : ", ", name, " 127.0.0.1:", port);
  progress.Boot(Concat(part.full_name(), " up on ", ports, " after ", FormatDuration(Clock::now() - begin)));
  return absl::OkStatus();
}

std::vector<std::string> System::Stop(bool brief) {
  std::vector<std::string> stubborn;
  // The parts stay: others may still look at them.
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    if (!(*part)->Stop(brief ? Nanos(kBriefGrace) : Nanos(kGrace))) {
      stubborn.push_back(Concat((*part)->full_name(), " did not end within the time for it; it was killed"));
    }
  }
  return stubborn;
}

Part* System::Find(const std::string& name, int replica) const {
  for (const std::unique_ptr<Part>& part : parts_) {
    if (part->name() == name && part->replica() == replica) return part.get();
  }
  return nullptr;
}

std::vector<std::string> System::Endpoints(const std::string& target) const {
  const size_t dot = target.find('.');
  const std::string wanted = target.substr(0, dot);
  const std::string api = dot == std::string::npos ? "" : target.substr(dot + 1);
  std::vector<std::string> by_name, by_kind;
  for (const std::unique_ptr<Part>& part : parts_) {
    const absl::StatusOr<EndpointSource> served = TargetEndpoint(Concat(part->kind(), ".", api));
    const std::string port = served.ok() ? served->port : api;
    if (part->kind() == "link" || part->port(port) == 0) continue;
    const Part* link = Find("load->" + part->name(), part->replica());
    const std::string address = Concat("127.0.0.1:", (link != nullptr ? *link : *part).port(port));
    if (part->name() == wanted) by_name.push_back(address);
    if (part->kind() == wanted) by_kind.push_back(address);
  }
  return by_name.empty() ? by_kind : by_name;
}

// Results are shown to others: paths in them begin at the checkout, not at somebody's home.
void System::FromCheckout(std::string& word) const {
  const std::string root = options_.root + "/";
  if (word.compare(0, root.size(), root) == 0) word.erase(0, root.size());
}

std::vector<PartInfo> System::Describe() const {
  std::vector<PartInfo> all;
  for (const std::unique_ptr<Part>& part : parts_) {
    PartInfo info{part->full_name(), part->kind(),   versions_.at(part->name()), part->command(), {}, {},
                  part->name(),      part->replica()};
    if (!info.command.empty()) info.command[0] = part->binary();
    for (const auto& [name, port] : part->ports()) info.ports[name] = Concat("127.0.0.1:", port);
    info.changed = changed_.at(part->name());
    for (std::string& word : info.command) FromCheckout(word);
    for (auto& [key, value] : info.changed) FromCheckout(value);
    all.push_back(std::move(info));
  }
  return all;
}

std::vector<Observed> System::Sources() const {
  std::vector<Observed> sources;
  for (const std::unique_ptr<Part>& part : parts_) {
    Observed source;
    source.part = part->name();
    source.pid = [part = part.get()] { return part->pid(); };
    source.metrics_port = part->port(part->part_kind().metrics_port());
    source.redis_port = part->port(part->part_kind().redis_port());
    source.family = part->part_kind().MakesProcesses();
    source.ask = part->part_kind().Watch(part->ports());
    if (part->full_name() != part->name()) source.labels["replica"] = std::to_string(part->replica());
    sources.push_back(std::move(source));
  }
  return sources;
}

std::map<std::string, double> System::FinalReads() const {
  std::map<std::string, double> finals;
  for (const std::unique_ptr<Part>& part : parts_) {
    if (part->pid() <= 0) continue;
    for (const auto& [name, value] : part->part_kind().FinalReads(part->ports())) {
      finals[Concat(part->full_name(), ".", name)] = value;
    }
  }
  return finals;
}

std::optional<AtRest> System::ReadAtRest(const std::vector<LoadSpec>& loads,
                                         const std::map<uint32_t, uint64_t>& written,
                                         std::function<void(const std::string&)> tell) const {
  for (const std::unique_ptr<Part>& first : parts_) {
    if (first->replica() != 0) continue;
    RestRequest request;
    request.written = written;
    request.interrupted = options_.interrupted;
    request.tell = tell;
    for (const std::unique_ptr<Part>& part : parts_) {
      if (part->kind() != "link") request.others.emplace(part->kind(), part->ports());
      if (part->name() == first->name()) request.replicas.emplace_back(part->full_name(), part->ports());
    }
    std::set<std::map<std::string, std::string>> fields;
    for (const LoadSpec& load : loads) {
      if (load.target.rfind(first->name() + ".", 0) != 0) continue;
      auto lanes = load.lanes;
      if (lanes.empty()) lanes.push_back({load.name, {}});
      for (auto& [lane, own] : lanes) {
        own.insert(load.request.begin(), load.request.end());
        fields.insert(own);
      }
    }
    request.fields.assign(fields.begin(), fields.end());
    if (std::optional<AtRest> read = first->part_kind().ReadAtRest(request)) return read;
  }
  return std::nullopt;
}

std::vector<std::string> System::UnaskedEnds() {
  std::vector<std::string> ends;
  for (const std::unique_ptr<Part>& part : parts_) {
    if (std::optional<std::string> end = part->UnaskedEnd()) ends.push_back(std::move(*end));
  }
  return ends;
}

uint64_t System::OwnOomKills() const {
  uint64_t kills = 0;
  for (const std::unique_ptr<Part>& part : parts_) kills += part->own_oom_kills();
  return kills;
}

void System::BoundLogs() {
  for (const std::unique_ptr<Part>& part : parts_) part->BoundLog();
}

}  // namespace lab::bench
