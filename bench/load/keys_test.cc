#include "bench/load/keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace lab::bench {
namespace {

constexpr int kDraws = 200'000;

KeySpec Spec(KeySpec::Kind kind, uint32_t count) {
  KeySpec spec;
  spec.kind = kind;
  spec.count = count;
  return spec;
}

std::vector<double> Shares(const KeySpec& spec, uint64_t seed = 1) {
  KeySampler sampler(spec, seed);
  std::vector<double> shares(spec.count);
  for (int i = 0; i < kDraws; ++i) shares.at(sampler.Next()) += 1.0 / kDraws;
  return shares;
}

// Five standard deviations of a binomial share.
double Tolerance(double share) { return 5 * std::sqrt(share * (1 - share) / kDraws) + 1e-9; }

TEST(KeysTest, UniformKeysAreEquallyFrequent) {
  for (const double share : Shares(Spec(KeySpec::Kind::kUniform, 40)))
    EXPECT_NEAR(share, 1 / 40.0, Tolerance(1 / 40.0));
}

TEST(KeysTest, ZipfFrequenciesFollowTheLaw) {
  for (const double exponent : {0.0, 0.5, 0.99, 1.0, 1.2, 2.0, 5.0}) {
    for (const uint32_t count : {1u, 2u, 10u, 1000u}) {
      SCOPED_TRACE(testing::Message() << "exponent " << exponent << ", keys " << count);
      KeySpec spec = Spec(KeySpec::Kind::kZipf, count);
      spec.exponent = exponent;
      double sum = 0;
      for (uint32_t key = 0; key < count; ++key) sum += std::pow(key + 1, -exponent);
      const std::vector<double> shares = Shares(spec);
      double chi_square = 0;
      for (uint32_t key = 0; key < count; ++key) {
        const double expected = std::pow(key + 1, -exponent) / sum;
        if (key < 20) {
          EXPECT_NEAR(shares[key], expected, Tolerance(expected)) << key;
        }
        if (expected * kDraws >= 5)
          chi_square += kDraws * (shares[key] - expected) * (shares[key] - expected) / expected;
      }
      EXPECT_LT(chi_square, count + 6 * std::sqrt(2.0 * count) + 1);
    }
  }
}

TEST(KeysTest, ZipfOfMillionsOfKeysStaysInRange) {
  KeySpec spec = Spec(KeySpec::Kind::kZipf, 10'000'000);
  KeySampler sampler(spec, 1);
  uint32_t largest = 0;
  for (int i = 0; i < kDraws; ++i) {
    const uint32_t key = sampler.Next();
    ASSERT_LT(key, spec.count);
    largest = std::max(largest, key);
  }
  EXPECT_GT(largest, spec.count / 2);
}

TEST(KeysTest, HotKeyHasItsShareAndTheRestIsEven) {
  KeySpec spec = Spec(KeySpec::Kind::kHot, 11);
  spec.hot_share = 0.4;
  const std::vector<double> shares = Shares(spec);
  EXPECT_NEAR(shares[0], 0.4, Tolerance(0.4));
  for (uint32_t key = 1; key < 11; ++key) EXPECT_NEAR(shares[key], 0.06, Tolerance(0.06));
  spec.hot_share = 1;
  EXPECT_NEAR(Shares(spec)[0], 1, 1e-9);
  spec.count = 1;
  spec.hot_share = 0;
  EXPECT_NEAR(Shares(spec)[0], 1, 1e-9);
}

TEST(KeysTest, SequenceGoesRound) {
  KeySampler sampler(Spec(KeySpec::Kind::kSequence, 3), 1);
  for (uint32_t i = 0; i < 10; ++i) EXPECT_EQ(sampler.Next(), i % 3);
}

TEST(KeysTest, SameSeedSameKeys) {
  const KeySpec spec = Spec(KeySpec::Kind::kZipf, 1000);
  KeySampler first(spec, 5), again(spec, 5), other(spec, 6);
  int differences = 0;
  for (int i = 0; i < 1000; ++i) {
    const uint32_t key = first.Next();
    EXPECT_EQ(key, again.Next());
    differences += key != other.Next();
  }
  EXPECT_GT(differences, 100);
}

}  // namespace
}  // namespace lab::bench
