#include "bench/cacheapi/written.h"

#include <algorithm>

namespace lab::bench::cacheapi {
namespace {

bool IsAcknowledged(const Op& op) {
  return op.outcome == Outcome::kOk && (op.answer == Answer::kWritten || op.answer == Answer::kQueued);
}

}  // namespace

std::map<uint32_t, uint64_t> LeastVersions(const std::vector<Op>& ops) {
  struct Told {
    uint64_t newest = 1, acknowledged = 0;
  };
  std::map<uint32_t, Told> keys;
  for (const Op& op : ops) {
    if (op.ask != Ask::kWrite || op.outcome == Outcome::kDropped) continue;
    Told& told = keys[op.key];
    if (!IsAcknowledged(op)) continue;
    told.newest = std::max<uint64_t>(told.newest, op.version);
    ++told.acknowledged;
  }
  std::map<uint32_t, uint64_t> least;
  for (const auto& [key, told] : keys) {
    least[key] = told.acknowledged == 0 ? 0 : std::max(told.newest, 1 + told.acknowledged);
  }
  return least;
}

}  // namespace lab::bench::cacheapi
