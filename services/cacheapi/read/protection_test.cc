#include "services/cacheapi/testing/modes_fixture.h"

namespace lab::cacheapi {
namespace {

class ProtectionTest : public ModesTest {
 protected:
  static constexpr Nanos kShort = Millis(80), kLong = Millis(200);

  // One read of the database at a time, each of them `delay` long.
  Process& Slow(Nanos delay, bool shed, Reader::Options reads = PlainReads()) {
    origin_.emplace(*reads_, *writes_, Origin::Options{.delay = delay}, metrics_);
    queue_.emplace(loop_, *origin_, Admission::Options{.concurrency = 1, .max_waiting = 100, .shed = shed}, metrics_);
    return Start(reads, {}, {.queue = &*queue_});
  }
  double Reads() {
    return Metric("cacheapi_origin_reads_total{outcome=\"found\"}") +
           Metric("cacheapi_origin_reads_total{outcome=\"unknown\"}");
  }
  double Admissions(const std::string& outcome) {
    return Metric("cacheapi_origin_admissions_total{outcome=\"" + outcome + "\"}");
  }
  // So many requests at once, of as many brands, which nobody waits for any more when their turn comes.
  void ManyWhoLeave(Process& process, int requests) {
    for (int i = 0; i < requests; ++i) Insert("b" + std::to_string(i));
    std::vector<std::shared_ptr<Outcome>> all;
    for (int i = 0; i < requests; ++i) all.push_back(Asking(process, "b" + std::to_string(i), kShort));
    for (const auto& outcome : all) {
      Ended(outcome);
      EXPECT_EQ(outcome->answer.status.code(), absl::StatusCode::kDeadlineExceeded);
    }
  }
};

// What sustains an outage: the work of those who have gone is done all the same.
TEST_F(ProtectionTest, FirstComeFirstServedWorksForWhoHasGone) {
  Process& process = Slow(kLong, false);
  ManyWhoLeave(process, 4);
  ASSERT_TRUE(RunUntil([&] { return Reads() == 4; }));
}

TEST_F(ProtectionTest, ShedWorksForWhoIsThere) {
  Process& process = Slow(kLong, true);
  ManyWhoLeave(process, 4);
  ASSERT_TRUE(RunUntil([&] { return Admissions("given_up") == 3; }));
  EXPECT_EQ(Reads(), 1);
}

// Once it is known how long a read takes, nobody waits for an answer that cannot come in time.
TEST_F(ProtectionTest, WhoCannotBeAnsweredInTimeIsRefusedAtOnce) {
  Process& process = Slow(kLong, true);
  EXPECT_TRUE(Ask(process, "acme").status.ok());
  for (const char* brand : {"b1", "b2", "b3"}) Insert(brand);
  const auto long_enough = Asking(process, "b1", std::chrono::seconds(8), "", Window::kHour);
  const auto second = Asking(process, "b2", std::chrono::seconds(8), "", Window::kHour);
  ASSERT_TRUE(RunUntil([&] { return !queue_->idle(); }));
  const Answer refused = Ask(process, "b3", kLong + kLong / 2);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kUnavailable) << refused.status;
  EXPECT_EQ(Admissions("too_late"), 1);
  Ended(long_enough);
  Ended(second);
  EXPECT_TRUE(long_enough->answer.status.ok()) << long_enough->answer.status;
}

TEST_F(ProtectionTest, NoMoreWaitThanTheBound) {
  origin_.emplace(*reads_, *writes_, Origin::Options{.delay = Millis(60)}, metrics_);
  queue_.emplace(loop_, *origin_, Admission::Options{.concurrency = 1, .max_waiting = 2, .shed = false}, metrics_);
  Process& process = Start(PlainReads(), {}, {.queue = &*queue_});
  for (int i = 0; i < 6; ++i) Insert("b" + std::to_string(i));
  std::vector<std::shared_ptr<Outcome>> all;
  for (int i = 0; i < 6; ++i) all.push_back(Asking(process, "b" + std::to_string(i)));
  int refused = 0;
  for (const auto& outcome : all) {
    Ended(outcome);
    refused += absl::IsUnavailable(outcome->answer.status) ? 1 : 0;
  }
  EXPECT_EQ(refused, 3);
  EXPECT_EQ(Admissions("full"), 3);
  EXPECT_EQ(Reads(), 3);
}

TEST_F(ProtectionTest, ALoadGoesOnWhenItsRequestHasGone) {
  Process& process = Slow(kLong, true);
  EXPECT_EQ(Ask(process, "acme", kShort).status.code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(Comes(CacheKey("acme", kDefaultWindow)));
}

// Broken on purpose: what was loaded is thrown away with its request, so that the next one finds nothing either.
TEST_F(ProtectionTest, CancelledWithItsRequestNothingIsEverStored) {
  Reader::Options reads = PlainReads();
  reads.cancel_with_request = true;
  Process& process = Slow(kLong, true, reads);
  for (int tries = 1; tries <= 2; ++tries) {
    EXPECT_EQ(Ask(process, "acme", kShort).status.code(), absl::StatusCode::kDeadlineExceeded);
    ASSERT_TRUE(RunUntil([&] { return Reads() == tries; }));
    RunFor(Millis(20));
    EXPECT_FALSE(InRedis(CacheKey("acme", kDefaultWindow)));
  }
  EXPECT_TRUE(Ask(process, "acme").status.ok());
  EXPECT_TRUE(Comes(CacheKey("acme", kDefaultWindow))) << "who waits long enough stores it";
}

// With single flight it is thrown away only when all who waited have gone.
TEST_F(ProtectionTest, CancelledOnlyWhenNobodyIsLeft) {
  Reader::Options reads = PlainReads();
  reads.cancel_with_request = reads.single_flight = true;
  Process& process = Slow(kLong, true, reads);
  const auto impatient = Asking(process, "acme", kShort);
  const auto patient = Asking(process, "acme");
  Ended(impatient);
  Ended(patient);
  EXPECT_FALSE(impatient->answer.status.ok());
  EXPECT_TRUE(patient->answer.status.ok()) << patient->answer.status;
  EXPECT_TRUE(Comes(CacheKey("acme", kDefaultWindow)));
}

class StaleTest : public ProtectionTest {
 protected:
  Process& Keeping() {
    Reader::Options reads = LeasedReads();
    reads.local = reads.stale_if_error = true;
    reads.local_ttl = Millis(1);
    reads.local_stale = std::chrono::hours(1);
    return Start(reads, {});
  }
  static void ExpectStale(const Answer& answer) {
    EXPECT_TRUE(answer.status.ok()) << answer.status;
    EXPECT_EQ(Via(answer), "stale");
    EXPECT_EQ(answer.value.version, 1u);
  }
};

TEST_F(StaleTest, WithRedisAndTheDatabaseAwayL1HasSomething) {
  Process& process = Keeping();
  EXPECT_TRUE(Ask(process, "acme").status.ok());
  RunFor(Millis(5));
  redis_->Close();
  reads_->Close();
  ExpectStale(Ask(process, "acme"));
  EXPECT_FALSE(Ask(process, "b1").status.ok()) << "of which nothing was kept";
}

TEST_F(StaleTest, WithRedisAwayTheDatabaseGoesFirst) {
  Process& process = Keeping();
  EXPECT_TRUE(Ask(process, "acme").status.ok());
  postgres_->Query("UPDATE brand_state SET version = 2");
  RunFor(Millis(5));
  redis_->Close();
  const Answer answer = Ask(process, "acme");
  EXPECT_EQ(Via(answer), "origin");
  EXPECT_EQ(answer.value.version, 2u);
}

// The database neither answers nor fails: at the deadline what is stale is better than nothing.
TEST_F(StaleTest, WhatComesTooLateIsReplacedByWhatIsStale) {
  Process& process = Keeping();
  EXPECT_TRUE(Ask(process, "acme").status.ok());
  RunFor(Millis(5));
  redis_->Close();
  const auto held = Asking(process, "acme", Millis(50), "R");
  Go("R", Step::kGet);
  Ended(held);
  ExpectStale(held->answer);
}

// What L2 has stale all who wait for the load are given, not only the one who began it.
TEST_F(StaleTest, WhatL2HasStaleAllWhoWaitAreGiven) {
  shared_.emplace(*redis_, *clock_, SharedCache::Options{.ttl = Millis(20), .stale = std::chrono::hours(1)}, metrics_,
                  7);
  Reader::Options reads = LeasedReads();
  reads.single_flight = reads.stale_if_error = true;
  Process& process = Start(reads, {});
  EXPECT_TRUE(Ask(process, "acme").status.ok());
  ASSERT_TRUE(Comes(CacheKey("acme", kDefaultWindow)));
  RunFor(Millis(40));
  const auto first = Asking(process, "acme", Millis(300), "R");
  Go("R", Step::kGet);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSelect; }));
  const auto second = Asking(process, "acme");
  Ended(first);
  Ended(second);
  ExpectStale(first->answer);
  ExpectStale(second->answer);
}

// Healthy, the database dies, it comes back.
TEST_F(StaleTest, ADatabaseThatDiesIsCoveredAndComesBack) {
  Process& process = Keeping();
  EXPECT_TRUE(Ask(process, "acme").status.ok());
  postgres_->Kill();
  redis_server_->Command({"FLUSHALL"});
  for (int i = 0; i < 30; ++i) ExpectStale(Ask(process, "acme"));
  postgres_->Start();
  postgres_->Query("UPDATE brand_state SET version = 2");
  ASSERT_TRUE(RunUntil([&] { return reads_->connected(); }));
  ASSERT_TRUE(RunUntil([&] { return reads_->breaker_state() == async::Breaker::State::kClosed; }));
  RunFor(Millis(5));
  EXPECT_EQ(Ask(process, "acme").value.version, 2u);
}

}  // namespace
}  // namespace lab::cacheapi
