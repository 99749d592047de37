#pragma once

#include <string>

#include "absl/status/status.h"
#include "services/cacheapi/feeds.h"
#include "services/cacheapi/local_cache.h"
#include "services/cacheapi/origin.h"
#include "services/cacheapi/reader.h"
#include "services/cacheapi/shared_cache.h"
#include "services/cacheapi/single_flight.h"
#include "services/cacheapi/writer.h"
#include "services/runtime/app/config.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

// Who loads when a key is not there.
enum class Fill { kPlain, kSingleFlight, kLease, kBoth };

// The configuration of the process, as its parts take it.
struct Options {
  redis::Options redis;
  pg::Options reads{.name = "pg_read", .connections = 8, .group_max = 1, .groups_in_flight = 1, .read_only = true};
  pg::Options writes{.name = "pg_write", .connections = 2, .groups_in_flight = 1};
  Origin::Options origin;
  SharedCache::Options shared;
  LocalCache::Options local;
  SingleFlight::Options flights;
  Reader::Options reader;
  Writer::Options writer;
  FeedOptions feeds;
  int local_mib = 64;
  Fill fill = Fill::kBoth;
  Nanos request_deadline = Millis(1000);
  bool gate = false;  // the steps of the race explorer
};

// Declares every field of `options` with its range and a sentence; `options` must outlive `schema`.
void Declare(app::Schema& schema, Options& options);

// What no field can say by itself, and the secrets (REDIS_PASSWORD, PGPASSWORD, or the files that …_FILE names). Fills in
// what follows from others. Every error a line.
absl::Status Check(Options& options);

}  // namespace lab::cacheapi
