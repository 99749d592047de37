#include "services/cacheapi/wiring.h"

#include <random>
#include <string_view>
#include <utility>

#include "services/runtime/obs/log.h"

namespace lab::cacheapi {
namespace {

uint64_t Seed() { return std::random_device()() * uint64_t{0x9e3779b97f4a7c15} + std::random_device()(); }

}  // namespace

Service::Service(app::Environment& environment, const Options& options)
    : environment_(environment),
      options_(options),
      reads_(environment.loop, options.reads, environment.metrics, environment.failpoints),
      writes_(environment.loop, options.writes, environment.metrics, environment.failpoints),
      redis_(options.reader.shared ? std::make_unique<redis::Client>(environment.loop, options.redis,
                                                                     environment.metrics, environment.failpoints)
                                   : nullptr),
      clock_(redis_ ? std::make_unique<StoreClock>(environment.loop, *redis_, environment.metrics) : nullptr),
      shared_(redis_ ? std::make_unique<SharedCache>(*redis_, *clock_, options.shared, environment.metrics, Seed())
                     : nullptr),
      gate_(options.gate ? std::make_unique<StepGate>() : nullptr),
      origin_(reads_, writes_, options.origin, environment.metrics),
      local_(options.local),
      flights_(options.flights),
      reader_({environment.loop, local_, shared_.get(), origin_, flights_, gate_.get()}, options.reader,
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
               }},
              options.writer, environment.metrics),
      http_api_(reader_, writer_,
                {options.request_deadline, options.reader.stale_while_revalidate ? options.shared.stale : Nanos(0)},
                Seed()) {}

// Every store operation ends in its callback while what it calls is still there.
Service::~Service() {
  if (redis_) redis_->Close();
  reads_.Close();
  writes_.Close();
  feeds_.Stop();
}

absl::Status Service::Start() {
  http_api_.Register(environment_.http);
  feeds_.Start(Seed());
  ready_ = true;
  return absl::OkStatus();
}

void Service::Stop(Clock::time_point deadline, std::function<void()> done) {
  (void)deadline;  // the HTTP server is drained by the app
  ready_ = false;
  if (gate_) gate_->Open();
  environment_.loop.Post(std::move(done));
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
