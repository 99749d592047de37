#include "services/cacheapi/filter/bloom.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>

namespace lab::cacheapi {
namespace {

TEST(BloomTest, DeniesNothingThatWasAdded) {
  BloomFilter filter(10'000, 0.01);
  for (int i = 0; i < 10'000; ++i) filter.Add("brand-" + std::to_string(i));
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(filter.MayContain("brand-" + std::to_string(i))) << i;
}

TEST(BloomTest, AnEmptyOneLetsNothingPass) {
  const BloomFilter filter(1, 0.01);
  EXPECT_FALSE(filter.MayContain("brand"));
  EXPECT_FALSE(filter.MayContain(""));
  EXPECT_EQ(filter.ExpectedFalsePositives(0), 0);
}

// Other processes, and a script, compute the same.
TEST(BloomTest, HashesAndPlacesAreThoseOfEveryBuild) {
  const BloomHash hash("acme");
  EXPECT_LT(hash.first, uint64_t{1} << 48);
  EXPECT_LT(hash.step, uint64_t{1} << 44);
  EXPECT_EQ(hash.step % 2, 1u);
  BloomFilter filter(std::string(8, '\0'), 1);
  filter.Add(hash);
  const size_t place = hash.first % 64;
  std::string bytes(8, '\0');
  bytes[place / 8] = static_cast<char>(0x80 >> (place % 8));
  EXPECT_EQ(filter.bytes(), bytes) << "as SETBIT lays them";
}

TEST(BloomTest, BitsOfAnotherOneDenyTheSame) {
  BloomFilter one(100, 0.01);
  one.Add("acme");
  const BloomFilter other(std::string(one.bytes()), one.hashes());
  EXPECT_TRUE(other.MayContain("acme"));
  EXPECT_FALSE(other.MayContain("nobody"));
  EXPECT_TRUE(BloomFilter("", 7).MayContain("nobody")) << "of nothing: denies nothing";
}

TEST(BloomTest, HashesThatSomebodyElseSaysAreBounded) {
  BloomFilter filter(std::string(8, '\xff'), SIZE_MAX);
  EXPECT_EQ(filter.hashes(), BloomFilter::kMostHashes);
  EXPECT_TRUE(filter.MayContain("acme"));
  EXPECT_EQ(BloomFilter(std::string(8, '\0'), 0).hashes(), 1u);
  EXPECT_FALSE(BloomFilter(std::string(8, '\0'), 0).MayContain("nobody"));
}

// 1.44 log2(1 / p) bits a key and log2(1 / p) hashes: Bloom's optimum.
TEST(BloomTest, IsAsLargeAsTheorySays) {
  const BloomFilter filter(1'000'000, 0.01);
  EXPECT_NEAR(static_cast<double>(filter.bits()), 9.585e6, 1e3);
  EXPECT_EQ(filter.hashes(), 7u);
  EXPECT_EQ(BloomFilter(1'000, 0.001).hashes(), 10u);
  EXPECT_EQ(BloomFilter(1'000, 5).hashes(), 1u) << "clamped to one half";
  EXPECT_EQ(BloomFilter(0, 0).hashes(), 30u) << "clamped to 1e-9 and one key";
}

// Measured over keys that were not added, within five standard deviations of theory, at the load it is made for, below
// it and beyond it.
TEST(BloomTest, FalsePositivesAreThoseOfTheory) {
  for (const double wanted : {0.1, 0.01, 0.001}) {
    constexpr size_t kKeys = 50'000, kProbes = 400'000;
    BloomFilter filter(kKeys, wanted);
    size_t added = 0;
    for (const size_t load : {kKeys / 2, kKeys, 2 * kKeys}) {
      for (; added < load; ++added) filter.Add("in-" + std::to_string(added));
      size_t passed = 0;
      for (size_t i = 0; i < kProbes; ++i) passed += filter.MayContain("out-" + std::to_string(i)) ? 1 : 0;
      const double expected = filter.ExpectedFalsePositives(load) * kProbes;
      // Double hashing and one filter's own luck add a few percent.
      EXPECT_NEAR(static_cast<double>(passed), expected, 5 * std::sqrt(expected) + 0.05 * expected)
          << "p " << wanted << ", " << load << " keys";
      if (load == kKeys) {
        EXPECT_NEAR(filter.ExpectedFalsePositives(load), wanted, 0.05 * wanted);
        EXPECT_NEAR(filter.FalsePositivesByBits(), wanted, 0.1 * wanted);
      }
    }
  }
}

}  // namespace
}  // namespace lab::cacheapi
