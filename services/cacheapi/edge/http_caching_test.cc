#include "services/cacheapi/edge/http_caching.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "services/runtime/base/random.h"

namespace lab::cacheapi {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

constexpr Clock::time_point kStart{std::chrono::hours(1000)};

// The number behind "name=" in a Cache-Control, or 0.
int64_t Directive(const std::string& cache_control, const std::string& name) {
  const size_t at = cache_control.find(name + "=");
  return at == std::string::npos ? 0 : std::stoll(cache_control.substr(at + name.size() + 1));
}

// A cache between us and a client, as the RFCs have it: what it holds since `received` it serves while
// current_age < max-age, and for stale-while-revalidate beyond that. It takes no time to receive.
class Downstream {
 public:
  Downstream(const CacheHeaders& headers, Clock::time_point received)
      : age_(seconds(std::stoll(headers.age))),
        max_age_(seconds(Directive(headers.cache_control, "max-age"))),
        swr_(seconds(Directive(headers.cache_control, "stale-while-revalidate"))),
        received_(received) {}
  Nanos CurrentAge(Clock::time_point now) const { return age_ + (now - received_); }
  bool Fresh(Clock::time_point now) const { return CurrentAge(now) < max_age_; }
  bool Serves(Clock::time_point now) const { return CurrentAge(now) < max_age_ + swr_; }
  // What it hands on: the same directives, with its own age in whole seconds.
  CacheHeaders Forward(const CacheHeaders& headers, Clock::time_point now) const {
    const Nanos up = CurrentAge(now) + seconds(1) - Nanos(1);
    return {std::to_string(std::chrono::duration_cast<seconds>(up).count()), headers.cache_control};
  }

