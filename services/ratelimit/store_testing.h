#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/ratelimit/memory_store.h"
#include "services/ratelimit/redis_store.h"
#include "services/ratelimit/store.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/redis/client.h"
#include "services/runtime/redis/test_server.h"

namespace lab::ratelimit {

inline constexpr UnixMicros kTestEpoch = 1'790'000'000 * kSecondUs;  // divisible by 1, 10 and 1000 s; in 2026

// A request of a test: keys with limits and hits.
struct TestTerm {
  std::string key;
  Limit limit;
  uint64_t hits = 1;
  bool shadow = false;
};

struct TestAnswer {
  bool passed = false;
  std::vector<TermResult> terms;
};

// One store, asked synchronously at times that the test names.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  virtual absl::Status Run(Batch& batch) = 0;

  // `count` equal requests at `now`, as one group: the answers in order.
  std::vector<TestAnswer> Ask(UnixMicros now, const std::vector<TestTerm>& terms, uint32_t count = 1);
  // One request of one term: whether it passed.
  bool Passes(UnixMicros now, const Limit& limit, uint64_t hits = 1, const std::string& key = "k");
};

// The answers of a batch that a store has run, group after group.
std::vector<TestAnswer> Answers(const Batch& batch);

class MemoryUnderTest final : public StoreUnderTest {
 public:
  absl::Status Run(Batch& batch) override;
  MemoryStore store{100'000};
};

// On a real server.
class RedisUnderTest final : public StoreUnderTest {
 public:
  explicit RedisUnderTest(redis::Options options = {.deadline = std::chrono::seconds(5)});
  ~RedisUnderTest() override;
  absl::Status Run(Batch& batch) override;
  // Turns the loop until `done` holds, for at most ten seconds; whether it holds.
  bool TurnUntil(const std::function<bool()>& done);

  redis::TestServer server;
  async::Loop loop;
  obs::Metrics metrics;
  std::unique_ptr<redis::Client> client;
  std::unique_ptr<RedisStore> store;
};

}  // namespace lab::ratelimit
