#include "bench/micro/paired.h"

#include <gtest/gtest.h>

#include <string>

namespace lab::bench {
namespace {

TEST(QuartilesTest, LieBetweenTheValues) {
  const Quartiles quartiles = QuartilesOf({5, 1, 3, 2, 4});
  EXPECT_EQ(quartiles.low, 2);
  EXPECT_EQ(quartiles.median, 3);
  EXPECT_EQ(quartiles.high, 4);
  EXPECT_EQ(Median({4, 1}), 2.5);
  EXPECT_EQ(Median({}), 0);
}

TEST(QuartilesTest, TellWhetherABoundIsReachedAndHowSurely) {
  const Quartiles values = {2, 3, 4};
  EXPECT_STREQ(AtLeast(values, 2), "yes");
  EXPECT_STREQ(AtLeast(values, 3), "yes?");
  EXPECT_STREQ(AtLeast(values, 4), "NO?");
  EXPECT_STREQ(AtLeast(values, 4.1), "NO");
  EXPECT_STREQ(AtMost(values, 4), "yes");
  EXPECT_STREQ(AtMost(values, 3), "yes?");
  EXPECT_STREQ(AtMost(values, 2), "NO?");
  EXPECT_STREQ(AtMost(values, 1.9), "NO");
}

TEST(PairedTest, WhoIsFirstAlternates) {
  std::string order;
  const auto say = [&](char name) {
    return [&order, name] {
      order += name;
      return absl::OkStatus();
    };
  };
  ASSERT_TRUE(Alternate(3, say('b'), say('o')).ok());
  EXPECT_EQ(order, "boobbo");
}

TEST(PairedTest, TheFirstErrorEndsIt) {
  int calls = 0;
  const absl::Status status = Alternate(
      3, [] { return absl::OkStatus(); },
      [&] { return ++calls == 2 ? absl::InternalError("broken") : absl::OkStatus(); });
  EXPECT_EQ(status, absl::InternalError("broken"));
  EXPECT_EQ(calls, 2);
  const auto fail = [] { return absl::InternalError("at once"); };
  EXPECT_FALSE(Alternate(1, fail, [] { return absl::OkStatus(); }).ok());
  EXPECT_FALSE(Alternate(
                   1, [] { return absl::OkStatus(); }, fail)
                   .ok());
}

// The machine halves its speed after the first pair: ratios of pairs do not see it, a ratio of medians would.
TEST(PairedTest, RatiosAreOfPairs) {
  EXPECT_EQ(Ratios({80, 40, 40}, {100, 50, 50}), (std::vector<double>{0.8, 0.8, 0.8}));
}

}  // namespace
}  // namespace lab::bench
