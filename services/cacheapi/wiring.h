#pragma once

#include <functional>
#include <memory>

#include "services/cacheapi/config.h"
#include "services/cacheapi/http_api.h"
#include "services/cacheapi/step_gate.h"
#include "services/cacheapi/store_clock.h"
#include "services/runtime/app/app.h"

namespace lab::cacheapi {

// The parts of the cache-aside API, in the order in which they need each other; the only place that knows them all.
class Service final : public app::Service {
 public:
  Service(app::Environment& environment, const Options& options);
  ~Service() override;

  absl::Status Start() override;
  void Stop(Clock::time_point deadline, std::function<void()> done) override;
  // Without the database only what is cached can be answered, so it is not asked for; without Redis everything can.
  bool Ready() const override { return ready_ && reads_.connected(); }

 private:
  app::Environment& environment_;
  const Options options_;
  pg::Client reads_, writes_;
  std::unique_ptr<redis::Client> redis_;   // null without l2
  std::unique_ptr<StoreClock> clock_;      // null without l2
  std::unique_ptr<SharedCache> shared_;    // null without l2
  std::unique_ptr<StepGate> gate_;         // null unless asked for
  Origin origin_;
  LocalCache local_;
  SingleFlight flights_;
  Reader reader_;
  Feeds feeds_;
  Writer writer_;
  HttpApi http_api_;
  bool ready_ = false;
};

// For main: the name, the options and how to make the service.
app::Definition MakeDefinition();

}  // namespace lab::cacheapi
