#include "bench/cacheapi/stored_scan.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "bench/cacheapi/stored_entry.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/time.h"

namespace lab::bench::cacheapi {
namespace {

constexpr std::chrono::seconds kAnswer{2};
constexpr const char* kKeysAtOnce = "1000";
constexpr size_t kValuesAtOnce = 200;  // a reply of more than 16 MiB is refused, an entry may have 4

absl::Status Refused(const RespValue& reply) { return absl::FailedPreconditionError(Concat("redis: ", reply.text)); }

int64_t NowMs() {
  return std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

absl::StatusOr<std::vector<FreshEntry>> ReadFresh(RespConnection& redis, const std::vector<std::string>& keys) {
  std::vector<FreshEntry> found;
  for (size_t begin = 0; begin < keys.size(); begin += kValuesAtOnce) {
    const size_t end = std::min(keys.size(), begin + kValuesAtOnce);
    std::vector<std::string> command = {"MGET"};  // of another type: nil
    for (size_t i = begin; i < end; ++i) command.push_back(keys[i]);
    const absl::StatusOr<RespValue> reply = redis.Command(command, kAnswer);
    if (!reply.ok()) return reply.status();
    if (reply->items.size() != end - begin) return Refused(*reply);
    const int64_t now_ms = NowMs();
    for (size_t i = begin; i < end; ++i) {
      const RespValue& value = reply->items[i - begin];
      std::optional<StoredName> name = ParseStoredName(keys[i]);
      if (!name || value.kind != RespValue::Kind::kText) continue;
      const StoredEntry entry = ReadStored(value.text);
      if (entry.stored.kind != Stored::Kind::kValue || entry.fresh_until_ms <= now_ms) continue;
      found.push_back({keys[i], *std::move(name), entry.stored.version});
    }
  }
  return found;
}

absl::StatusOr<std::vector<FreshEntry>> ScanFresh(RespConnection& redis, const std::function<bool()>& go_on) {
  std::vector<FreshEntry> all;
  std::set<std::string> seen;  // SCAN may tell a key more than once
  std::string cursor = "0";
  do {
    if (!go_on()) return absl::CancelledError("broken off");
    const absl::StatusOr<RespValue> reply = redis.Command({"SCAN", cursor, "COUNT", kKeysAtOnce}, kAnswer);
    if (!reply.ok()) return reply.status();
    if (reply->items.size() != 2) return Refused(*reply);
    cursor = reply->items[0].text;
    std::vector<std::string> keys;
    for (const RespValue& key : reply->items[1].items) {
      if (ParseStoredName(key.text) && seen.insert(key.text).second) keys.push_back(key.text);
    }
    absl::StatusOr<std::vector<FreshEntry>> batch = ReadFresh(redis, keys);
    if (!batch.ok()) return batch.status();
    all.insert(all.end(), std::make_move_iterator(batch->begin()), std::make_move_iterator(batch->end()));
  } while (cursor != "0");
  return all;
}

}  // namespace lab::bench::cacheapi
