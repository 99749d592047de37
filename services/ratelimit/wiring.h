#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/ratelimit/config.h"
#include "services/ratelimit/http_api.h"
#include "services/ratelimit/limiter.h"
#include "services/ratelimit/memory_store.h"
#include "services/ratelimit/metrics.h"
#include "services/ratelimit/replica_clock.h"
#include "services/ratelimit/rpc_service.h"
#include "services/ratelimit/rules_watcher.h"
#include "services/runtime/app/app.h"

namespace lab::ratelimit {

// The parts of the rate limiter, in the order in which they need each other; the only place that knows them all.
class Service final : public app::Service {
 public:
  Service(app::Environment& environment, const Options& options);
  ~Service() override;

  absl::Status Start() override;
  void Stop(Clock::time_point deadline, std::function<void()> done) override;
  bool Ready() const override { return ready_; }

  std::vector<std::pair<std::string, int>> Ports() const override { return {{"grpc_port", server_.port()}}; }

 private:
  absl::Status StartRules();
  void WakeLater(Nanos wait);
  void TakeRules(const RulesWatcher::Result& result);

  app::Environment& environment_;
  const Options options_;
  Metrics metrics_;
  MemoryStore memory_;
  std::unique_ptr<redis::Client> redis_;  // null with store: memory
  std::unique_ptr<Store> redis_store_;
  std::unique_ptr<ReplicaClock> replica_clock_;  // null unless clock.source: replica
  Limiter limiter_;
  RpcService rpc_;
  rpc::Server server_;                               // after its handlers
  std::unique_ptr<boost::asio::steady_timer> wake_;  // for what the limiter holds back
  bool wake_armed_ = false;
  std::unique_ptr<RulesWatcher> watcher_;  // null without rules.path
  bool ready_ = false;
};

// For main: the name, the options and how to make the service.
app::Definition MakeDefinition();

}  // namespace lab::ratelimit
