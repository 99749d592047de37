#pragma once

#include "services/ratelimit/store.h"
#include "services/runtime/base/string_map.h"
#include "services/runtime/redis/client.h"

namespace lab::ratelimit {

// Broken on purpose, for teaching: the counts in Redis, read by one command and written back by another, with the
// decision here in between. What two calls read before either has written, both of them grant, and the later write
// loses the earlier: n calls at once admit up to n times what is left. Any algorithm but the sliding log, which is no
// single value. Decides by the clock of this process, and its values are not those of decide.lua: a key that the two
// modes share starts afresh. Otherwise as RedisStore; a call takes two deadlines at most.
class ReadThenWriteStore final : public Store {
 public:
  explicit ReadThenWriteStore(redis::Client& client) : client_(client) {}
  void Run(Batch& batch, Done done) override;

 private:
  struct Trip;
  using States = StringMap<State, std::string_view>;  // by the batch's keys

  static States Read(const redis::Reply& values, const Batch& batch);
  static void Decide(Batch& batch, States& states);
  void Write(const std::shared_ptr<Trip>& trip, const States& before, const States& after);

  redis::Client& client_;
};

}  // namespace lab::ratelimit
