#include "services/runtime/eviction/eviction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/runtime/base/random.h"
#include "services/runtime/eviction/frequency_sketch.h"
#include "services/runtime/eviction/s3fifo.h"
#include "services/runtime/eviction/tinylfu.h"

namespace lab::eviction {
namespace {

struct Item : EvictionItem {
  uint64_t key = 0;
};

// A cache of keys around a policy, as its contract wants it driven.
class Driver {
 public:
  Driver(EvictionKind kind, size_t capacity) : Driver(MakeEviction(kind, capacity), capacity) {}
  Driver(std::unique_ptr<Eviction> policy, size_t capacity) : capacity_(capacity), policy_(std::move(policy)) {}

  bool Has(uint64_t key) const { return items_.contains(key); }
  bool Ask(uint64_t key, size_t weight = 1) {
    if (const auto found = items_.find(key); found != items_.end()) {
      policy_->Use(*found->second);
      return true;
    }
    auto item = std::make_unique<Item>();
    item->key = key;
    item->hash = Mix(key);
    item->weight = weight;
    policy_->Add(*item);
    items_.emplace(key, std::move(item));
    MakeRoom();
    return false;
  }
  void Remove(uint64_t key) {
    policy_->Remove(*items_.at(key));
    items_.erase(key);
  }
  void Reweigh(uint64_t key, size_t weight) {
    Item& item = *items_.at(key);
    const size_t before = item.weight;
    item.weight = weight;
    policy_->Reweigh(item, before);
    MakeRoom();
  }
  size_t weight() const { return policy_->weight(); }
  size_t SumOfWeights() const {
    size_t sum = 0;
    for (const auto& [key, item] : items_) sum += item->weight;
    return sum;
  }
  size_t size() const { return items_.size(); }
  uint64_t AnyKey(Random& random) const {
    return std::next(items_.begin(), static_cast<std::ptrdiff_t>(random.Below(items_.size())))->first;
  }

 private:
  void MakeRoom() {
    while (policy_->weight() > capacity_) {
      const auto& victim = static_cast<Item&>(policy_->Evict());
      ASSERT_EQ(items_.erase(victim.key), 1u);
    }
  }

