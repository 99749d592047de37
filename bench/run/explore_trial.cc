#include "bench/run/explore_trial.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/explore/explorer.h"
#include "bench/explore/matrix.h"
#include "bench/explore/race.h"
#include "bench/explore/service_world.h"
#include "bench/run/system.h"
#include "bench/run/trial_files.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr char kService[] = "cacheapi";
// The number of schedules is what it is; on a slow or busy host each takes longer. The phase is a trial's share of the
// budget, and a search is broken off only after so many times its length: a run that is late says more than half of
// one.
constexpr int kPatience = 4;

std::string MatrixFile(const Lab& lab) {
  return (std::filesystem::path(lab.file).parent_path() / lab.explore->matrix).string();
}

const PartSpec* ServiceOf(const Lab& lab) {
  for (const PartSpec& part : lab.system) {
    if ((part.kind.empty() ? part.name : part.kind) == kService) return &part;
  }
  return nullptr;
}

// Of the service in a variant.
size_t ReplicasOf(const Lab& lab, const VariantSpec& variant, const Settings& given) {
  const PartSpec* service = ServiceOf(lab);
  auto set = ConfigurationOf(*service, {variant.set, given});
  return static_cast<size_t>(WithReplicas(*service, set).replicas);
}

// "", or who of the cast has no place.
std::string WrongReplica(const explore::Cast& cast, size_t replicas) {
  for (const explore::Cast::Actor& actor : cast.actors) {
    if (static_cast<size_t>(actor.replica) < replicas) continue;
    return Concat(actor.name, " is at replica ", actor.replica, ", and ", kService, " has ", replicas,
                  ", the first of which is 0; more by `replicas`");
  }
  return "";
}

explore::FeedKind FeedOf(const std::string& pattern, const std::string& invalidation) {
  if (pattern == "write_behind") return explore::FeedKind::kQueue;
  if (invalidation == "outbox") return explore::FeedKind::kOutbox;
  return invalidation == "cdc" ? explore::FeedKind::kLog : explore::FeedKind::kNone;
}

class ExploreRun {
 public:
  ExploreRun(const TrialRequest& request, Spawner& spawner, Journal& journal, Progress& progress)
      : request_(request),
        progress_(progress),
        system_(request.lab,
                {request.options.root,
                 request.folder,
                 Concat(journal.folder(), "/data"),
                 {request.variant.set, request.options.set},
                 [this] { return Interrupted(); }},
                spawner, journal) {
    trial_.variant = request.variant.name;
    trial_.repeat = request.repeat;
    trial_.seed = request.options.seed;
    const std::vector<PhaseSpec> phases = PhasesOf(request.lab, request.options.quick);
    phase_ = phases.empty() ? PhaseSpec() : phases.front();
  }

  // What keeps it from being explored is an error; what was seen until then is kept in the trial's files.
  absl::StatusOr<Trial> Run() {
    absl::Status explored;
    if (absl::Status started = system_.Start(progress_); !Interrupted() && !started.ok()) return started;
    if (!Interrupted()) {
      trial_.parts = system_.Describe();
      progress_.PartsAreUp(trial_.parts);
      explored = ExploreAll();
      if (!explored.ok()) trial_.problems.emplace_back(explored.message());
    }
    Finish();
    if (absl::Status written = WriteTrialFiles(trial_, request_.folder); !written.ok()) return written;
    if (!explored.ok()) return explored;
    return std::move(trial_);
  }

 private:
  bool Interrupted() const {
    return request_.options.interrupted != nullptr && request_.options.interrupted->load() != 0;
  }
  std::string Setting(const std::string& key, const std::string& fallback) const {
    const PartSpec* service = ServiceOf(request_.lab);
    const auto set = ConfigurationOf(*service, {request_.variant.set, request_.options.set});
    const auto found = set.find(key);
    return found == set.end() ? fallback : found->second;
  }

