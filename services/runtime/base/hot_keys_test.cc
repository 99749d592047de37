#include "services/runtime/base/hot_keys.h"

#include <gtest/gtest.h>

#include <map>

#include "services/runtime/base/random.h"

namespace lab {
namespace {

TEST(HotKeysTest, FindsTheHotOnesAmongMany) {
  HotKeys hot(64);
  Random random(3);
  for (int i = 0; i < 200'000; ++i) {
    const uint64_t dice = random.Below(100);
    hot.Add(dice < 10 ? "hot" : dice < 15 ? "warm" : "cold" + std::to_string(random.Below(100'000)));
  }
  const auto top = hot.Top();
  ASSERT_EQ(top.size(), 64u);
  EXPECT_EQ(top[0].key, "hot");
  EXPECT_EQ(top[1].key, "warm");
  EXPECT_GE(top[0].hits, 19'000u);
  EXPECT_LE(top[0].hits - top[0].error, 21'000u);
}

// Against exact counts that are halved at the same moments.
TEST(HotKeysTest, ItsBoundsHoldThroughDecay) {
  HotKeys hot(8);
  Random random(7);
  std::map<std::string, double> exact;
  for (int period = 0; period < 50; ++period) {
    for (int i = 0; i < 301; ++i) {
      const std::string key = "k" + std::to_string(random.Below(1 + random.Below(30)));
      hot.Add(key);
      exact[key] += 1;
    }
    hot.Halve();
    for (auto& [key, count] : exact) count /= 2;
    for (const HotKeys::Item& item : hot.Top()) {
      EXPECT_GE(static_cast<double>(item.hits), exact[item.key]) << item.key;
      EXPECT_LE(static_cast<double>(item.hits - item.error), exact[item.key]) << item.key;
    }
  }
}

TEST(HotKeysTest, ForgetsWhatWasHot) {
  HotKeys hot(4);
  for (int i = 0; i < 10'000; ++i) hot.Add("yesterday");
  for (int period = 0; period < 20; ++period) {
    for (int i = 0; i < 100; ++i) hot.Add("today");
    hot.Halve();
  }
  EXPECT_EQ(hot.Top()[0].key, "today");
  EXPECT_LE(hot.total(), 101u);
}

}  // namespace
}  // namespace lab
