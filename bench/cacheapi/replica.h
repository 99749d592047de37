#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "bench/load/target.h"
#include "bench/observe/socket.h"

namespace lab::bench::cacheapi {

// One process of the API, asked over HTTP by a connection that is kept between requests. One thread at a time.
class Replica {
 public:
  Replica(std::string name, int port);
  const std::string& name() const { return name_; }

  // How it answers a request of the target cacheapi.get, and of which version. Errors as of Socket; UNAVAILABLE for an
  // answer that is not one of a brand.
  absl::StatusOr<Reading> Get(const std::string& request);

 private:
  absl::StatusOr<Reading> Try(const std::string& request);

  std::string name_;
  int port_;
  std::unique_ptr<Socket> socket_;
};

}  // namespace lab::bench::cacheapi