  // The ports of the parts, and what of the configuration the explorer has to know.
  absl::StatusOr<explore::ServiceWorld::Options> WorldOptions() const {
    explore::ServiceWorld::Options options;
    for (const std::unique_ptr<Part>& part : system_.parts()) {
      if (part->kind() == kService) options.http_ports.push_back(part->port("http"));
      if (part->kind() == "redis" && options.redis_port == 0) options.redis_port = part->port("redis");
      if (part->kind() == "postgres" && options.postgres_port == 0) options.postgres_port = part->port("postgres");
    }
    if (options.http_ports.empty() || options.redis_port == 0 || options.postgres_port == 0) {
      return absl::InvalidArgumentError("explore: needs the parts cacheapi, redis and postgres");
    }
    options.login = {"lab", "insights", "explorer"};
    const std::string fill = Setting("fill", "both");
    const bool local = Setting("l1.enabled", "true") == "true";
    options.asks = local || fill == "both" || fill == "singleflight";
    options.pushes = local && Setting("l1.tracking", "true") == "true" && Setting("l2.enabled", "true") == "true";
    options.feed = FeedOf(Setting("write.pattern", "delete_after_commit"), Setting("invalidation", "writer"));
    if (options.feed != explore::FeedKind::kNone && options.http_ports.size() > 1) {
      return absl::InvalidArgumentError("explore: with a feed there may be one replica; its steps have no number");
    }
    return options;
  }

  absl::StatusOr<explore::Explored> Prepare(const std::vector<std::string>& casts) {
    absl::StatusOr<explore::ServiceWorld::Options> options = WorldOptions();
    if (!options.ok()) return options.status();
    explore::Explored explored;
    for (const std::string& text : casts) {
      absl::StatusOr<explore::Cast> cast = explore::ParseCast(text);
      if (!cast.ok()) return cast.status();
      if (const std::string wrong = WrongReplica(*cast, options->http_ports.size()); !wrong.empty()) {
        return absl::InvalidArgumentError(Concat("cast \"", text, "\": ", wrong));
      }
      explored.casts.push_back(*std::move(cast));
    }
    const std::string pattern = Setting("write.pattern", "delete_after_commit");
    explored.by_version = pattern == "versioned_set" || pattern == "bury";
    explored.world = [options = *std::move(options), worlds = 0](const explore::Cast& cast) mutable {
      options.cast = cast;
      options.prefix = Concat("x", ++worlds, "-");
      return std::make_unique<explore::ServiceWorld>(options);
    };
    const Clock::time_point end = Clock::now() + kPatience * phase_.length;
    explored.go_on = [this, end] { return !Interrupted() && Clock::now() < end; };
    explored.tell = [this](const CastExplored& cast) {
      progress_.Note(absl::StrFormat("%s, cast %s: %d schedules, %d infeasible, %d offending, %.1f s",
                                     request_.variant.name, cast.cast, cast.schedules, cast.infeasible, cast.offending,
                                     cast.seconds));
    };
    return explored;
  }

  absl::Status ExploreAll() {
    const ExploreSpec& spec = *request_.lab.explore;
    absl::StatusOr<explore::Explored> explored = Prepare(CastsOf(spec, request_.variant.name, request_.options.quick));
    if (!explored.ok()) return explored.status();
    progress_.PhaseStarts({phase_.name, 0, std::chrono::duration<double>(phase_.length).count()});
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    trial_.started_unix_ns = std::chrono::duration_cast<Nanos>(now).count();
    const Clock::time_point begin = Clock::now();
    if (request_.options.schedule.empty()) {
      trial_.exploration = explore::Explore(*explored);
    } else if (absl::Status replayed = Replay(*explored); !replayed.ok()) {
      return replayed;
    }
    trial_.duration_s = std::chrono::duration<double>(Clock::now() - begin).count();
    trial_.phases = {{phase_.name, 0, trial_.duration_s}};
    return spec.matrix.empty() ? absl::OkStatus() : AddExpected();
  }

