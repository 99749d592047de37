#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/cacheapi/stored_entry.h"
#include "bench/observe/pg_wire.h"
#include "bench/observe/resp.h"

namespace lab::bench::cacheapi {

// The two stores as an explorer sees them: with connections of its own, past the service. Each call takes a millisecond
// at most on stores at rest; errors as of PgConnection and RespConnection. One thread at a time.
class Stores {
 public:
  Stores(int redis_port, int postgres_port, PgLogin login);

  // `count` brands that nothing is known of but their first version, called `prefix`1, `prefix`2, …
  absl::Status MakeBrands(const std::string& prefix, uint64_t first, uint64_t count);

  struct Cached {
    Stored stored;
    bool leased = false;
  };
  absl::StatusOr<Cached> ReadCache(const std::string& brand);
  absl::Status Evict(const std::string& brand);
  absl::Status ExpireLease(const std::string& brand);

  struct Row {
    uint64_t version = 0;
    int64_t correction = 0;
    std::map<std::string, uint64_t> requests;  // that were applied, with the versions that they made
  };
  absl::StatusOr<Row> ReadRow(const std::string& brand);
  absl::StatusOr<uint64_t> ReadVersion(const std::string& brand);

  // Whether L2 says how far it has been told by the log (services/cacheapi/feed/change_feed.h).
  absl::StatusOr<bool> LogPlaceIsKept();

  // Whether a session waits for a row that one has locked that does nothing at the moment: it is held at a step.
  absl::StatusOr<bool> SomebodyBlocks();
  // Whether a session waits for any lock.
  absl::StatusOr<bool> SomebodyWaits();

 private:
  absl::StatusOr<uint64_t> Count(const char* sql);
  RespConnection redis_;
  PgConnection postgres_;
};

}  // namespace lab::bench::cacheapi
