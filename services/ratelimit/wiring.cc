#include "services/ratelimit/wiring.h"

#include <google/protobuf/stubs/logging.h>

#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "services/ratelimit/read_then_write_store.h"
#include "services/ratelimit/redis_store.h"
#include "services/runtime/obs/log.h"
#include "services/runtime/redis/probe.h"

namespace lab::ratelimit {

namespace {

constexpr Nanos kRedisPatience = Millis(300);

Limiter::Options LimiterOptions(const Options& options) {
  return {options.coalesce, options.max_batch,        options.max_in_flight,
          options.replicas, options.on_store_failure, static_cast<size_t>(options.local_max_keys)};
}

std::unique_ptr<Store> MakeRedisStore(RedisMode mode, redis::Client& client) {
  if (mode == RedisMode::kReadThenWrite) return std::make_unique<ReadThenWriteStore>(client);
  return std::make_unique<RedisStore>(client);
}

// The outermost that there is.
Store& StoreOf(Store* clock, Store* redis, Store& memory) {
  if (clock != nullptr) return *clock;
  return redis != nullptr ? *redis : memory;
}

int64_t ClockOffset(const Options& options) {
  return options.replica * std::chrono::duration_cast<Micros>(options.clock_skew).count();
}

double UnixSeconds() { return static_cast<double>(MemoryStore::SystemMicros()) / static_cast<double>(kSecondUs); }

}  // namespace

Service::Service(app::Environment& environment, const Options& options)
    : environment_(environment),
      options_(options),
      metrics_(environment.metrics),
      memory_(static_cast<size_t>(options.local_max_keys)),
      redis_(options.store == StoreKind::kRedis
                 ? std::make_unique<redis::Client>(environment.loop, options.redis, environment.metrics,
                                                   environment.failpoints)
                 : nullptr),
      redis_store_(redis_ ? MakeRedisStore(options.redis_mode, *redis_) : nullptr),
      replica_clock_(
          options.clock == ClockSource::kReplica
              ? std::make_unique<ReplicaClock>(StoreOf(nullptr, redis_store_.get(), memory_), ClockOffset(options))
              : nullptr),
      limiter_(LimiterOptions(options), StoreOf(replica_clock_.get(), redis_store_.get(), memory_), memory_, metrics_),
      rpc_(environment.loop, limiter_, metrics_, {options.bounds, options.headers}),
      server_(environment.loop, options.grpc, environment.metrics, environment.tracer),
      wake_(std::make_unique<boost::asio::steady_timer>(environment.loop.io())) {}

// Every store call ends in its callback while the limiter that it calls is still there.
Service::~Service() {
  watcher_.reset();
  if (redis_) redis_->Close();
}

absl::Status Service::Start() {
  google::protobuf::SetLogHandler(nullptr);  // else anybody writes a line to our log by sending bytes that are no UTF-8
  if (redis_) {
    // A Redis that is not there is no reason not to start: the rules' policies decide until it is.
    const absl::Status found =
        redis::Probe(options_.redis, kRedisPatience, "every rule's on_store_failure decides until it answers");
    if (absl::IsFailedPrecondition(found)) return found;
  }
  if (absl::Status status = StartRules(); !status.ok()) return status;
  AddHttpApi(environment_.http, environment_.loop, limiter_, metrics_, options_.bounds);
  environment_.loop.AtTurnEnd(async::Loop::Phase::kDecide, [this] {
    if (const auto wait = limiter_.Flush(environment_.loop.turn_time())) WakeLater(*wait);
  });
  rpc_.Register(server_);
  if (absl::Status status = server_.Start(); !status.ok()) return status;
  server_.SetServing(true);
  ready_ = true;
  return absl::OkStatus();
}

// The turn that the timer brings is enough: its end flushes.
void Service::WakeLater(Nanos wait) {
  const Clock::time_point when = environment_.loop.turn_time() + wait;
  if (wake_armed_ && wake_->expiry() <= when) return;
  wake_armed_ = true;
  wake_->expires_at(when);
  wake_->async_wait([this](const boost::system::error_code& error) {
    if (!error) wake_armed_ = false;
  });
}

absl::Status Service::StartRules() {
  if (options_.rules_path.empty()) {
    obs::Log(obs::Level::kWarn, "rules_absent", {{"effect", "rules.path is empty: every request passes"}});
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<RulesFile>> files = ReadRulesFiles(options_.rules_path);
  if (!files.ok()) return files.status();
  const RulesWatcher::Result rules = ParseRules(*files, RuleDefaultsOf(options_));
  if (!rules.ok()) return rules.status();
  limiter_.SetRules(*rules);
  metrics_.rules_loaded_timestamp.Set(UnixSeconds());
  watcher_ = std::make_unique<RulesWatcher>(
      options_.rules_path, RuleDefaultsOf(options_), options_.reload_every, *std::move(files),
      [this](RulesWatcher::Result result) {
        environment_.loop.Post([this, result = std::move(result)] { TakeRules(result); });
      });
  return absl::OkStatus();
}

void Service::TakeRules(const RulesWatcher::Result& result) {
  if (!result.ok()) {
    metrics_.reloads_failed.Increment();
    metrics_.rules_stale.Set(1);
    obs::Log(obs::Level::kError, "rules_refused",
             {{"error", std::string(result.status().message())}, {"effect", "the old rules stay in force"}});
    return;
  }
  limiter_.SetRules(*result);
  metrics_.reloads_ok.Increment();
  metrics_.rules_stale.Set(0);
  metrics_.rules_loaded_timestamp.Set(UnixSeconds());
  obs::Log(obs::Level::kInfo, "rules_loaded", {{"rules", limiter_.rules().size()}});
}

void Service::Stop(Clock::time_point deadline, std::function<void()> done) {
  ready_ = false;
  watcher_.reset();
  server_.SetServing(false);
  server_.Drain(deadline, std::move(done));
}

app::Definition MakeDefinition() {
  auto options = std::make_shared<Options>();  // shared by the three functions, which outlive this one
  app::Definition definition;
  definition.name = "ratelimit";
  definition.summary = "A rate limiter: Envoy's RateLimitService on gRPC, five algorithms, counts in Redis.";
  definition.declare = [options](app::Schema& schema) { Declare(schema, *options); };
  definition.check = [options] { return Check(*options); };
  definition.make = [options](app::Environment& environment) -> std::unique_ptr<app::Service> {
    return std::make_unique<Service>(environment, *options);
  };
  return definition;
}

}  // namespace lab::ratelimit
