#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "services/ratelimit/limiter.h"

namespace lab::ratelimit {

// Keeps batches until it is told to answer them (by a store in memory) or to fail them.
class HeldStore final : public Store {
 public:
  void Run(Batch& batch, Done done) override { held.emplace_back(&batch, std::move(done)); }
  void Answer() {
    for (auto& [batch, done] : std::exchange(held, {})) memory.Run(*batch, std::move(done));
  }
  void Fail() {
    for (auto& [batch, done] : std::exchange(held, {})) done(absl::DeadlineExceededError("no answer"));
  }
  MemoryStore memory{1000};
  std::vector<std::pair<Batch*, Done>> held;
};

struct Asked final : Pending, Question {
  void Decided() override { ++decided; }
  Asked& On(std::string_view key, std::string_view value, uint64_t hits = 1) {
    entries.emplace_back(key, value);
    descriptors.push_back({static_cast<uint32_t>(entries.size() - 1), 1, hits, std::nullopt});
    return *this;
  }
  int decided = 0;
};

}  // namespace lab::ratelimit
