#include "services/cacheapi/local/local_cache.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "services/runtime/base/random.h"

namespace lab::cacheapi {
namespace {

using Stored = LocalCache::Stored;

Clock::time_point At(int64_t ms) { return Clock::time_point(std::chrono::hours(1)) + Millis(ms); }

Value Make(std::string body, uint64_t version, int64_t expiry_ms = 1'000'000) {
  Value value;
  value.body = std::move(body);
  value.version = version;
  value.fresh_until = value.expiry = At(expiry_ms);
  return value;
}

// The whole contract, with every policy.
class LocalCacheContract : public testing::TestWithParam<eviction::EvictionKind> {
 protected:
  LocalCache MakeCache(size_t bytes = 1 << 20, bool fenced = true) {
    LocalCache::Options options;
    options.bytes = bytes;
    options.eviction = GetParam();
    options.fenced = fenced;
    return LocalCache(options);
  }
  // "body@version", or "-".
  static std::string Read(LocalCache& cache, std::string_view key, int64_t now_ms = 0) {
    const Value* value = cache.Get(key, At(now_ms));
    return value == nullptr ? "-" : value->body + "@" + std::to_string(value->version);
  }
  static Stored Put(LocalCache& cache, std::string_view key, Value value, int64_t now_ms = 0) {
    return cache.Store(cache.Begin(key), std::move(value), At(now_ms));
  }
};

INSTANTIATE_TEST_SUITE_P(Policies, LocalCacheContract, testing::ValuesIn(eviction::kEvictionKinds),
                         [](const auto& test) { return std::string(Name(test.param)); });

TEST_P(LocalCacheContract, GivesWhatWasStored) {
  LocalCache cache = MakeCache();
  EXPECT_EQ(Read(cache, "a"), "-");
  EXPECT_EQ(Put(cache, "a", Make("one", 1)), Stored::kStored);
  EXPECT_EQ(Put(cache, "b", Make("", 2)), Stored::kStored);
  EXPECT_EQ(Read(cache, "a"), "one@1");
  EXPECT_EQ(Read(cache, "b"), "@2");
  EXPECT_EQ(Read(cache, "c"), "-");
  EXPECT_EQ(cache.entries(), 2u);
  EXPECT_EQ(cache.bytes(), LocalCache::Bytes("a", "one") + LocalCache::Bytes("b", ""));
}

TEST_P(LocalCacheContract, ExpiresWhenItIsTime) {
  LocalCache cache = MakeCache();
  Put(cache, "k", Make("v", 1, 100));
  EXPECT_EQ(Read(cache, "k", 99), "v@1");
  EXPECT_EQ(Read(cache, "k", 100), "-");
  EXPECT_EQ(cache.entries(), 0u) << "it has gone";
  EXPECT_EQ(cache.bytes(), 0u);
  EXPECT_EQ(Put(cache, "k", Make("v", 1, 200), 200), Stored::kExpired);
}

TEST_P(LocalCacheContract, AnExpiredVersionIsNoBar) {
  LocalCache cache = MakeCache();
  Put(cache, "k", Make("v", 9, 100));
  EXPECT_EQ(Put(cache, "k", Make("restored", 3), 100), Stored::kStored);
}

TEST_P(LocalCacheContract, AnOlderVersionNeverReplacesANewerOne) {
  LocalCache cache = MakeCache();
  const FillToken slow = cache.Begin("k");
  EXPECT_EQ(Put(cache, "k", Make("new", 2)), Stored::kStored);
  EXPECT_EQ(cache.Store(slow, Make("old", 1), At(0)), Stored::kOlder);
  EXPECT_EQ(Read(cache, "k"), "new@2");
  EXPECT_EQ(Put(cache, "k", Make("again", 2)), Stored::kStored) << "the same version is a refresh";
  EXPECT_EQ(Read(cache, "k"), "again@2");
}

// Race 1: R misses and reads v1, W commits v2 and invalidates, R stores v1.
TEST_P(LocalCacheContract, AFillThatBeganBeforeAnInvalidationIsNotStored) {
  LocalCache cache = MakeCache();
  const FillToken token = cache.Begin("k");
  EXPECT_FALSE(cache.Invalidate("k", 2));
  EXPECT_EQ(cache.Store(token, Make("old", 1), At(0)), Stored::kFenced);
  EXPECT_EQ(Read(cache, "k"), "-");
  EXPECT_EQ(Put(cache, "k", Make("new", 2)), Stored::kStored) << "one that begins after it is";
}

// Race 8: the newer version is there and evicted before the older fill comes.
TEST_P(LocalCacheContract, NorIsItWhenTheNewerVersionHasBeenEvicted) {
  LocalCache cache = MakeCache(4 * LocalCache::Bytes("k000", std::string(100, 'x')));
  const FillToken token = cache.Begin("k");
  cache.Invalidate("k", 2);
  Put(cache, "k", Make("new", 2));
  for (int i = 0; i < 200; ++i) {
    const std::string key = "k" + std::to_string(100 + i / 2);
    Put(cache, key, Make(std::string(100, 'x'), 1));
    for (int use = 0; use < 8; ++use) cache.Get(key, At(0));
  }
  EXPECT_EQ(Read(cache, "k"), "-") << "evicted";
  EXPECT_EQ(cache.Store(token, Make("old", 1), At(0)), Stored::kFenced);
}

// Race 11: a refresh begins while the entry is there; the invalidation drops it; the refresh brings the old value.
TEST_P(LocalCacheContract, ARefreshAcrossAnInvalidationIsNotStored) {
  LocalCache cache = MakeCache();
  Put(cache, "k", Make("old", 1));
  const FillToken refresh = cache.Begin("k");
  EXPECT_TRUE(cache.Invalidate("k", 2));
  EXPECT_EQ(cache.Store(refresh, Make("old", 1), At(0)), Stored::kFenced);
  EXPECT_EQ(Read(cache, "k"), "-");
}

// Race 12: "there is none" across an INSERT.
TEST_P(LocalCacheContract, ANegativeFillAcrossAnInsertIsNotStored) {
  LocalCache cache = MakeCache();
  const FillToken token = cache.Begin("brand");
  cache.Invalidate("brand", 1);
  Value none = Make("", 0);
  none.negative = true;
  EXPECT_EQ(cache.Store(token, none, At(0)), Stored::kFenced);
  EXPECT_EQ(Put(cache, "brand", none), Stored::kStored);
  EXPECT_TRUE(cache.Get("brand", At(0))->negative);
}

TEST_P(LocalCacheContract, ALateInvalidationDropsNothingNewer) {
  LocalCache cache = MakeCache();
  Put(cache, "k", Make("new", 5));
  EXPECT_FALSE(cache.Invalidate("k", 4));
  EXPECT_EQ(Read(cache, "k"), "new@5");
  EXPECT_TRUE(cache.Invalidate("k", 5)) << "of the very same version it does (race 9)";
  Put(cache, "k", Make("new", 5));
  EXPECT_TRUE(cache.Invalidate("k")) << "and one without a version always";
}

TEST_P(LocalCacheContract, ClearForgetsAndFencesEverything) {
  LocalCache cache = MakeCache();
  for (int i = 0; i < 100; ++i) Put(cache, "k" + std::to_string(i), Make("v", 1));
  const FillToken token = cache.Begin("other");
  cache.Clear();
  EXPECT_EQ(cache.entries(), 0u);
  EXPECT_EQ(cache.bytes(), 0u);
  EXPECT_EQ(cache.Store(token, Make("v", 1), At(0)), Stored::kFenced);
  EXPECT_EQ(Put(cache, "k1", Make("v", 1)), Stored::kStored);
  EXPECT_EQ(Read(cache, "k1"), "v@1");
}

TEST_P(LocalCacheContract, WithoutFencesTheOldValueStays) {
  LocalCache cache = MakeCache(1 << 20, false);
  const FillToken token = cache.Begin("k");
  cache.Invalidate("k", 2);
  EXPECT_EQ(cache.Store(token, Make("old", 1), At(0)), Stored::kStored);
  EXPECT_EQ(Read(cache, "k"), "old@1");
}

TEST_P(LocalCacheContract, WhatIsLargerThanAllIsRefusedAndReplacesWhatItWouldHave) {
  LocalCache cache = MakeCache(1'000);
  Put(cache, "k", Make("v", 1));
  EXPECT_EQ(Put(cache, "k", Make(std::string(1'000, 'x'), 2)), Stored::kTooLarge);
  EXPECT_EQ(Read(cache, "k"), "-");
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST_P(LocalCacheContract, HoldsItsBytesWhateverIsStored) {
  constexpr size_t kBytes = 50'000;
  LocalCache cache = MakeCache(kBytes);
  Random random(4);
  for (int i = 0; i < 30'000; ++i) {
    const std::string key = "key-" + std::to_string(random.Below(1 + random.Below(500)));
    if (cache.Get(key, At(i)) == nullptr || random.Below(10) == 0) {
      Put(cache, key, Make(std::string(random.Below(2'000), 'x'), static_cast<uint64_t>(i), i + 3'000), i);
    }
    if (random.Below(20) == 0) cache.Invalidate(key);
    ASSERT_LE(cache.bytes(), kBytes);
  }
  EXPECT_GT(cache.bytes(), kBytes / 2);
  EXPECT_GT(cache.evictions(), 0u);
}

// Fills of any delay, writes that are told of after some time, evictions, expiries and losses: no Get may bring a
// version that a write has replaced whose invalidation has been handled.
TEST_P(LocalCacheContract, NothingInvalidatedIsEverRead) {
  struct Fill {
    FillToken token;
    uint64_t version;
  };
  for (const bool fenced : {true, false}) {
    uint64_t stale = 0, hits = 0;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      Random random(seed);
      LocalCache cache = MakeCache(6 * LocalCache::kEntryOverhead, fenced);
      std::map<std::string, uint64_t> row, told;
      std::deque<std::pair<std::string, uint64_t>> invalidations;
      std::vector<Fill> fills;
      for (int step = 0; step < 5'000; ++step) {
        const std::string key(1, static_cast<char>('a' + random.Below(12)));
        switch (random.Below(6)) {
          case 0:  // a write, of which the cache hears later, perhaps twice or out of order
            invalidations.emplace_back(key, ++row[key]);
            if (random.Below(4) == 0) invalidations.emplace_front(key, row[key]);
            break;
          case 1:
            if (invalidations.empty()) break;
            cache.Invalidate(invalidations.front().first, invalidations.front().second);
            told[invalidations.front().first] =
                std::max(told[invalidations.front().first], invalidations.front().second);
            invalidations.pop_front();
            break;
          case 2:
          case 3: {
            FillToken token = cache.Begin(key);
            fills.push_back({std::move(token), row[key]});
            break;
          }
          case 4: {
            if (fills.empty()) break;
            const size_t at = random.Below(fills.size());
            cache.Store(fills[at].token, Make("", fills[at].version, step + 500), At(step));
            fills.erase(fills.begin() + static_cast<std::ptrdiff_t>(at));
            break;
          }
          default: {
            const Value* value = cache.Get(key, At(step));
            hits += value != nullptr ? 1 : 0;
            stale += value != nullptr && value->version < told[key] ? 1 : 0;
          }
        }
      }
    }
    EXPECT_GT(hits, 500u);
    if (fenced) {
      EXPECT_EQ(stale, 0u);
    } else {
      EXPECT_GT(stale, 0u) << "this test must be able to say no";
    }
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
size_t Allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST_P(LocalCacheContract, CountsWhatItTakes) {
  for (const size_t body : {100u, 1'000u, 5'000u}) {
    const size_t before = Allocated();
    LocalCache cache = MakeCache(8 << 20);
    for (int i = 0; i < 100'000; ++i) {
      Put(cache, "insights:{brand-" + std::to_string(i) + "}:w=24h", Make(std::string(body, 'x'), 1));
    }
    EXPECT_GT(cache.evictions(), 0u);
    const double taken = static_cast<double>(Allocated() - before - (1 << 16) * sizeof(uint32_t));
    // The policies remember evicted keys as well: up to 50 bytes each.
    EXPECT_LT(taken, 1.25 * static_cast<double>(cache.bytes())) << body;
    EXPECT_GT(taken, 0.9 * static_cast<double>(cache.bytes())) << body;
  }
}
#endif

TEST(FencesTest, KeysThatShareAGenerationFenceEachOther) {
  LocalCache::Options options;
  options.generations = 1;
  LocalCache cache(options);
  const FillToken token = cache.Begin("a");
  cache.Invalidate("b");
  EXPECT_EQ(cache.Store(token, Make("v", 1), At(0)), Stored::kFenced);
}

}  // namespace
}  // namespace lab::cacheapi
