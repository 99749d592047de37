#pragma once

#include <memory>
#include <vector>

#include "services/ratelimit/codec.h"
#include "services/ratelimit/limiter.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/rpc/server.h"

namespace lab::ratelimit {

// envoy.service.ratelimit.v3.RateLimitService on the server: decode, decide, encode.
class RpcService {
 public:
  struct Options {
    Bounds bounds;
    bool headers = true;
  };
  RpcService(async::Loop& loop, Limiter& limiter, Metrics& metrics, Options options);
  ~RpcService();
  // Before server.Start. The server must end first.
  void Register(rpc::Server& server);

 private:
  struct Exchange;
  void Handle(rpc::Call call);
  void Release(Exchange& exchange);

  async::Loop& loop_;
  Limiter& limiter_;
  Metrics& metrics_;
  const Options options_;
  struct Messages;
  std::unique_ptr<Messages> messages_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;  // as many as were ever in flight at once (the server's bound)
  std::vector<Exchange*> idle_;
};

}  // namespace lab::ratelimit
