#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench/load/grpc_link.h"
#include "bench/load/link_pool.h"

namespace lab::bench {

// Unary gRPC calls over several connections to each endpoint.
class GrpcDriver : public LinkPool {
 public:
  static constexpr int kLinksPerEndpoint = 4;

  GrpcDriver(Poller& poller, CallSink& sink, const std::string& path, const std::vector<Endpoint>& endpoints);

  void Open() override;
  bool Ready() const override;
  Sent Send(Call& call) override;
  void Forget(Call& call) override;
  void Flush() override;

 private:
  GrpcLink& link(size_t i) const { return static_cast<GrpcLink&>(*links_[i]); }

  size_t current_ = 0;
  int dealt_ = 0;  // calls in a row on the current link
};

}  // namespace lab::bench
