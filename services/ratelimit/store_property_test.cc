// The same random requests at the same times through memory and through Redis: decisions, remaining, reset and retry
// must be equal, bit for bit. And a group of n must be what n single requests are.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "services/ratelimit/store_testing.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"

namespace lab::ratelimit {
namespace {

bool operator==(const TermResult& a, const TermResult& b) {
  return a.passed == b.passed && a.remaining == b.remaining && a.reset_after_us == b.reset_after_us &&
         a.retry_after_us == b.retry_after_us;
}

std::string Text(const TestAnswer& answer) {
  std::string text = answer.passed ? "passed" : "denied";
  for (const TermResult& term : answer.terms) {
    text += " [" + std::string(term.passed ? "room" : "full") + " remaining " + std::to_string(term.remaining) +
            " reset " + std::to_string(term.reset_after_us) + " retry " + std::to_string(term.retry_after_us) + "]";
  }
  return text;
}

// Random requests over few keys, so that limits are met; odd windows and rates, so that nothing divides evenly.
class Traffic {
 public:
  explicit Traffic(uint64_t seed) : random_(seed) {
    const std::vector<Algorithm> algorithms = {Algorithm::kFixedWindow, Algorithm::kSlidingLog,
                                               Algorithm::kSlidingCounter, Algorithm::kTokenBucket, Algorithm::kGcra};
    for (size_t i = 0; i < 10; ++i) {
      const Algorithm algorithm = algorithms[i % 5];
      const bool bucket = i % 5 >= 3;
      const auto requests = static_cast<uint32_t>(1 + random_.Below(i < 5 ? 7 : 90));
      const auto window = static_cast<int64_t>(1'000 + random_.Below(7 * kSecondUs));
      limits_.push_back(MakeLimit(algorithm, requests, window, bucket ? 1 + random_.Below(2 * requests) : 0).value());
    }
    // The largest limits there are: sums and products beyond 32 bits, and some beyond the 53 of a double.
    for (const Algorithm algorithm : {Algorithm::kFixedWindow, Algorithm::kSlidingCounter, Algorithm::kTokenBucket}) {
      limits_.push_back(MakeLimit(algorithm, ~uint32_t{0}, 5 * kSecondUs + 7).value());
    }
    limits_.push_back(MakeLimit(Algorithm::kGcra, ~uint32_t{0}, 5'000 * kSecondUs).value());
    limits_[7].count_rejected = true;  // a sliding counter: the broken variant must be the same on both, too
  }

  void Step() {
    const uint64_t kind = random_.Below(100);
    if (kind < 20) return;  // the same moment
    if (kind < 70)
      now_ += static_cast<int64_t>(random_.Below(200'000));
    else if (kind < 90)
      now_ += static_cast<int64_t>(random_.Exponential(2e6));
    else if (kind < 94)
      now_ -= static_cast<int64_t>(random_.Below(300'000));  // the clock steps back
    else if (kind < 95)
      now_ -= static_cast<int64_t>(random_.Below(20 * kSecondUs));
    else
      now_ = now_ - now_ % kSecondUs + kSecondUs;  // just on an edge
  }

  void Fill(Batch& batch) {
    batch.Clear();
    batch.now = now_;
    const uint64_t groups = 1 + random_.Below(4);
    for (uint64_t g = 0; g < groups; ++g) {
      batch.AddGroup().count = random_.Below(3) == 0 ? 1 + static_cast<uint32_t>(random_.Below(12)) : 1;
      const uint64_t terms = random_.Below(3) == 0 ? 1 + random_.Below(4) : 1;
      const uint64_t offset = random_.Below(limits_.size());
      for (uint64_t t = 0; t < terms; ++t) {  // different limits, hence different keys: one request names a key once
        const size_t at = (offset + t) % limits_.size();
        const uint64_t usual = 1 + random_.Below(at < 10 ? 5 : limits_[at].requests / 3);
        const uint64_t hits = random_.Below(20) == 0 ? (random_.Below(2) ? 0 : kMaxHits) : usual;
        batch.AddTerm(Concat("k", at, "-", random_.Below(3)), {&limits_[at], hits, random_.Below(5) == 0});
      }
    }
  }

  const Limit& limit(size_t i) const { return limits_[i]; }

 private:
  Random random_;
  std::vector<Limit> limits_;
  UnixMicros now_ = kTestEpoch;
};

TEST(StorePropertyTest, MemoryAndRedisGiveEqualAnswers) {
  RedisUnderTest redis;
  for (const uint64_t seed : {1, 2, 3, 4, 5, 6}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    redis.server.Command({"FLUSHALL"});
    MemoryUnderTest memory;
    Traffic traffic(seed);
    Batch in_memory, in_redis;
    size_t passed = 0, denied = 0;
    for (int i = 0; i < 1'500; ++i) {
      traffic.Step();
      traffic.Fill(in_memory);
      in_redis = in_memory;
      ASSERT_TRUE(memory.Run(in_memory).ok());
      const absl::Status status = redis.Run(in_redis);
      ASSERT_TRUE(status.ok()) << status;
      const auto expected = Answers(in_memory);
      const auto got = Answers(in_redis);
      ASSERT_EQ(expected.size(), got.size());
      for (size_t n = 0; n < got.size(); ++n) {
        const bool equal = expected[n].passed == got[n].passed &&
                           std::equal(expected[n].terms.begin(), expected[n].terms.end(), got[n].terms.begin(),
                                      [](const TermResult& a, const TermResult& b) { return a == b; });
        ASSERT_TRUE(equal) << "step " << i << " request " << n << "\nmemory " << Text(expected[n]) << "\nredis  "
                           << Text(got[n]);
        ++(got[n].passed ? passed : denied);
      }
    }
    EXPECT_GT(passed, 500u);  // the traffic must ask both questions
    EXPECT_GT(denied, 500u);
  }
}

// On Redis, where the group is counted at once; the store in memory goes through it one by one already.
TEST(StorePropertyTest, AGroupIsWhatItsRequestsAreOneByOne) {
  RedisUnderTest redis;
  for (const uint64_t seed : {11, 12, 13}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    redis.server.Command({"FLUSHALL"});
    Traffic traffic(seed);
    Batch grouped;
    for (int i = 0; i < 700; ++i) {
      traffic.Step();
      traffic.Fill(grouped);
      Batch single;  // the same requests, each a group of its own, on keys of their own
      single.now = grouped.now;
      for (const Batch::Group& group : grouped.groups) {
        for (uint32_t n = 0; n < group.count; ++n) {
          single.AddGroup();
          for (uint32_t t = group.first; t < group.first + group.size; ++t) {
            single.AddTerm("single-" + std::string(grouped.key(t)), grouped.terms[t]);
          }
        }
      }
      ASSERT_TRUE(redis.Run(grouped).ok());
      ASSERT_TRUE(redis.Run(single).ok());
      const auto expected = Answers(single);
      const auto got = Answers(grouped);
      ASSERT_EQ(expected.size(), got.size());
      for (size_t n = 0; n < got.size(); ++n) {
        ASSERT_EQ(Text(expected[n]), Text(got[n])) << "step " << i << " request " << n;
      }
    }
  }
}

TEST(StorePropertyTest, StatesInRedisDoNotOutliveTheirWorthByMuch) {
  RedisUnderTest redis;
  const int64_t window = 20 * kSecondUs;
  for (const auto algorithm : {Algorithm::kFixedWindow, Algorithm::kSlidingLog, Algorithm::kSlidingCounter,
                               Algorithm::kTokenBucket, Algorithm::kGcra}) {
    const Limit limit = MakeLimit(algorithm, 10, window).value();
    const std::string key = "ttl-" + std::string(Name(algorithm));
    for (int i = 0; i < 4; ++i) {  // the first write sets it, the others keep it
      Batch batch;
      batch.AddGroup();
      batch.AddTerm(key, {&limit, 2});
      ASSERT_TRUE(redis.Run(batch).ok());
      const int64_t ttl_ms = std::stoll(redis.server.Command({"PTTL", key}));
      const int64_t worth_ms = WorthlessAfter(limit, batch.states[0], batch.now) / 1000;
      EXPECT_GE(ttl_ms, worth_ms) << key;
      EXPECT_GT(ttl_ms, 0) << key;
      EXPECT_LE(ttl_ms, 2 * window / 1000 + 1'000) << key;
    }
  }
}

}  // namespace
}  // namespace lab::ratelimit
