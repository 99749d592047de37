#include <algorithm>

#include "services/cacheapi/config.h"

namespace lab::cacheapi {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kBesides = 64;  // reads that do not wait in our queue: pages of brands, those of writers

// A key is hot until it has half of the share, and the sketch must have room for all that may be (hot_set.h).
constexpr double kLeastHotShare = 0.04;

bool Deletes(WritePattern pattern) {
  return pattern == WritePattern::kDeleteAfterCommit || pattern == WritePattern::kDeleteBefore ||
         pattern == WritePattern::kDeleteInTransaction || pattern == WritePattern::kDoubleDelete ||
         pattern == WritePattern::kBury;
}

}  // namespace

void DeclareModes(app::Schema& schema, Options& options) {
  schema.Bool(
      "bloom.enabled", &options.bloom,
      "A filter of all brands, in Redis: what does not exist never reaches the database. Whoever inserts brands must "
      "add them to it first (brand_filter.h)");
  schema.Int("bloom.keys", &options.filter.build.keys, 1, 10'000'000, "Brands that it is made for");
  schema.Number("bloom.false_positives", &options.filter.build.false_positives, 1e-6, 0.5,
                "Share of unknown brands that passes, with so many in it");
  schema.Duration("bloom.rebuild", &options.filter.rebuild, seconds(1), hours(24 * 7),
                  "How old it gets: until then, deleted brands pass");
  schema.Bool("hot.enabled", &options.hot, "Keys that are hot here are read from one of several copies in L2");
  schema.Int("hot.copies", &options.hot_copies, 0, 64,
             "Copies that an invalidation deletes: the same in all processes, and set before any has hot.enabled");
  schema.Number("hot.share", &options.copies.hot.enter, kLeastHotShare, 1,
                "Of the requests, from which on a key is hot");
  schema.Bool("key.versioned", &options.versioned,
              "Entries under keys that name the version, which is asked for first; nothing is ever deleted");
  schema.Duration("key.version_memo", &options.versions.memo, Nanos(0), minutes(1),
                  "For how long a process goes by the version that it saw last; 0s: it asks each time");
  schema.Number("shadow.share", &options.shadow.share, 0, 1, "Share of hits that are compared with the database");
  schema.Int("shadow.in_flight", &options.shadow.in_flight, 1, 256, "Comparisons at once, at most");
  schema.Int("warmup.keys", &options.warm_up.keys, 0, 10'000,
             "Keys loaded at the start, and when L2 has come back empty; 0: none");
  schema.Number("warmup.rate", &options.warm_up.rate, 0.1, 100'000, "Loads a second, at most");
  schema.Number("warmup.share", &options.warm_up.share, 0, 1, "Of origin.max_connections, at most (and at least one)");
  schema.Bool("warmup.before_ready", &options.warm_before_ready, "Not ready before the first one has ended");
}

void CheckModes(Options& options, std::vector<std::string>& errors) {
  options.admission.concurrency = options.reads.connections;
  options.reads.max_outstanding = options.reads.connections + options.admission.max_waiting + kBesides;
  options.writer.copies = static_cast<size_t>(options.hot_copies);
  options.copies.copies = static_cast<size_t>(std::max(1, options.hot_copies));
  options.copies.hot.leave = options.copies.hot.enter / 2;
  options.versions.keep =
      options.reader.stale_if_error ? options.reader.local_ttl + options.reader.local_stale : Nanos(0);
  const bool shared = options.reader.shared;
  if (options.bloom && !shared) errors.emplace_back("bloom.enabled: the filter is kept in Redis, and l2 is off");
  if (options.hot && options.hot_copies == 0) {
    errors.emplace_back("hot.enabled: with hot.copies: 0 there are none; set it in all processes first");
  }
  if (options.hot && !shared) errors.emplace_back("hot.enabled: copies are kept in l2, which is off");
  if (options.hot_copies > 0 && !Deletes(options.writer.pattern)) {
    errors.emplace_back(
        "hot.copies: this write.pattern puts the new value under one key only; copies need one that deletes");
  }
  if (options.versioned && !shared) errors.emplace_back("key.versioned: versions are kept in l2, which is off");
  if (options.versioned && options.writer.pattern != WritePattern::kDeleteAfterCommit) {
    errors.emplace_back(
        "key.versioned: goes with write.pattern: delete_after_commit (which raises the version instead)");
  }
}

}  // namespace lab::cacheapi