 private:
  const Nanos age_, max_age_, swr_;
  const Clock::time_point received_;
};

Value Keeping(Nanos lifetime) {
  Value value;
  value.written_at = kStart;
  value.fresh_until = value.expiry = kStart + lifetime;
  return value;
}

CacheHeaders At(const Value& value, Nanos swr, Nanos after) { return HeadersOf(FactsOf(value, swr, kStart + after)); }

TEST(HttpCachingTest, MaxAgeIsTheWholeLifetimeWhateverTheAge) {
  const Value value = Keeping(seconds(60));
  for (const int after : {0, 1, 30, 59, 60, 61, 500}) {
    const CacheHeaders headers = At(value, Nanos(0), seconds(after));
    EXPECT_EQ(headers.age, std::to_string(after));
    EXPECT_EQ(headers.cache_control, "max-age=60");
  }
}

TEST(HttpCachingTest, WhatIsLeftOfStaleWhileRevalidateIsToldOnce) {
  const Value value = Keeping(seconds(60));
  for (const int after : {0, 59, 60, 90, 119}) {
    const Downstream cache(At(value, seconds(60), seconds(after)), kStart + seconds(after));
    EXPECT_TRUE(cache.Serves(kStart + seconds(120) - Millis(1))) << after;
    EXPECT_FALSE(cache.Serves(kStart + seconds(120))) << after;
  }
  EXPECT_THAT(At(value, seconds(60), seconds(120)).cache_control, Not(HasSubstr("stale-while-revalidate")));
  EXPECT_THAT(At(value, seconds(60), seconds(700)).cache_control, Not(HasSubstr("stale-while-revalidate")));
  EXPECT_THAT(At(value, Nanos(0), seconds(1)).cache_control, Not(HasSubstr("stale-while-revalidate")));
}

TEST(HttpCachingTest, ThatThereIsNoneIsNeverServedStale) {
  Value value = Keeping(seconds(5));
  value.negative = true;
  EXPECT_EQ(At(value, seconds(60), seconds(1)).cache_control, "max-age=5");
}

// Of the future, as after a jump of the clock: stale, of no age.
TEST(HttpCachingTest, WhatIsOfTheFutureIsStale) {
  Value value = Keeping(seconds(60));
  value.written_at = value.fresh_until = kStart + seconds(5);
  EXPECT_EQ(HeadersOf(FactsOf(value, Nanos(0), kStart + seconds(5))).cache_control, "max-age=0");
  value.written_at = kStart + seconds(9);
  const CacheFacts facts = FactsOf(value, Nanos(0), kStart + seconds(5));
  EXPECT_EQ(facts.age, Nanos(0));
  EXPECT_EQ(facts.lifetime, Nanos(0));
}

// Whatever the times: one cache, or one behind another, never serves longer than we would ourselves, and less than a
// second less.
TEST(HttpCachingTest, NoCacheServesBeyondLifetimeAndStaleTime) {
  Random random(20);
  const auto up_to = [&](Nanos most) {
    return Nanos(static_cast<int64_t>(random.Below(static_cast<uint64_t>(most.count()))));
  };
  for (int round = 0; round < 20'000; ++round) {
    const Nanos lifetime = up_to(seconds(10)), swr = round % 3 == 0 ? Nanos(0) : up_to(seconds(10));
    const Value value = Keeping(lifetime);
    const Clock::time_point stale_at = kStart + lifetime, over_at = stale_at + swr;
    const Clock::time_point answered = kStart + up_to(seconds(25));
    const CacheHeaders headers = HeadersOf(FactsOf(value, swr, answered));
    const Downstream first(headers, answered);
    const Clock::time_point forwarded = answered + up_to(seconds(5));
    const Downstream second(first.Forward(headers, forwarded), forwarded);
    for (int i = 0; i < 10; ++i) {
      const Clock::time_point asked = forwarded + up_to(seconds(25));
      for (const Downstream* cache : {&first, &second}) {
        EXPECT_TRUE(asked < stale_at || !cache->Fresh(asked));
        EXPECT_TRUE(asked < over_at || !cache->Serves(asked));
      }
    }
    EXPECT_TRUE(stale_at - answered <= seconds(1) || first.Fresh(stale_at - seconds(1)));
    EXPECT_TRUE(over_at - answered <= seconds(1) || first.Serves(over_at - seconds(1)));
    ASSERT_FALSE(HasFailure()) << "round " << round << ": Age: " << headers.age << ", " << headers.cache_control;
  }
}

TEST(EntityTagTest, MovesWithVersionWindowAndBody) {
  Value value;
  value.version = 12;
  value.body = "{\"posts\":3}";
  const std::string tag = EntityTag(value, Window::kDay);
  EXPECT_THAT(tag, testing::MatchesRegex("W/\"v12-24h-[0-9a-f]{8}\""));
  EXPECT_EQ(EntityTag(value, Window::kDay), tag);
  EXPECT_NE(EntityTag(value, Window::kHour), tag);
  Value moved = value;
  moved.body = "{\"posts\":2}";
  EXPECT_NE(EntityTag(moved, Window::kDay), tag) << "the window has moved on, the version has not";
  moved = value;
  moved.version = 13;
  EXPECT_NE(EntityTag(moved, Window::kDay), tag);
}

TEST(EntityTagTest, IsFoundInAListByWeakComparison) {
  constexpr char kTag[] = "W/\"a,b\"";
  for (const char* names : {"W/\"a,b\"", "\"a,b\"", "*", " * ", "\"x\", W/\"a,b\"", "\"x\",\"y\" ,\t\"a,b\"",
                            ",, \"a,b\",", "junk, \"a,b\"", "W/junk, \"a,b\"", "\"x\"\"a,b\""}) {
    EXPECT_TRUE(Matches(names, kTag)) << names;
  }
  for (const char* others : {"", ",", " ", "\"a\"", "\"b\"", "a,b", "w/\"a,b\"", "\"x\", *", "W/", "\"a,b", "\"A,B\"",
                             "\"W/\"a,b\"\"", "\"x\", \"y"}) {
    EXPECT_FALSE(Matches(others, kTag)) << others;
  }
}

}  // namespace
}  // namespace lab::cacheapi