  const size_t capacity_;
  std::unique_ptr<Eviction> policy_;
  std::map<uint64_t, std::unique_ptr<Item>> items_;
};

class EvictionContract : public testing::TestWithParam<EvictionKind> {};

INSTANTIATE_TEST_SUITE_P(Policies, EvictionContract, testing::ValuesIn(kEvictionKinds),
                         [](const auto& test) { return std::string(Name(test.param)); });

TEST_P(EvictionContract, KeepsEverythingThatFits) {
  Driver driver(GetParam(), 100);
  for (int round = 0; round < 3; ++round) {
    for (uint64_t key = 0; key < 100; ++key) EXPECT_EQ(driver.Ask(key), round > 0) << key;
  }
}

TEST_P(EvictionContract, WeighsWhatItHoldsAndKeepsTheBound) {
  for (const size_t capacity : {1u, 2u, 3u, 10u, 99u, 1000u}) {
    Driver driver(GetParam(), capacity);
    Random random(capacity);
    for (int step = 0; step < 20'000; ++step) {
      const uint64_t dice = random.Below(100);
      if (driver.size() > 0 && dice < 5) {
        driver.Remove(driver.AnyKey(random));
      } else if (driver.size() > 0 && dice < 15) {
        driver.Reweigh(driver.AnyKey(random), 1 + random.Below(std::min<size_t>(capacity, 20)));
      } else {
        driver.Ask(random.Below(1 + random.Below(300)), 1 + random.Below(std::min<size_t>(capacity, 20)));
      }
      ASSERT_LE(driver.weight(), capacity);
      if (step % 100 == 0) {
        ASSERT_EQ(driver.weight(), driver.SumOfWeights());
      }
    }
    if (capacity >= 99) {
      EXPECT_GT(driver.weight(), capacity / 2) << "what could be used is used";
    }
  }
}

TEST_P(EvictionContract, TheSameCallsGiveTheSameVictims) {
  Driver one(GetParam(), 50), other(GetParam(), 50);
  Random random(5);
  for (int step = 0; step < 10'000; ++step) {
    const uint64_t key = random.Below(1 + random.Below(200));
    ASSERT_EQ(one.Ask(key), other.Ask(key)) << step;
  }
}

TEST_P(EvictionContract, HasANameThatIsReadBack) {
  EXPECT_EQ(EvictionKindOf(Name(GetParam())), GetParam());
  EXPECT_FALSE(EvictionKindOf("fifo").has_value());
}

// Against a list that is searched from its beginning.
TEST(LruTest, IsTheNaiveOne) {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    Random random(seed);
    constexpr size_t kCapacity = 60;
    Driver driver(EvictionKind::kLru, kCapacity);
    std::vector<std::pair<uint64_t, size_t>> naive;  // most recent first
    for (int step = 0; step < 20'000; ++step) {
      const uint64_t key = random.Below(1 + random.Below(100));
      const size_t weight = 1 + random.Below(5);
      const auto found = std::find_if(naive.begin(), naive.end(), [&](const auto& each) { return each.first == key; });
      const bool hit = found != naive.end();
      if (hit && random.Below(20) == 0) {
        naive.erase(found);
        driver.Remove(key);
        continue;
      }
      if (hit) {
        std::rotate(naive.begin(), found, found + 1);
      } else {
        naive.insert(naive.begin(), {key, weight});
      }
      size_t sum = 0, kept = 0;
      while (kept < naive.size() && sum + naive[kept].second <= kCapacity) sum += naive[kept++].second;
      naive.resize(kept);
      ASSERT_EQ(driver.Ask(key, weight), hit) << "step " << step << ", seed " << seed;
      ASSERT_EQ(driver.size(), naive.size());
      ASSERT_EQ(driver.weight(), sum);
    }
  }
}

// Both keep what is used while a scan of keys that never return goes by; LRU loses it.
TEST(ScanTest, OnlyLruIsEmptiedByAScan) {
  for (const EvictionKind kind : kEvictionKinds) {
    Driver driver(kind, 100);
    for (int round = 0; round < 10; ++round) {
      for (uint64_t key = 0; key < 50; ++key) driver.Ask(key);
    }
    for (uint64_t key = 1'000; key < 2'000; ++key) driver.Ask(key);
    size_t kept = 0;
    for (uint64_t key = 0; key < 50; ++key) kept += driver.Has(key) ? 1 : 0;
    if (kind == EvictionKind::kLru) {
      EXPECT_EQ(kept, 0u);
    } else {
      EXPECT_GE(kept, 45u) << Name(kind);
    }
  }
}

TEST(S3FifoTest, WhoComesBackSoonGoesToTheMainQueueAndStays) {
  Driver driver(EvictionKind::kS3Fifo, 10);  // one place in the small queue, nine in the main one
  for (uint64_t key = 0; key < 11; ++key) driver.Ask(key);
  EXPECT_FALSE(driver.Has(0)) << "first in, first out";
  driver.Ask(0);  // by its ghost
  for (uint64_t key = 100; key < 200; ++key) driver.Ask(key);
  EXPECT_TRUE(driver.Has(0)) << "the scan passes through the small queue";
  EXPECT_FALSE(driver.Has(10));
}

TEST(S3FifoTest, OneUseInTheSmallQueueIsNotEnough) {
  Driver driver(EvictionKind::kS3Fifo, 10);
  driver.Ask(1);
  driver.Ask(1);
  driver.Ask(2);
  driver.Ask(2);
  driver.Ask(2);
  for (uint64_t key = 100; key < 150; ++key) driver.Ask(key);
  EXPECT_FALSE(driver.Has(1));
  EXPECT_TRUE(driver.Has(2));
}

// Keys that are asked for again soon, and then never: frequency says nothing, and a window of 1 % forgets them.
TEST(TinyLfuTest, ItsWindowGrowsWhereKeysComeBackSoon) {
  uint64_t hits[2] = {};
  for (const bool adaptive : {false, true}) {
    constexpr size_t kCapacity = 200;
    auto policy = std::make_unique<TinyLfu>(kCapacity, adaptive);
    const TinyLfu& tinylfu = *policy;
    EXPECT_EQ(tinylfu.window_capacity(), kCapacity / 100);
    Driver driver(std::move(policy), kCapacity);
    Random random(12);
    for (uint64_t request = 0; request < 200'000; ++request) {
      const uint64_t latest = request / 3;
      hits[adaptive ? 1 : 0] += driver.Ask(latest - std::min(latest, random.Below(60))) ? 1 : 0;
    }
    EXPECT_EQ(tinylfu.window_capacity() > kCapacity / 10, adaptive) << tinylfu.window_capacity();
  }
  EXPECT_GT(hits[1], hits[0] + 20'000);
}

TEST(TinyLfuTest, ItsWindowStaysSmallWhereAFewKeysComeOften) {
  constexpr size_t kCapacity = 200;
  auto policy = std::make_unique<TinyLfu>(kCapacity);
  const TinyLfu& tinylfu = *policy;
  Driver driver(std::move(policy), kCapacity);
  Random random(13);
  uint64_t once = 1'000'000, hits = 0;
  for (int request = 0; request < 300'000; ++request) {
    hits += driver.Ask(random.Below(2) == 0 ? random.Below(190) : once++) ? 1 : 0;
  }
  EXPECT_LT(tinylfu.window_capacity(), kCapacity / 2);
  EXPECT_GT(hits, 300'000u * 4 / 10) << "of the half that can hit";
}

TEST(GhostQueueTest, RemembersTheLatestUpToItsWeight) {
  GhostQueue ghosts(10);
  for (uint64_t hash = 1; hash <= 5; ++hash) ghosts.Add(hash, 3);
  EXPECT_EQ(ghosts.weight(), 9u);
  EXPECT_FALSE(ghosts.Take(2));
  EXPECT_TRUE(ghosts.Take(4));
  EXPECT_FALSE(ghosts.Take(4)) << "only once";
  ghosts.Add(3, 1);  // again: the youngest now, with another weight
  EXPECT_EQ(ghosts.weight(), 4u);
  ghosts.Add(6, 7);
  EXPECT_TRUE(ghosts.Take(3));
  EXPECT_FALSE(ghosts.Take(5));
  ghosts.Add(7, 11);
  EXPECT_FALSE(ghosts.Take(7)) << "heavier than all";
  EXPECT_TRUE(ghosts.Take(6));
  EXPECT_EQ(ghosts.size(), 0u);
  EXPECT_EQ(ghosts.weight(), 0u);
}

TEST(GhostQueueTest, ItsPlacesAreUsedAgain) {
  GhostQueue ghosts(100);
  Random random(1);
  for (int step = 0; step < 100'000; ++step) {
    const uint64_t hash = random.Below(300);
    if (random.Below(2) == 0) {
      ghosts.Add(hash, 1);
    } else {
      ghosts.Take(hash);
    }
    ASSERT_LE(ghosts.size(), 100u);
    ASSERT_EQ(ghosts.weight(), ghosts.size());
  }
}

TEST(FrequencySketchTest, NeverCountsTooFewAndSeldomTooMany) {
  FrequencySketch sketch(1024);
  std::map<uint64_t, uint32_t> exact;
  Random random(9);
  for (int i = 0; i < 8'000; ++i) {  // before it is halved
    const uint64_t key = random.Below(1 + random.Below(1'024));
    sketch.Count(Mix(key));
    ++exact[key];
  }
  int wrong = 0;
  for (const auto& [key, count] : exact) {
    const uint32_t estimate = sketch.Estimate(Mix(key));
    ASSERT_GE(estimate, std::min(count, FrequencySketch::kMost));
    wrong += estimate > count ? 1 : 0;
  }
  EXPECT_LT(wrong, 20) << "of " << exact.size();
}

TEST(FrequencySketchTest, Forgets) {
  FrequencySketch sketch(64);
  for (int i = 0; i < 15; ++i) sketch.Count(Mix(1));
  EXPECT_EQ(sketch.Estimate(Mix(1)), 15u);
  for (uint64_t key = 100; key < 4'100; ++key) sketch.Count(Mix(key));
  EXPECT_LE(sketch.Estimate(Mix(1)), 4u);
}

TEST(FrequencySketchTest, KeepsItsCountsWhenItGrows) {
  FrequencySketch sketch(64);
  for (uint64_t key = 0; key < 20; ++key) {
    for (uint64_t i = 0; i <= key % 10; ++i) sketch.Count(Mix(key));
  }
  sketch.Reserve(5'000);
  for (uint64_t key = 0; key < 20; ++key) EXPECT_GE(sketch.Estimate(Mix(key)), key % 10 + 1) << key;
  uint64_t others = 0;
  for (uint64_t key = 1'000; key < 2'000; ++key) others += sketch.Estimate(Mix(key));
  EXPECT_LT(others, 100u);
}

}  // namespace
}  // namespace lab::eviction
