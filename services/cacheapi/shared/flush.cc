#include "services/cacheapi/shared/flush.h"

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/cacheapi/shared/shared_cache.h"
#include "services/cacheapi/shared/version_keys.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

constexpr std::string_view kStep = "256";  // keys that the server looks at in one call

struct Walk : std::enable_shared_from_this<Walk> {
  Walk(redis::Client& r, absl::AnyInvocable<void(absl::Status)> d) : redis(r), done(std::move(d)) {}

  void Next() {
    const std::array<std::string_view, 6> scan = {"SCAN", cursor, "MATCH", patterns[pattern], "COUNT", kStep};
    redis.Command(scan, [self = shared_from_this()](absl::StatusOr<redis::Reply> reply) {
      if (!reply.ok()) return self->done(reply.status());
      if (reply->size() != 2) return self->done(absl::InternalError("not a reply to SCAN"));
      self->cursor = std::string((*reply)[0].text());
      self->Remove((*reply)[1]);
    });
  }

  void Remove(const redis::Reply& keys) {
    if (keys.size() == 0) return Removed(absl::OkStatus());
    std::vector<std::string_view> unlink = {"UNLINK"};
    for (size_t i = 0; i < keys.size(); ++i) unlink.push_back(keys[i].text());
    redis.Command(unlink,
                  [self = shared_from_this()](absl::StatusOr<redis::Reply> reply) { self->Removed(reply.status()); });
  }

  void Removed(const absl::Status& status) {
    if (!status.ok()) return done(status);
    if (cursor == "0" && ++pattern == patterns.size()) return done(absl::OkStatus());
    Next();
  }

  redis::Client& redis;
  absl::AnyInvocable<void(absl::Status)> done;
  const std::array<std::string, 4> patterns = {Concat(kLeasePrefix, kVersionPrefix, "*"),
                                               Concat(kLeasePrefix, kEntryPrefix, "*"), Concat(kVersionPrefix, "*"),
                                               Concat(kEntryPrefix, "*")};
  size_t pattern = 0;
  std::string cursor = "0";
};

}  // namespace

void FlushEntries(redis::Client& redis, absl::AnyInvocable<void(absl::Status)> done) {
  std::make_shared<Walk>(redis, std::move(done))->Next();  // shared by its own callbacks
}

}  // namespace lab::cacheapi