  absl::Status Replay(const explore::Explored& explored) {
    const absl::StatusOr<explore::Schedule> schedule = explore::ParseSchedule(request_.options.schedule);
    if (!schedule.ok()) return schedule.status();
    absl::StatusOr<Exploration> found = explore::ReplayOne(explored, *schedule);
    if (absl::IsFailedPrecondition(found.status()) || absl::IsAborted(found.status())) {
      return absl::InvalidArgumentError(Concat("--schedule: ", found.status().message()));
    }
    if (!found.ok()) return found.status();
    trial_.exploration = *std::move(found);
    return absl::OkStatus();
  }

  absl::Status AddExpected() {
    const absl::StatusOr<explore::Matrix> matrix = explore::LoadMatrix(MatrixFile(request_.lab));
    if (!matrix.ok()) return matrix.status();
    const auto row = matrix->find(request_.variant.name);
    if (row == matrix->end()) return absl::OkStatus();
    for (const auto& [race, cell] : row->second) {
      if (!cell.tried) continue;
      trial_.exploration->expected.push_back({race, explore::RaceOf(race).name, cell.open, cell.because});
    }
    return absl::OkStatus();
  }

  void Finish() {
    trial_.complete = !Interrupted();
    for (const std::string& end : system_.UnaskedEnds()) trial_.problems.push_back(end);
    for (const std::string& stubborn : system_.Stop(!trial_.complete)) progress_.Note(stubborn);
    if (!trial_.complete) {
      trial_.problems.push_back("interrupted");
    } else if (trial_.exploration && !trial_.exploration->problem.empty()) {
      trial_.problems.push_back(trial_.exploration->problem);
    }
    for (const std::string& problem : trial_.problems) progress_.Note(Concat(trial_.variant, ": ", problem));
  }

  const TrialRequest& request_;
  Progress& progress_;
  Trial trial_;
  PhaseSpec phase_;
  System system_;
};

}  // namespace

absl::StatusOr<Trial> RunExploreTrial(const TrialRequest& request, Spawner& spawner, Journal& journal,
                                      Progress& progress) {
  return ExploreRun(request, spawner, journal, progress).Run();
}

std::string CheckExplore(const Lab& lab) {
  if (ServiceOf(lab) == nullptr) return "needs a part cacheapi, whose gate is driven";
  for (const VariantSpec& variant : lab.variants) {
    const size_t replicas = ReplicasOf(lab, variant, {});
    for (const bool quick : {false, true}) {
      for (const std::string& text : CastsOf(*lab.explore, variant.name, quick)) {
        const absl::StatusOr<explore::Cast> cast = explore::ParseCast(text);
        if (!cast.ok()) return Concat("cast \"", text, "\": ", cast.status().message());
        const std::string wrong = WrongReplica(*cast, replicas);
        if (!wrong.empty()) return Concat("cast \"", text, "\" of ", variant.name, ": ", wrong);
      }
    }
  }
  if (lab.explore->matrix.empty()) return "";
  const absl::StatusOr<explore::Matrix> matrix = explore::LoadMatrix(MatrixFile(lab));
  if (!matrix.ok()) return std::string(matrix.status().message());
  for (const VariantSpec& variant : lab.variants) {
    if (matrix->count(variant.name) == 0)
      return Concat(lab.explore->matrix, " has no row for the variant ", variant.name);
  }
  return "";
}

std::string CheckSchedule(const Lab& lab, const RunOptions& options) {
  const absl::StatusOr<explore::Schedule> schedule = explore::ParseSchedule(options.schedule);
  if (!schedule.ok()) return std::string(schedule.status().message());
  const absl::StatusOr<explore::Cast> cast = explore::CastOf(*schedule);
  if (!cast.ok()) return std::string(cast.status().message());
  for (const VariantSpec& variant : lab.variants) {
    const auto chosen = std::find(options.variants.begin(), options.variants.end(), variant.name);
    if (!options.variants.empty() && chosen == options.variants.end()) continue;
    const std::string wrong = WrongReplica(*cast, ReplicasOf(lab, variant, options.set));
    if (!wrong.empty()) return Concat(variant.name, ": ", wrong);
  }
  return "";
}

}  // namespace lab::bench
