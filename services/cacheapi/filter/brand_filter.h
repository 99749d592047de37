#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/cacheapi/filter/bloom.h"
#include "services/cacheapi/filter/filter_builder.h"
#include "services/cacheapi/origin/origin.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

// Keeps requests for brands that do not exist from the database: a Bloom filter of all brands, in Redis, with a copy
// here. What the copy lets pass passes at once. What it denies is asked of the filter in Redis, and only that one may
// say that there is no such brand; so a copy that is old, torn or mixed costs a round trip and never an answer. The
// price of a denial is that round trip and 10 to 15 µs of Redis (measured, 7 hashes; 5 of them for its run_id; a GET
// takes 1); what it spares is the read of the database and the negative entries of keys that nobody asks for twice.
//
// Why no existing brand is ever denied (race 23), with any number of replicas that read, create and build:
// 1. Who creates a brand holds a shared lock in PostgreSQL (kCreatorsLock) from before it adds the brand's bits in
// Redis
//    until its INSERT has committed. Where the add is not acknowledged it does not commit (brand_creator.h): that is
//    the price, to create a brand Redis must be there.
// 2. Who builds a filter first begins the next one in Redis, into which every add from then on goes too; then takes the
//    lock exclusively for a moment, which waits for all who may have added before; then reads the brands. So a brand is
//    added in time, or has committed before it is read.
// 3. Bits that Redis has lost deny nothing: the filter is only believed while it carries the run_id of the very process
//    that answers, and has its length. After a restart (the last writes may be missing from its file), a failover (the
//    last writes may not have been replicated, race 22), a flush or an eviction everything passes, until it is built
//    anew.
// 4. Redis away, or slow: everything passes.
// Whoever else inserts brands (ingest) does as in 1, or the filter must stay off.
//
// Bits of deleted brands go when the filter is built anew, each `rebuild`. On Redis Cluster it works as it is: its keys
// share a hash tag. On the loop's thread.
//   cacheapi_bloom_asked_total{outcome=denied|admitted|unsure}   what the copy denied, by what Redis said
//   cacheapi_bloom_false_positives_total                         passed, but the database had no such brand
//   cacheapi_bloom_expected_false_positives                      the share of them, by the bits that are set
//   cacheapi_bloom_whole                                         whether the filter in Redis is believed
class BrandFilter {
 public:
  struct Options {
    FilterBuilder::Options build;
    Nanos rebuild = std::chrono::hours(1);
    Nanos look = std::chrono::seconds(1);  // how often it is looked whether the filter is whole and still the same
  };

  BrandFilter(async::Loop& loop, redis::Client& redis, Origin& origin, const Options& options, obs::Metrics& metrics,
              uint64_t seed);
  ~BrandFilter();
  BrandFilter(const BrandFilter&) = delete;
  BrandFilter& operator=(const BrandFilter&) = delete;

  // Begins to look after it, and to build it when it is not there.
  void Start();

  // By the copy here; true as long as there is none.
  bool MayExist(std::string_view brand) const { return !copy_ || copy_->MayContain(brand); }
  // By Redis; true whenever that is not certain. Ends within redis.deadline.
  void Ask(std::string_view brand, absl::AnyInvocable<void(bool may_exist)> done);
  // Before the INSERT of a brand commits, by who holds the lock. OK: no filter denies it.
  void Add(std::string_view brand, absl::AnyInvocable<void(absl::Status)> done);
  // The database had no brand that had passed.
  void CountFalsePositive() {
    if (copy_) metrics_.false_positives.Increment();
  }

  bool whole() const { return whole_; }
  uint64_t generations() const { return generations_; }  // copies taken so far
  // Looks now.
  void Look();

 private:
  struct Metrics {
    explicit Metrics(obs::Metrics& metrics);
    obs::Counter &denied, &admitted, &unsure, &false_positives;
    obs::Gauge &expected, &whole;
  };
  struct Download;
  void Arm();
  void TakeLook(const absl::StatusOr<redis::Reply>& reply);
  void Fetch(std::shared_ptr<Download> download);
  void Take(BloomFilter filter, std::string generation);

  redis::Client& redis_;
  const Options options_;
  Metrics metrics_;
  FilterBuilder builder_;
  boost::asio::steady_timer timer_;
  std::optional<BloomFilter> copy_;
  std::string generation_;  // of the copy
  uint64_t generations_ = 0;
  bool whole_ = false;
  bool busy_ = false;  // building or fetching
  const redis::Script check_, add_, look_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
