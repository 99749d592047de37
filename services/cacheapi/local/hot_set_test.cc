#include "services/cacheapi/local/hot_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "services/cacheapi/model/split_key.h"
#include "services/runtime/base/random.h"

namespace lab::cacheapi {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class HotSetTest : public testing::Test {
 protected:
  // Seconds of 10,000 requests, of which `key` has `share`; the rest goes to 5,000 others.
  void Run(double seconds, const std::string& key, double share) {
    for (int i = 0; i < static_cast<int>(seconds * 10'000); ++i) {
      now_ += Micros(100);
      const bool hot = random_.Uniform() < share;
      set_.Observe(hot ? key : "cold" + std::to_string(random_.Below(5'000)), random_.Next(), now_);
    }
  }
  HotSet set_{{}};  // hot from 10 %, no more below 5 %
  Random random_{1};
  Clock::time_point now_ = Clock::time_point(std::chrono::hours(1));
};

TEST_F(HotSetTest, FindsAHotKeyWithinTwoPeriods) {
  Run(3, "hot", 0);
  EXPECT_THAT(set_.Keys(), IsEmpty());
  Run(2.1, "hot", 0.3);
  EXPECT_THAT(set_.Keys(), ElementsAre("hot"));
  EXPECT_TRUE(set_.IsHot("hot"));
  EXPECT_FALSE(set_.IsHot("cold1"));
}

TEST_F(HotSetTest, StaysHotDownToTheLowerBound) {
  Run(4, "k", 0.07);
  EXPECT_FALSE(set_.IsHot("k")) << "between the bounds, coming from below";
  Run(4, "k", 0.2);
  EXPECT_TRUE(set_.IsHot("k"));
  Run(8, "k", 0.07);
  EXPECT_TRUE(set_.IsHot("k")) << "between the bounds, coming from above";
  Run(8, "k", 0.02);
  EXPECT_FALSE(set_.IsHot("k"));
}

TEST_F(HotSetTest, ForgetsAfterASilence) {
  Run(3, "k", 0.5);
  EXPECT_TRUE(set_.IsHot("k"));
  now_ += std::chrono::minutes(10);
  Run(0.1, "other", 0.5);
  EXPECT_FALSE(set_.IsHot("k"));
}

TEST_F(HotSetTest, AFewRequestsMakeNothingHot) {
  for (int i = 0; i < 40; ++i) set_.Observe("k", 0, now_ += Millis(100));
  EXPECT_THAT(set_.Keys(), IsEmpty()) << "all of 40 requests, but 40 say little";
}

TEST_F(HotSetTest, LooksAtASampleOnly) {
  for (int i = 0; i < 100'000; ++i) set_.Observe("k", 1, now_ += Millis(1));
  EXPECT_FALSE(set_.IsHot("k"));
}

TEST(SplitKeyTest, CopiesHaveNamesOfTheirOwn) {
  EXPECT_EQ(SplitKey("k", 0), "k#0");
  EXPECT_EQ(SplitKey("k", 15), "k#15");
  EXPECT_THAT(KeyAndCopies("k", 3), ElementsAre("k", "k#0", "k#1", "k#2"));
  EXPECT_THAT(KeyAndCopies("k", 0), ElementsAre("k"));
}

TEST(SplitKeyTest, ACopyIsKnownForWhatItIs) {
  for (const std::string key : {"k", "insights:{acme}:w=24h"}) {
    EXPECT_EQ(WithoutCopy(key), key);
    EXPECT_EQ(WithoutCopy(SplitKey(key, 0)), key);
    EXPECT_EQ(WithoutCopy(SplitKey(key, 12)), key);
  }
}

TEST(SplitKeyTest, TheNumberGoesIntoTheHashTag) {
  EXPECT_EQ(SplitKey("insights:{acme}:w=24h", 2), "insights:{acme#2}:w=24h");
  EXPECT_EQ(SplitKey("a{b}c{d}", 1), "a{b#1}c{d}") << "the first one counts";
  EXPECT_EQ(SplitKey("a{}b", 1), "a{}b#1") << "an empty tag is none";
  EXPECT_EQ(SplitKey("a{b", 1), "a{b#1");
  EXPECT_EQ(SplitKey("}a{b}", 1), "}a{b#1}");
}

}  // namespace
}  // namespace lab::cacheapi
