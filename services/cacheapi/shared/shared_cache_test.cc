#include "services/cacheapi/shared/shared_cache.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "services/cacheapi/model/window.h"
#include "services/cacheapi/shared/store_clock.h"
#include "services/runtime/async/loop_fixture.h"
#include "services/runtime/failpoint/controller.h"
#include "services/runtime/redis/test_server.h"

namespace lab::cacheapi {
namespace {

using State = SharedCache::Found::State;

class SharedCacheTest : public async::LoopTest {
 protected:
  SharedCacheTest() {
    redis::Options options;
    options.port = server_.port();
    options.deadline = Millis(1000);
    redis_.emplace(loop_, options, metrics_, &failpoints_);
    EXPECT_TRUE(RunUntil([&] { return redis_->connected(); }));
    clock_.emplace(loop_, *redis_, metrics_);
    EXPECT_TRUE(RunUntil([&] { return clock_->known(); }));
    Make({});
  }
  ~SharedCacheTest() override {
    redis_->Close();
    RunFor(Millis(1));
    cache_.reset();
    clock_.reset();
  }

  void Arm(const std::string& name, std::string_view text) {
    const failpoint::Point& point = **failpoint::FindPoint(name);
    const absl::StatusOr<failpoint::Spec> spec = failpoint::ParseSpecText(point, text);
    ASSERT_TRUE(spec.ok()) << spec.status();
    failpoints_.Arm(point, *spec);
  }

  void Make(SharedCache::Options options) { cache_.emplace(*redis_, *clock_, options, metrics_, 7); }

  SharedCache::Found Get(bool lease = false) {
    std::optional<absl::StatusOr<SharedCache::Found>> found;
    const auto done = [&](absl::StatusOr<SharedCache::Found> got) { found = std::move(got); };
    lease ? cache_->GetOrLease(key_, early_, done) : cache_->Get(key_, done);
    EXPECT_TRUE(RunUntil([&] { return found.has_value(); }));
    EXPECT_TRUE(found->ok()) << found->status();
    return found->ok() ? **found : SharedCache::Found();
  }
  template <typename Call>
  bool Stored(Call call) {
    std::optional<absl::StatusOr<bool>> stored;
    call([&](absl::StatusOr<bool> got) { stored = std::move(got); });
    EXPECT_TRUE(RunUntil([&] { return stored.has_value(); }));
    EXPECT_TRUE(stored->ok()) << stored->status();
    return stored->ok() && **stored;
  }
  bool Set(const Value& value) {
    return Stored([&](SharedCache::StoreDone done) { cache_->Set(key_, value, std::move(done)); });
  }
  bool SetWithLease(const std::string& token, const Value& value) {
    return Stored([&](SharedCache::StoreDone done) { cache_->SetWithLease(key_, token, value, std::move(done)); });
  }
  bool SetIfNewer(const Value& value) {
    return Stored([&](SharedCache::StoreDone done) { cache_->SetIfNewer(key_, value, std::move(done)); });
  }
  void Delete() {
    bool done = false;
    cache_->Delete({key_}, [&](const absl::Status& status) { done = status.ok(); });
    EXPECT_TRUE(RunUntil([&] { return done; }));
  }
  void Bury(uint64_t version) {
    bool done = false;
    cache_->Bury({key_}, version, [&](const absl::Status& status) { done = status.ok(); });
    EXPECT_TRUE(RunUntil([&] { return done; }));
  }
  static Value Of(uint64_t version) {
    Value value;
    value.body = "{\"version\":" + std::to_string(version) + "}";
    value.version = version;
    value.delta = Millis(7);
    return value;
  }

