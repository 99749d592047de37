#include "services/ratelimit/lease.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "services/ratelimit/store_testing.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"

namespace lab::ratelimit {
namespace {

constexpr int64_t kWindow = 10 * kSecondUs;

Clock::time_point At(int64_t us) { return Clock::time_point(std::chrono::hours(1)) + Micros(us); }

class LeaseTest : public testing::Test {
 protected:
  // Asks for what is missing for `waiting` hits, of a store that has counted `count` in the window of kTestEpoch.
  uint32_t Refill(int64_t count, uint64_t waiting, int64_t at_us) {
    const uint32_t asked = lease_.Missing(terms_, waiting, At(at_us));
    lease_.Granted(limit_, terms_, {kTestEpoch / kWindow, count}, kTestEpoch + at_us, asked, At(at_us));
    return asked;
  }
  const Limit limit_ = MakeLimit(Algorithm::kFixedWindow, 100, kWindow).value();
  LeaseTerms terms_{10, Nanos(0)};
  Lease lease_;
};

TEST_F(LeaseTest, NothingIsKnownAtFirst) {
  EXPECT_EQ(lease_.Decide(1, At(0)), Lease::Verdict::kAsk);
  EXPECT_EQ(lease_.Missing(terms_, 1, At(0)), 10u);
}

TEST_F(LeaseTest, AdmitsWhatItHoldsThenAsks) {
  EXPECT_EQ(Refill(0, 1, 0), 10u);
  EXPECT_EQ(lease_.Decide(7, At(1)), Lease::Verdict::kPass);
  EXPECT_EQ(lease_.Decide(4, At(2)), Lease::Verdict::kAsk) << "3 are held, and the store had 90 left";
  EXPECT_EQ(lease_.Missing(terms_, 4, At(2)), 7u) << "up to a full lease";
  EXPECT_EQ(lease_.Decide(3, At(3)), Lease::Verdict::kPass);
}

TEST_F(LeaseTest, AsksForAllThatWaitAndHoldsLessThanALeaseBeyond) {
  EXPECT_EQ(Refill(0, 34, 0), 40u);
  EXPECT_EQ(lease_.Decide(34, At(1)), Lease::Verdict::kPass);
  EXPECT_EQ(lease_.held(At(1)), 6u);
}

TEST_F(LeaseTest, DeniesWithoutAskingOnceTheStoreHasNothingLeft) {
  Refill(94, 8, 0);
  EXPECT_EQ(lease_.held(At(1)), 6u);
  EXPECT_EQ(lease_.Decide(8, At(1)), Lease::Verdict::kDeny);
  EXPECT_EQ(lease_.Decide(6, At(2)), Lease::Verdict::kPass);
  EXPECT_EQ(lease_.Decide(1, At(3)), Lease::Verdict::kDeny);
  EXPECT_EQ(lease_.Decide(1, At(kWindow)), Lease::Verdict::kAsk) << "the next window is another";
}

TEST_F(LeaseTest, EndsWhereTheWindowCanEndAtTheEarliest) {
  // The question left at 2 s; the store, which was asked somewhat later, said that 3 s were left.
  lease_.Granted(limit_, terms_, {kTestEpoch / kWindow, 0}, kTestEpoch + 7 * kSecondUs, 10, At(2 * kSecondUs));
  EXPECT_EQ(lease_.ends(), At(5 * kSecondUs));
  EXPECT_EQ(lease_.Decide(1, At(5 * kSecondUs - 1)), Lease::Verdict::kPass);
  EXPECT_EQ(lease_.Decide(1, At(5 * kSecondUs)), Lease::Verdict::kAsk);
  EXPECT_EQ(lease_.held(At(5 * kSecondUs)), 0u);
  EXPECT_EQ(lease_.Missing(terms_, 1, At(5 * kSecondUs)), 10u) << "what it held is gone";
}

TEST_F(LeaseTest, AfterItsTtlItAsksAndKeepsWhatItHolds) {
  terms_.ttl = std::chrono::seconds(1);
  Refill(0, 1, 0);
  EXPECT_EQ(lease_.Decide(4, At(kSecondUs - 1)), Lease::Verdict::kPass);
  EXPECT_EQ(lease_.Decide(1, At(kSecondUs)), Lease::Verdict::kAsk);
  EXPECT_EQ(Refill(10, 1, kSecondUs), 4u);
  EXPECT_EQ(lease_.held(At(kSecondUs)), 10u);
  EXPECT_EQ(Refill(14, 1, 2 * kSecondUs), 0u) << "full: it only hears that the window goes on";
  EXPECT_EQ(lease_.Decide(10, At(2 * kSecondUs)), Lease::Verdict::kPass);
}

TEST_F(LeaseTest, ALookTakesNothing) {
  Refill(99, 1, 0);
  EXPECT_EQ(lease_.Decide(0, At(1)), Lease::Verdict::kPass);
  EXPECT_EQ(lease_.held(At(1)), 1u);
  EXPECT_EQ(lease_.Decide(1, At(2)), Lease::Verdict::kPass);
  EXPECT_EQ(lease_.Decide(0, At(3)), Lease::Verdict::kDeny);
}

TEST_F(LeaseTest, TellsWhatIsHeldAndWhatTheStoreHadLeft) {
  Refill(50, 1, 0);
  const TermResult passed = lease_.Describe(limit_, 1, true, At(4 * kSecondUs));
  EXPECT_EQ(passed.remaining, 50u);
  EXPECT_EQ(passed.reset_after_us, 6 * kSecondUs);
  EXPECT_EQ(passed.retry_after_us, 0);
  EXPECT_EQ(lease_.Describe(limit_, 1, false, At(4 * kSecondUs)).retry_after_us, 6 * kSecondUs);
  EXPECT_EQ(lease_.Describe(limit_, 101, false, At(0)).retry_after_us, kNever);
}

// Replicas with steady clocks of their own, one store, and a network that takes its time and loses answers. Every
// admission is put down to the moment at which it was certainly made: here, or when the store was asked for it.
class World {
 public:
  struct Options {
    uint32_t limit = 60;
    uint32_t lease = 7;
    size_t replicas = 4;
    Nanos ttl{0};
    double lost = 0;      // share of the answers that are lost on their way
    int64_t lag_us = 0;   // the end of a lease is counted from so much later: broken
    int64_t step_us = 0;  // the store's clock jumps ahead by so much, once, in the middle
    bool flush = false;   // the store forgets, once, in the middle
    int64_t length_us = 60 * kSecondUs;
    double mean_gap_us = 40'000;
  };
  struct Window {
    uint64_t admitted = 0;
    bool denied = false;
  };

