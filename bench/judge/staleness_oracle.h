#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What can be said for certain about the staleness of a cache from outside, by the versions of the rows it serves (the
// idea is CacheLib's ValueHistory: a read is legal when some order of what overlaps explains it). The moment at which a
// commit becomes visible lies somewhere in [begin, end], that at which a read was decided somewhere in [sent,
// answered]; only what holds wherever they lay is claimed, so a read that is called stale is stale. All times are
// nanoseconds on one clock. Versions of a key grow in the order of its commits (they are given out under the row's
// lock).
namespace lab::bench {

inline constexpr uint32_t kNoSession = ~uint32_t{0};

// A write whose version is known: acknowledged, or found in the database afterwards.
struct CacheCommit {
  uint64_t version = 0;
  int64_t begin = 0;
  int64_t end = 0;  // acknowledged; by which it was visible for certain
  uint32_t session = kNoSession;
};

// A read that was answered with a value, or with "there is none" as the version before the first one.
struct CacheRead {
  int64_t sent = 0;
  int64_t answered = 0;
  uint64_t version = 0;
  uint32_t session = kNoSession;
  bool judged = true;  // false: it is not counted, though later reads of its session must not fall behind it
};

struct CacheHistory {
  std::string key;
  std::vector<CacheCommit> commits;
  std::vector<CacheRead> reads;
};

// Why the record of a key cannot be judged, or "": an interval that ends before it begins, one version twice, or a
// version that was acknowledged before a smaller one had begun. (Not the cache's doing: a clock or the record is
// wrong.)
std::string WhatIsWrong(const CacheHistory& history);

// A read that breaks a promise, with what convicts it.
struct CacheOffence {
  size_t history = 0;  // by place among the histories
  std::string key;
  size_t read = 0;        // by place in the history
  uint64_t version = 0;   // that it brought
  uint64_t expected = 0;  // at least
  int64_t since = 0;      // when `expected` was known: acknowledged, or read
  int64_t sent = 0;       // of the read, later than `since`
};

struct CountedOffences {
  uint64_t count = 0;
  std::optional<CacheOffence> first;  // by the time it was sent
};

struct Staleness {
  uint64_t reads = 0;                // judged
  CountedOffences stale;             // sent when a newer version had been acknowledged
  CountedOffences read_your_writes;  // older than what its own session had been told is written
  CountedOffences monotonic_reads;   // older than what its own session had read
  CountedOffences premature;         // of a version whose commit began after the answer: it was never there to be read
  // How long the version it brought had been out of date when the read was sent, counted from the first acknowledged
  // commit after it: the least it can be. 0 of a read that is not stale. Seconds, over all judged reads.
  double age_max_s = 0;
  std::optional<double> age_p99_s;  // not below kReadsForP99
  double stale_share() const { return reads == 0 ? 0 : static_cast<double>(stale.count) / static_cast<double>(reads); }
  std::vector<std::string> unsound;  // "key: what is wrong": not judged
};

inline constexpr uint64_t kReadsForP99 = 300;

// Every judged read whose version had been out of date for more than `bound` nanoseconds when it was sent, counted as
// above; of histories that are sound, by key and time.
std::vector<CacheOffence> StalerThan(const std::vector<CacheHistory>& histories, int64_t bound);

// O(n log n) of each key's history.
Staleness StalenessOf(const std::vector<CacheHistory>& histories);

// Writes that some reader did not see `after` their acknowledgement: Polaris' "inconsistent after T" (Meta, "Cache made
// consistent", 2022).
struct InconsistentAfter {
  uint64_t probed = 0;        // commits of which something is known: below
  uint64_t inconsistent = 0;  // of them: some judged read sent later than `after` brought an older version
  double share = 0;
  double at_most = 1;  // the 95 % bound of the share, were commits independent: those of one key seldom are
  std::optional<CacheOffence> first;
};

// A commit is probed when a judged read of its key was sent within (end + after, end + after + within], or was
// inconsistent later. Commits that nobody read in time say nothing, and are not counted as consistent. A commit that
// was overtaken counts as well: whoever still serves what was before it has missed it.
InconsistentAfter InconsistentAfterT(const std::vector<CacheHistory>& histories, int64_t after, int64_t within);

}  // namespace lab::bench
