#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/cacheapi/config_edge.h"
#include "services/cacheapi/feeds.h"
#include "services/cacheapi/filter/brand_filter.h"
#include "services/cacheapi/local/local_cache.h"
#include "services/cacheapi/local/single_flight.h"
#include "services/cacheapi/origin/admission.h"
#include "services/cacheapi/origin/origin.h"
#include "services/cacheapi/read/hot_copies.h"
#include "services/cacheapi/read/reader.h"
#include "services/cacheapi/read/shadow.h"
#include "services/cacheapi/read/warm_up.h"
#include "services/cacheapi/shared/shared_cache.h"
#include "services/cacheapi/shared/version_keys.h"
#include "services/cacheapi/write/request_pruner.h"
#include "services/cacheapi/write/writer.h"
#include "services/runtime/app/config.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

// Who loads when a key is not there.
enum class Fill { kPlain, kSingleFlight, kLease, kBoth };

// The configuration of the process, as its parts take it.
struct Options {
  EdgeOptions edge;
  redis::Options redis;
  pg::Options reads{.name = "pg_read", .connections = 8, .group_max = 1, .groups_in_flight = 1, .read_only = true};
  pg::Options writes{.name = "pg_write", .connections = 2, .groups_in_flight = 1};
  Origin::Options origin;
  SharedCache::Options shared;
  LocalCache::Options local;
  SingleFlight::Options flights;
  Reader::Options reader;
  Writer::Options writer;
  RequestPruner::Options requests;
  FeedOptions feeds;
  int local_kib = 64 * 1024;
  Fill fill = Fill::kBoth;
  Nanos request_deadline = Millis(1000);
  bool gate = false;  // the steps of the race explorer
  // Modes, each off unless asked for (config_modes.cc).
  Admission::Options admission;
  bool bloom = false;
  BrandFilter::Options filter;
  bool hot = false;
  int hot_copies = 0;
  HotCopies::Options copies;
  bool versioned = false;
  VersionKeys::Options versions;
  Shadow::Options shadow{.share = 0};
  WarmUp::Options warm_up;
  bool warm_before_ready = false;
};

// Declares every field of `options` with its range and a sentence; `options` must outlive `schema`.
void Declare(app::Schema& schema, Options& options);

// The part of both for the modes (config_modes.cc); `errors` get what is wrong.
void DeclareModes(app::Schema& schema, Options& options);
void CheckModes(Options& options, std::vector<std::string>& errors);

// What no field can say by itself, and the secrets (REDIS_PASSWORD, PGPASSWORD, or the files that …_FILE names). Fills
// in what follows from others. Every error a line.
absl::Status Check(Options& options);

}  // namespace lab::cacheapi