  bool early_ = false;
  const std::string key_ = CacheKey("acme", Window::kDay);
  redis::TestServer server_;
  failpoint::Controller failpoints_{loop_, metrics_, 1};
  std::optional<redis::Client> redis_;
  std::optional<StoreClock> clock_;
  std::optional<SharedCache> cache_;
};

TEST_F(SharedCacheTest, FindsWhatWasStored) {
  EXPECT_EQ(Get().state, State::kMiss);
  EXPECT_TRUE(Set(Of(3)));
  const SharedCache::Found found = Get();
  EXPECT_EQ(found.state, State::kFresh);
  EXPECT_EQ(found.value.body, "{\"version\":3}");
  EXPECT_EQ(found.value.version, 3u);
  EXPECT_EQ(found.value.delta, Nanos(Millis(7)));
  Delete();
  EXPECT_EQ(Get().state, State::kMiss);
}

TEST_F(SharedCacheTest, AfterItsTimeItIsStaleAndThenGone) {
  Make({.ttl = Millis(60), .stale = Millis(300)});
  EXPECT_TRUE(Set(Of(3)));
  EXPECT_EQ(Get().state, State::kFresh);
  RunFor(Millis(80));
  EXPECT_EQ(Get().state, State::kStale);
  RunFor(Millis(320));
  EXPECT_EQ(Get().state, State::kMiss);
}

TEST_F(SharedCacheTest, OneOfManyGetsTheLease) {
  const SharedCache::Found first = Get(true), second = Get(true);
  EXPECT_FALSE(first.token.empty());
  EXPECT_TRUE(second.token.empty());
  EXPECT_TRUE(SetWithLease(first.token, Of(1)));
  EXPECT_EQ(Get(true).state, State::kFresh);
  EXPECT_TRUE(Get(true).token.empty()) << "fresh: nobody need fill";
  early_ = true;
  const SharedCache::Found early = Get(true);
  EXPECT_EQ(early.state, State::kFresh);
  EXPECT_FALSE(early.token.empty()) << "unless it is to be before its time";
  EXPECT_TRUE(Get(true).token.empty());
  cache_->GiveUp(key_, early.token);
  ASSERT_TRUE(RunUntil([&] { return server_.Command({"EXISTS", LeaseKey(key_)}) == "0"; }));
  early_ = false;
  EXPECT_EQ(Get(true).state, State::kFresh);
  EXPECT_EQ(server_.Command({"EXISTS", LeaseKey(key_)}), "0");
}

TEST_F(SharedCacheTest, AHitIsOneGetAndCountedOnce) {
  EXPECT_TRUE(Set(Of(1)));
  Arm("redis.script.before", "error times=1");
  EXPECT_EQ(Get(true).state, State::kFresh) << "without a script";
  EXPECT_EQ(Metric("cacheapi_shared_reads_total{outcome=\"hit\"}"), 1);
}

// A script tells an entry by its head and its times alone; what it takes for fresh and is none must be filled all the
// same.
TEST_F(SharedCacheTest, WhatIsTornIsAMissWithTheLeaseWhateverItSaysOfItself) {
  EXPECT_TRUE(Set(Of(1)));
  server_.Command({"SETRANGE", key_, "60", "X"});
  const SharedCache::Found corrupt = Get(true);
  EXPECT_EQ(corrupt.state, State::kMiss);
  EXPECT_FALSE(corrupt.token.empty());
  EXPECT_GE(Metric("cacheapi_shared_unreadable_total{why=\"corrupt\"}"), 1);
  EXPECT_TRUE(Get(true).token.empty()) << "one fills";
  EXPECT_TRUE(SetWithLease(corrupt.token, Of(2)));
  EXPECT_EQ(Get(true).value.version, 2u);
}

TEST_F(SharedCacheTest, AWrongTypeIsAMissWithTheLeaseAndCounted) {
  server_.Command({"LPUSH", key_, "a"});
  const SharedCache::Found found = Get(true);
  EXPECT_EQ(found.state, State::kMiss);
  EXPECT_FALSE(found.token.empty());
  EXPECT_EQ(Metric("cacheapi_shared_unreadable_total{why=\"wrong_type\"}"), 1);
}

TEST_F(SharedCacheTest, ALeaseOfAnotherProgramHoldsNobodyBack) {
  server_.Command({"LPUSH", LeaseKey(key_), "a"});
  const SharedCache::Found found = Get(true);
  EXPECT_FALSE(found.token.empty());
  EXPECT_TRUE(SetWithLease(found.token, Of(1)));
}

TEST_F(SharedCacheTest, WhatIsFromBeforeTheClockWentBackIsStaleAndRefreshedByOne) {
  Entry entry;
  entry.version = 1;
  entry.written_at = clock_->At(Clock::now()) + 3'600'000;
  entry.fresh_until = entry.written_at + 60'000;
  entry.stale_until = entry.fresh_until;
  entry.key = key_;
  entry.body = "{}";
  server_.Command({"SET", key_, EncodeEntry(entry)});
  const SharedCache::Found first = Get(true), second = Get(true);
  EXPECT_EQ(first.state, State::kStale);
  EXPECT_FALSE(first.token.empty());
  EXPECT_LE(first.value.fresh_until, Clock::now());
  EXPECT_TRUE(second.token.empty());
}

// Else each fill of a busy replica would be loaded again by the others at once.
TEST_F(SharedCacheTest, WhatAReplicaWhoseClockIsAheadHasWrittenIsFresh) {
  StoreClock ahead(loop_, *redis_, metrics_, std::chrono::hours(1));
  ASSERT_TRUE(RunUntil([&] { return ahead.known(); }));
  const Clock::time_point now = Clock::now();
  ahead.Take(Millis(clock_->At(now) + 30), now, now);
  ASSERT_GT(ahead.At(Clock::now()), clock_->At(Clock::now()) + 20);
  SharedCache writer(*redis_, ahead, {}, metrics_, 8);
  EXPECT_TRUE(Stored([&](SharedCache::StoreDone done) { writer.Set(key_, Of(1), std::move(done)); }));
  const SharedCache::Found found = Get(true);
  EXPECT_EQ(found.state, State::kFresh);
  EXPECT_EQ(found.token, "");
  EXPECT_LE(found.value.written_at, Clock::now()) << "no age below zero";
}

TEST_F(SharedCacheTest, StaleIsServedWhileOneRefreshes) {
  Make({.ttl = Millis(30), .stale = std::chrono::seconds(60)});
  EXPECT_TRUE(Set(Of(1)));
  RunFor(Millis(50));
  const SharedCache::Found first = Get(true), second = Get(true);
  EXPECT_EQ(first.state, State::kStale);
  EXPECT_FALSE(first.token.empty());
  EXPECT_EQ(second.state, State::kStale);
  EXPECT_TRUE(second.token.empty());
}

// Race 1: R misses, reads v1; W commits v2 and deletes; R stores v1.
TEST_F(SharedCacheTest, ADeleteTakesTheLeaseAway) {
  const SharedCache::Found reader = Get(true);
  Delete();
  EXPECT_FALSE(SetWithLease(reader.token, Of(1)));
  EXPECT_EQ(Get().state, State::kMiss);
  EXPECT_EQ(Metric("cacheapi_shared_stores_total{outcome=\"refused\"}"), 1);
}

// Race 6: the holder pauses for longer than its lease; another one fills; the holder comes back.
TEST_F(SharedCacheTest, AnOldHolderStoresNothing) {
  Make({.lease = Millis(30)});
  const SharedCache::Found old = Get(true);
  RunFor(Millis(60));
  const SharedCache::Found fresh = Get(true);
  ASSERT_FALSE(fresh.token.empty());
  EXPECT_FALSE(SetWithLease(old.token, Of(1)));
  EXPECT_TRUE(SetWithLease(fresh.token, Of(2)));
  EXPECT_FALSE(SetWithLease(old.token, Of(1)));
  EXPECT_EQ(Get().value.version, 2u);
}

TEST_F(SharedCacheTest, ALeaseThatIsGivenUpIsFreeAtOnce) {
  const SharedCache::Found first = Get(true);
  cache_->GiveUp(key_, "another token");
  RunFor(Millis(20));
  EXPECT_TRUE(Get(true).token.empty());
  cache_->GiveUp(key_, first.token);
  ASSERT_TRUE(RunUntil([&] { return server_.Command({"EXISTS", LeaseKey(key_)}) == "0"; }));
  EXPECT_FALSE(Get(true).token.empty());
}

// The script ran, its answer was never heard: the lease must not stand in everybody's way until its end.
TEST_F(SharedCacheTest, ALeaseThatWasGivenUnheardIsFreeAtOnce) {
  Make({.lease = std::chrono::hours(1)});
  Arm("redis.script.after", "apply-then-timeout times=1");
  std::optional<absl::StatusOr<SharedCache::Found>> found;
  cache_->GetOrLease(key_, false, [&](absl::StatusOr<SharedCache::Found> got) { found = std::move(got); });
  ASSERT_TRUE(RunUntil([&] { return found.has_value(); }));
  EXPECT_TRUE(absl::IsDeadlineExceeded(found->status())) << found->status();
  ASSERT_TRUE(RunUntil([&] { return server_.Command({"EXISTS", LeaseKey(key_)}) == "0"; }));
  EXPECT_FALSE(Get(true).token.empty());
}

TEST_F(SharedCacheTest, ALeaseWhoseStoreWasNotHeardOfIsFreeAtOnce) {
  const SharedCache::Found first = Get(true);
  Arm("redis.script.after", "apply-then-timeout times=1");
  std::optional<absl::StatusOr<bool>> stored;
  cache_->SetWithLease(key_, first.token, Of(1), [&](absl::StatusOr<bool> got) { stored = std::move(got); });
  ASSERT_TRUE(RunUntil([&] { return stored.has_value(); }));
  EXPECT_TRUE(absl::IsDeadlineExceeded(stored->status())) << stored->status();
  EXPECT_EQ(Get(true).value.version, 1u) << "it was stored all the same";
}

// Redis stands still for longer than the breaker has patience: nobody can give back then what was asked for before.
TEST_F(SharedCacheTest, LeasesThatAStandstillKeptUnheardAreFreeAfterIt) {
  redis::Options options;
  options.port = server_.port();
  options.deadline = Millis(30);
  options.connections = 1;
  obs::Metrics metrics;
  redis::Client impatient(loop_, options, metrics);
  EXPECT_TRUE(RunUntil([&] { return impatient.connected(); }));
  SharedCache cache(impatient, *clock_, {.lease = std::chrono::hours(1)}, metrics, 8);
  bool knows_script = false;
  cache.GetOrLease(key_, false, [&](const absl::StatusOr<SharedCache::Found>& found) { knows_script = found.ok(); });
  EXPECT_TRUE(RunUntil([&] { return knows_script; }));
  server_.Pause();
  constexpr int kReaders = 60;
  int unheard = 0;
  std::vector<std::string> keys;
  for (int i = 0; i < kReaders; ++i) {
    keys.push_back(CacheKey("brand" + std::to_string(i), Window::kDay));
    cache.GetOrLease(keys.back(), true, [&](const absl::StatusOr<SharedCache::Found>& found) {
      unheard += absl::IsDeadlineExceeded(found.status()) ? 1 : 0;
    });
  }
  EXPECT_TRUE(RunUntil([&] { return unheard == kReaders; }));
  EXPECT_NE(impatient.breaker_state(), async::Breaker::State::kClosed);
  server_.Continue();
  EXPECT_TRUE(RunUntil([&] { return impatient.breaker_state() == async::Breaker::State::kClosed; }));
  EXPECT_EQ(server_.Command({"EXISTS", LeaseKey(keys.back())}), "1") << "it was given, and nobody heard of it";

  for (int answers = 0; answers < kReaders; ++answers) {
    bool answered = false;
    cache.GetOrLease(key_, false, [&](const absl::StatusOr<SharedCache::Found>&) { answered = true; });
    ASSERT_TRUE(RunUntil([&] { return answered; }));
  }
  EXPECT_TRUE(RunUntil([&] {
    return std::all_of(keys.begin(), keys.end(), [&](const std::string& key) {
      return server_.Command({"EXISTS", LeaseKey(key)}) == "0";
    });
  }));
  impatient.Close();
  RunFor(Millis(1));
}

// Race 3: W1 commits 1, W2 commits 2, W2 sets 2, W1 sets 1.
TEST_F(SharedCacheTest, AnOlderVersionNeverReplacesANewerOne) {
  EXPECT_TRUE(SetIfNewer(Of(2)));
  EXPECT_FALSE(SetIfNewer(Of(1)));
  EXPECT_TRUE(SetIfNewer(Of(2))) << "the same version may have been old data";
  EXPECT_EQ(Get().value.version, 2u);
  EXPECT_TRUE(SetIfNewer(Of((uint64_t{1} << 53) - 1)));
  EXPECT_FALSE(SetIfNewer(Of((uint64_t{1} << 53) - 2))) << "versions are compared exactly";
}

// Race 8: v2 is set and evicted, then v1 arrives with nothing to compare.
TEST_F(SharedCacheTest, ATombstoneKeepsOldVersionsOut) {
  const SharedCache::Found reader = Get(true);
  Bury(2);
  EXPECT_EQ(Get().state, State::kMiss);
  EXPECT_FALSE(SetIfNewer(Of(1)));
  EXPECT_FALSE(SetWithLease(reader.token, Of(1))) << "the lease is gone too";
  EXPECT_TRUE(SetIfNewer(Of(2)));
  Bury(1);
  EXPECT_EQ(Get().value.version, 2u) << "a late burial of an older version";
}

TEST_F(SharedCacheTest, WhatIsNoEntryIsAMissAndCounted) {
  EXPECT_TRUE(Set(Of(1)));
  const std::string whole = server_.Command({"GET", key_});
  server_.Command({"SET", key_, "hello"});
  EXPECT_EQ(Get().state, State::kMiss);
  EXPECT_EQ(Metric("cacheapi_shared_unreadable_total{why=\"foreign\"}"), 1);
  server_.Command({"SET", key_, whole.substr(0, whole.size() - 3)});
  EXPECT_EQ(Get().state, State::kMiss);
  EXPECT_EQ(Metric("cacheapi_shared_unreadable_total{why=\"truncated\"}"), 1);
  server_.Command({"DEL", key_});
  server_.Command({"LPUSH", key_, "x"});
  EXPECT_EQ(Get().state, State::kMiss);
  EXPECT_EQ(Metric("cacheapi_shared_unreadable_total{why=\"wrong_type\"}"), 1);
  const SharedCache::Found filler = Get(true);
  EXPECT_FALSE(filler.token.empty()) << "who fills repairs it";
  EXPECT_TRUE(SetWithLease(filler.token, Of(2)));
  EXPECT_EQ(Get().value.version, 2u);
}

TEST_F(SharedCacheTest, ThereIsNoneIsKeptForItsOwnTime) {
  Make({.ttl = std::chrono::seconds(60), .stale = std::chrono::seconds(60), .negative_ttl = Millis(50)});
  Value none;
  none.negative = true;
  EXPECT_TRUE(Set(none));
  const SharedCache::Found found = Get();
  EXPECT_EQ(found.state, State::kFresh);
  EXPECT_TRUE(found.value.negative);
  RunFor(Millis(80));
  EXPECT_EQ(Get().state, State::kMiss);
}

TEST_F(SharedCacheTest, LifetimesAreSpread) {
  Make({.ttl = std::chrono::seconds(1000), .jitter = 0.5});
  int64_t least = INT64_MAX, most = 0;
  for (int i = 0; i < 40; ++i) {
    EXPECT_TRUE(Set(Of(1)));
    const int64_t left = std::stoll(server_.Command({"PTTL", key_}));
    least = std::min(least, left);
    most = std::max(most, left);
  }
  EXPECT_LE(most, 1'000'000);
  EXPECT_GE(least, 499'000);
  EXPECT_GT(most - least, 200'000);
}

TEST_F(SharedCacheTest, ItsErrorsAreThoseOfRedis) {
  server_.Kill();
  RunFor(Millis(20));
  std::optional<absl::StatusOr<SharedCache::Found>> found;
  cache_->Get(key_, [&](absl::StatusOr<SharedCache::Found> got) { found = std::move(got); });
  ASSERT_TRUE(RunUntil([&] { return found.has_value(); }));
  EXPECT_FALSE(found->ok());
  EXPECT_GE(Metric("cacheapi_shared_reads_total{outcome=\"error\"}"), 1);
}

}  // namespace
}  // namespace lab::cacheapi
