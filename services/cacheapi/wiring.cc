#include "services/cacheapi/wiring.h"

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <random>
#include <string_view>
#include <utility>

#include "services/cacheapi/shared/flush.h"
#include "services/runtime/obs/log.h"
#include "services/runtime/redis/probe.h"

namespace lab::cacheapi {
namespace {

constexpr Nanos kRedisPatience = Millis(300);

// For how long we serve what is stale ourselves, while it is refreshed.
Nanos StaleFor(const Options& options) {
  if (!options.reader.stale_while_revalidate) return Nanos(0);
  return options.reader.shared ? options.shared.stale : options.reader.local_stale;
}

// What becomes of requests is asked for beside the writes: a fence may wait for one of them (request_ids.h). Failpoints
// are for the writes.
pg::Options OfRequests(pg::Options pool) {
  pool.name = "pg_requests";
  pool.connections = pool.group_max = pool.groups_in_flight = 1;
  pool.deadline = std::max<Nanos>(pool.deadline, std::chrono::seconds(1));
  return pool;
}

uint64_t Seed() { return std::random_device()() * uint64_t{0x9e3779b97f4a7c15} + std::random_device()(); }

}  // namespace

Service::Service(app::Environment& environment, const Options& options)
    : environment_(environment),
      options_(options),
      reads_(environment.loop, options.reads, environment.metrics, environment.failpoints),
      writes_(environment.loop, options.writes, environment.metrics, environment.failpoints),
      of_requests_(environment.loop, OfRequests(options.writes), environment.metrics),
      redis_(options.reader.shared ? std::make_unique<redis::Client>(environment.loop, options.redis,
                                                                     environment.metrics, environment.failpoints)
                                   : nullptr),
      clock_(redis_ ? std::make_unique<StoreClock>(environment.loop, *redis_, environment.metrics) : nullptr),
      shared_(redis_ ? std::make_unique<SharedCache>(*redis_, *clock_, options.shared, environment.metrics, Seed())
                     : nullptr),
      gate_(options.gate ? std::make_unique<StepGate>() : nullptr),
      origin_(reads_, writes_, options.origin, environment.metrics),
      requests_(of_requests_, Seed()),
      origin_queue_(environment.loop, origin_, options.admission, environment.metrics),
      filter_(options.bloom ? std::make_unique<BrandFilter>(environment.loop, *redis_, origin_, options.filter,
                                                            environment.metrics, Seed())
                            : nullptr),
      copies_(options.hot ? std::make_unique<HotCopies>(options.copies, environment.metrics, Seed()) : nullptr),
      versions_(options.versioned ? std::make_unique<VersionKeys>(*shared_, options.versions, environment.metrics)
                                  : nullptr),
      shadow_(options.shadow.share > 0
                  ? std::make_unique<Shadow>(origin_queue_, options.shadow, environment.metrics, Seed())
                  : nullptr),
      wanted_(Seed()),
      local_(options.local),
      flights_(options.flights),
      reader_({environment.loop, local_, shared_.get(), origin_, flights_, gate_.get(), ReaderModes()}, options.reader,
              environment.metrics, Seed()),
      feeds_({environment.loop, redis_.get(), options.redis, shared_.get(), reader_, origin_, gate_.get(),
              options.writes, environment.metrics, environment.failpoints,
              [this](std::string_view brand, uint64_t version, absl::AnyInvocable<void(absl::Status)> done) {
                writer_.Apply(brand, version, "", std::move(done));
              },
              options.reader.local, options.writer.pattern == WritePattern::kWriteBehind},
             options.feeds),
      writer_({environment.loop, origin_, shared_.get(), gate_.get(),
               [this](std::string_view brand, uint64_t version) { reader_.Invalidate(brand, version); },
               [this](const Correction& correction, absl::AnyInvocable<void(absl::Status)> done) {
                 feeds_.Enqueue(correction, std::move(done));
               },
               versions_.get(), &requests_,
               [this](absl::AnyInvocable<void(absl::Status)> done) { ForgetAll(std::move(done)); }},
              options.writer, environment.metrics),
      pruner_(environment.loop, requests_, options.requests, environment.metrics),
      rpc_queue_(options.edge.grpc_enabled || !options.edge.limiter.target.empty()
                     ? std::make_unique<rpc::Queue>(environment.loop)
                     : nullptr),
      limiter_(options.edge.limiter.target.empty()
                   ? nullptr
                   : std::make_unique<LimiterClient>(*rpc_queue_, options.edge.limiter, environment.metrics,
                                                     environment.tracer, environment.failpoints)),
      creator_(origin_, writer_, filter_.get(), gate_.get(), environment.metrics),
      api_(reader_, writer_, creator_, limiter_.get(), {options.request_deadline, StaleFor(options)}, Seed()),
      http_api_(api_, environment.tracer),
      rpc_service_(api_),
      rpc_server_(options.edge.grpc_enabled ? std::make_unique<rpc::Server>(*rpc_queue_, options.edge.grpc,
                                                                            environment.metrics, environment.tracer)
                                            : nullptr),
      warm_up_({environment.loop, redis_.get(), origin_, origin_queue_, reader_, wanted_}, options.warm_up,
               environment.metrics),
      brands_api_(api_, environment.tracer),
      gate_api_(gate_ ? std::make_unique<GateApi>(
                            *gate_, environment.loop,
                            [this](absl::AnyInvocable<void()> done) { feeds_.WhenHeard(std::move(done)); })
                      : nullptr) {}

Reader::Modes Service::ReaderModes() {
  return {filter_.get(),  copies_.get(), versions_.get(),
          &origin_queue_, shadow_.get(), options_.warm_up.keys > 0 ? &wanted_ : nullptr};
}

// Also before L2 is empty, so that nothing of this process stands on what was there.
void Service::ForgetAll(absl::AnyInvocable<void(absl::Status)> done) {
  reader_.ForgetAll();
  FlushEntries(*redis_, [this, done = std::move(done)](const absl::Status& status) mutable {
    reader_.ForgetAll();
    done(status);
  });
}

// Every store operation ends in its callback while what it calls is still there.
Service::~Service() {
  if (redis_) redis_->Close();
  reads_.Close();
  writes_.Close();
  of_requests_.Close();
  feeds_.Stop();
}

absl::Status Service::Start() {
  google::protobuf::SetLogHandler(nullptr);  // else anybody writes a line to our log by sending bytes that are no UTF-8
  if (options_.reader.shared) {
    const absl::Status found =
        redis::Probe(options_.redis, kRedisPatience, "the database answers every miss of this process until it does");
    if (absl::IsFailedPrecondition(found)) return found;
  }
  http_api_.Register(environment_.http);
  if (rpc_server_) {
    rpc_service_.Register(*rpc_server_);
    if (absl::Status status = rpc_server_->Start(); !status.ok()) return status;
  }
  brands_api_.Register(environment_.http);
  if (filter_) filter_->Start();
  warm_up_.Start();
  feeds_.Start(Seed());
  pruner_.Start();
  if (gate_api_) {
    obs::Log(obs::Level::kWarn, "cacheapi_gate_enabled",
             {{"path", "/gate"}, {"note", "who reaches the HTTP port may hold and kill requests; no deadline counts"}});
    gate_api_->Register(environment_.http);
  }
  ready_ = true;
  return absl::OkStatus();
}

std::vector<std::pair<std::string, int>> Service::Ports() const {
  if (!rpc_server_) return {};
  return {{"grpc_port", rpc_server_->port()}};
}

// gRPC is drained here, HTTP by the app afterwards.
void Service::Stop(Clock::time_point deadline, std::function<void()> done) {
  ready_ = false;
  if (gate_) gate_->Open();
  if (!rpc_server_) return environment_.loop.Post(std::move(done));
  rpc_server_->SetServing(false);
  rpc_server_->Drain(deadline, std::move(done));
}

app::Definition MakeDefinition() {
  auto options = std::make_shared<Options>();  // shared by the three functions, which outlive this one
  app::Definition definition;
  definition.name = "cacheapi";
  definition.summary = "A cache-aside API: insights per brand from PostgreSQL, cached in Redis and in the process.";
  definition.declare = [options](app::Schema& schema) { Declare(schema, *options); };
  definition.check = [options] { return Check(*options); };
  definition.make = [options](app::Environment& environment) -> std::unique_ptr<app::Service> {
    return std::make_unique<Service>(environment, *options);
  };
  return definition;
}

}  // namespace lab::cacheapi
