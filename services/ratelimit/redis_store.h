#pragma once

#include <vector>

#include "services/ratelimit/msgpack.h"
#include "services/ratelimit/store.h"
#include "services/runtime/redis/client.h"

namespace lab::ratelimit {

// The counts in Redis, shared by all replicas: one atomic call of decide.lua a batch, with the server's clock. Single-
// threaded, on the client's loop; `done` runs later, within the client's deadline. Its statuses are the client's, and
// INTERNAL for a reply that is not the script's.
class RedisStore final : public Store {
 public:
  explicit RedisStore(redis::Client& client);
  void Run(Batch& batch, Done done) override;

 private:
  void Encode(const Batch& batch);

  redis::Client& client_;
  redis::Script script_;
  NumberWriter numbers_;  // these four are scratch, kept for their memory
  std::vector<const Limit*> limits_;
  std::vector<std::string_view> keys_;
  std::vector<double> reply_;
};

}  // namespace lab::ratelimit
