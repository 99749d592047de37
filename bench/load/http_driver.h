#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench/load/http_link.h"
#include "bench/load/link_pool.h"

namespace lab::bench {

// HTTP/1.1 calls over a pool of keep-alive connections that grows with what is in flight, up to a bound. The first ones
// come back by themselves when they are lost; the others only for a call that finds none idle, so that a server that
// closes what is idle for long is not asked for it again.
class HttpDriver : public LinkPool {
 public:
  static constexpr size_t kFirstLinks = 8;   // an endpoint
  static constexpr size_t kMostLinks = 200;  // an endpoint; those of one target are below the limit of a service (256)

  HttpDriver(Poller& poller, CallSink& sink, std::vector<Endpoint> endpoints);

  void Open() override;
  bool Ready() const override;
  Sent Send(Call& call) override;
  void Forget(Call& call) override;

 private:
  struct Pool {
    Endpoint endpoint;
    std::vector<HttpLink*> links;
  };
  HttpLink& Grow(Pool& pool);
  // One that is idle, or else was opened for the call; null when there is none. *away stays true when all are down.
  HttpLink* Take(Pool& pool, bool* away);

  std::vector<Pool> pools_;
  size_t next_pool_ = 0;
};

}  // namespace lab::bench