  World(const Options& options, StoreUnderTest& store, std::string key, uint64_t seed)
      : options_(options),
        store_(store),
        key_(std::move(key)),
        limit_(MakeLimit(Algorithm::kFixedWindow, options.limit, kWindow).value()),
        random_(seed),
        replicas_(options.replicas) {
    for (Replica& replica : replicas_) replica.clock_offset = static_cast<int64_t>(random_.Below(1'000'000'000));
  }

  // By the number of the window of the store's clock.
  std::map<int64_t, Window> Run() {
    Post(0, [this] { Arrive(); });
    if (options_.step_us != 0) Post(options_.length_us / 2, [this] { store_offset_ = options_.step_us; });
    if (options_.flush) Post(options_.length_us / 2, [this] { key_ += "-flushed"; });
    while (!events_.empty()) {
      const auto next = events_.begin();
      now_ = next->first;
      const std::function<void()> event = std::move(next->second);
      events_.erase(next);
      event();
    }
    return windows_;
  }
  int64_t step_window() const { return (kTestEpoch + options_.length_us / 2 + options_.step_us) / kWindow; }
  uint64_t questions() const { return questions_; }
  uint64_t requests() const { return requests_; }

 private:
  struct Waiting {
    uint64_t hits;
    int64_t began;
    int questions = 1;  // that it has waited for
  };
  struct Replica {
    Lease lease;
    int64_t clock_offset = 0;
    bool asking = false;
    std::vector<Waiting> waiting;
  };

  void Post(int64_t after_us, std::function<void()> event) { events_.emplace(now_ + after_us, std::move(event)); }
  int64_t StoreTime() const { return kTestEpoch + now_ + store_offset_; }
  static Clock::time_point Steady(const Replica& replica, int64_t us) { return At(replica.clock_offset + us); }
  LeaseTerms Terms() const { return {options_.lease, options_.ttl}; }
  void Count(int64_t store_time, bool passed, uint64_t hits) {
    Window& window = windows_[store_time / kWindow];
    if (passed) window.admitted += hits;
    if (!passed) window.denied = true;
  }

  void Arrive() {
    // Quiet and busy by turns.
    const double gap = (now_ / (3 * kWindow / 2)) % 2 == 0 ? options_.mean_gap_us : options_.mean_gap_us * 8;
    if (now_ < options_.length_us) Post(1 + static_cast<int64_t>(random_.Exponential(gap)), [this] { Arrive(); });
    ++requests_;
    Replica& replica = replicas_[random_.Below(replicas_.size())];
    const uint64_t hits = random_.Below(4) == 0 ? 1 + random_.Below(options_.lease) : 1;
    const Lease::Verdict verdict = replica.lease.Decide(hits, Steady(replica, now_));
    if (verdict != Lease::Verdict::kAsk) return Count(StoreTime(), verdict == Lease::Verdict::kPass, hits);
    replica.waiting.push_back({hits, now_});
    if (!replica.asking) Ask(replica);
  }

  void Ask(Replica& replica) {
    ++questions_;
    replica.asking = true;
    uint64_t waiting = 0;
    for (const Waiting& each : replica.waiting) waiting += each.hits;
    const int64_t sent = now_;
    const uint32_t asked = replica.lease.Missing(Terms(), waiting, Steady(replica, sent));
    Post(1 + static_cast<int64_t>(random_.Exponential(3'000)), [this, &replica, sent, asked] {
      auto batch = std::make_shared<Batch>();  // the answer's
      batch->now = StoreTime();
      batch->AddGroup().count = std::max<uint32_t>(1, asked);
      batch->AddTerm(key_, {&limit_, asked == 0 ? 0u : 1u});
      ASSERT_TRUE(store_.Run(*batch).ok());
      const bool lost = random_.Uniform() < options_.lost;
      const int64_t decided = now_;
      Post(1 + static_cast<int64_t>(random_.Exponential(3'000)),
           [=, this, &replica] { Answer(replica, lost ? nullptr : batch.get(), sent, decided, asked, batch); });
    });
  }

  void Answer(Replica& replica, const Batch* batch, int64_t sent, int64_t decided, uint32_t asked,
              const std::shared_ptr<Batch>&) {
    replica.asking = false;
    std::vector<Waiting> waiting;
    waiting.swap(replica.waiting);
    if (batch == nullptr) return;  // all of them are denied by policy, which says nothing of the lease
    replica.lease.Granted(limit_, Terms(), batch->states[0].fixed_window, batch->now, asked,
                          Steady(replica, sent + options_.lag_us));
    for (const Waiting& each : waiting) {
      const Lease::Verdict verdict = replica.lease.Decide(each.hits, Steady(replica, std::max(each.began, sent)));
      if (verdict == Lease::Verdict::kAsk) {
        ASSERT_LT(each.questions, 3) << "the one on its way, its own, and one more where an edge lay between";
        replica.waiting.push_back({each.hits, each.began, each.questions + 1});
      } else {
        const int64_t moment = batch->now + std::max<int64_t>(0, each.began - decided);
        Count(moment, verdict == Lease::Verdict::kPass, each.hits);
      }
    }
    EXPECT_LE(replica.lease.held(Steady(replica, now_)), options_.lease);
    if (!replica.waiting.empty()) Ask(replica);
  }

  const Options options_;
  StoreUnderTest& store_;
  std::string key_;
  const Limit limit_;
  Random random_;
  std::vector<Replica> replicas_;
  std::multimap<int64_t, std::function<void()>> events_;
  std::map<int64_t, Window> windows_;
  int64_t now_ = 0;
  int64_t store_offset_ = 0;
  uint64_t questions_ = 0, requests_ = 0;
};

struct Backend {
  std::string name;
  uint64_t seeds;
  std::function<std::unique_ptr<StoreUnderTest>()> make;
};

class LeaseProperty : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override { store_ = GetParam().make(); }
  // Runs worlds of several seeds.
  void ForSeeds(const World::Options& options, const std::function<void(World&)>& check) {
    for (uint64_t seed = 1; seed <= GetParam().seeds; ++seed) {
      SCOPED_TRACE(Concat("seed ", seed));
      World world(options, *store_, Concat("k", seed), seed);
      check(world);
    }
  }
  std::unique_ptr<StoreUnderTest> store_;
};

INSTANTIATE_TEST_SUITE_P(Stores, LeaseProperty,
                         testing::Values(Backend{"memory", 40, [] { return std::make_unique<MemoryUnderTest>(); }},
                                         Backend{"redis", 2, [] { return std::make_unique<RedisUnderTest>(); }}),
                         [](const auto& test) { return test.param.name; });

TEST_P(LeaseProperty, AdmitsAtMostTheLimitAndLeavesAtMostTheLeasesUnused) {
  for (const Nanos ttl : {Nanos(0), Nanos(Millis(700))}) {
    const World::Options options{.ttl = ttl};
    ForSeeds(options, [&](World& world) {
      uint64_t full = 0;
      for (const auto& [number, window] : world.Run()) {
        EXPECT_LE(window.admitted, options.limit) << "window " << number;
        if (!window.denied) continue;
        ++full;
        EXPECT_GE(window.admitted + options.replicas * options.lease, options.limit) << "window " << number;
      }
      EXPECT_GE(full, 1u) << "no window in which it counts";
      EXPECT_LT(world.questions(), world.requests() / 2);
    });
  }
}

TEST_P(LeaseProperty, LostAnswersAdmitNoMore) {
  const World::Options options{.ttl = Millis(900), .lost = 0.2};
  ForSeeds(options, [&](World& world) {
    for (const auto& [number, window] : world.Run()) EXPECT_LE(window.admitted, options.limit) << "window " << number;
  });
}

TEST_P(LeaseProperty, AStoreThatForgetsGrantsOneMoreLimit) {
  const World::Options options{.flush = true};
  ForSeeds(options, [&](World& world) {
    for (const auto& [number, window] : world.Run()) {
      const bool lost = number == (kTestEpoch + options.length_us / 2) / kWindow;
      EXPECT_LE(window.admitted, (lost ? 2 : 1) * options.limit) << "window " << number;
    }
  });
}

TEST_P(LeaseProperty, AJumpOfTheStoresClockAdmitsAtMostTheLeasesMore) {
  const World::Options options{.step_us = kWindow / 2 + 7, .mean_gap_us = 20'000};
  ForSeeds(options, [&](World& world) {
    for (const auto& [number, window] : world.Run()) {
      const uint64_t more = number >= world.step_window() ? options.replicas * options.lease : 0;
      EXPECT_LE(window.admitted, options.limit + more) << "window " << number;
    }
  });
}

TEST(LeaseChecker, SeesALeaseThatOutlivesItsWindow) {
  MemoryUnderTest store;
  const World::Options options{.lag_us = kSecondUs, .mean_gap_us = 20'000};
  uint64_t broken = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    World world(options, store, Concat("k", seed), seed);
    for (const auto& [number, window] : world.Run()) broken += window.admitted > options.limit ? 1 : 0;
  }
  EXPECT_GT(broken, 0u);
}

}  // namespace
}  // namespace lab::ratelimit
