#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/cacheapi/config.h"
#include "services/cacheapi/edge/api.h"
#include "services/cacheapi/edge/brands_api.h"
#include "services/cacheapi/edge/gate_api.h"
#include "services/cacheapi/edge/http_api.h"
#include "services/cacheapi/edge/rpc_service.h"
#include "services/cacheapi/gate/step_gate.h"
#include "services/cacheapi/limiter/limiter_client.h"
#include "services/cacheapi/origin/request_ids.h"
#include "services/cacheapi/read/wanted_keys.h"
#include "services/cacheapi/shared/store_clock.h"
#include "services/cacheapi/write/brand_creator.h"
#include "services/cacheapi/write/request_pruner.h"
#include "services/runtime/app/app.h"
#include "services/runtime/rpc/queue.h"
#include "services/runtime/rpc/server.h"

namespace lab::cacheapi {

// The parts of the cache-aside API, in the order in which they need each other; the only place that knows them all.
class Service final : public app::Service {
 public:
  Service(app::Environment& environment, const Options& options);
  ~Service() override;

  absl::Status Start() override;
  void Stop(Clock::time_point deadline, std::function<void()> done) override;
  // Without the database only what is cached can be answered, so it is not asked for; without Redis everything can.
  bool Ready() const override {
    return ready_ && reads_.connected() && writes_.connected() && (!options_.warm_before_ready || warm_up_.done());
  }
  // grpc_port, where gRPC is on.
  std::vector<std::pair<std::string, int>> Ports() const override;

 private:
  Reader::Modes ReaderModes();
  void ForgetAll(absl::AnyInvocable<void(absl::Status)> done);

  app::Environment& environment_;
  const Options options_;
  pg::Client reads_, writes_, of_requests_;
  std::unique_ptr<redis::Client> redis_;  // null without l2
  std::unique_ptr<StoreClock> clock_;     // null without l2
  std::unique_ptr<SharedCache> shared_;   // null without l2
  std::unique_ptr<StepGate> gate_;        // null unless asked for
  Origin origin_;
  RequestIds requests_;
  OriginQueue origin_queue_;
  std::unique_ptr<BrandFilter> filter_;  // this and the next three: null unless asked for
  std::unique_ptr<HotCopies> copies_;
  std::unique_ptr<VersionKeys> versions_;
  std::unique_ptr<Shadow> shadow_;
  WantedKeys wanted_;
  LocalCache local_;
  SingleFlight flights_;
  Reader reader_;
  Feeds feeds_;
  Writer writer_;
  RequestPruner pruner_;
  std::unique_ptr<rpc::Queue> rpc_queue_;   // null without gRPC, in and out: then the loop sleeps in Asio
  std::unique_ptr<LimiterClient> limiter_;  // null without ratelimit.target
  BrandCreator creator_;
  Api api_;
  HttpApi http_api_;
  RpcService rpc_service_;
  std::unique_ptr<rpc::Server> rpc_server_;  // after its handlers; null without grpc.enabled
  WarmUp warm_up_;
  BrandsApi brands_api_;
  std::unique_ptr<GateApi> gate_api_;  // null without a gate
  bool ready_ = false;
};

// For main: the name, the options and how to make the service.
app::Definition MakeDefinition();

}  // namespace lab::cacheapi
