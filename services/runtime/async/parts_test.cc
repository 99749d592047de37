#include <memory>
#include <vector>

#include "services/runtime/async/alive.h"
#include "services/runtime/async/backoff.h"
#include "services/runtime/async/deadline_list.h"
#include "services/runtime/async/host_resolver.h"
#include "services/runtime/async/loop_fixture.h"
#include "services/runtime/async/probed_breaker.h"

namespace lab::async {
namespace {

TEST(BackoffTest, StaysBetweenItsFloorAndADoublingBound) {
  Backoff backoff({Millis(10), Millis(250)}, 1);
  const Clock::time_point now = Clock::now();
  Nanos bound = Millis(10);
  for (int i = 0; i < 40; ++i) {
    bound = std::min<Nanos>(bound * 2, Millis(250));
    const Nanos delay = backoff.Next({}, now);
    EXPECT_GE(delay, Millis(10));
    EXPECT_LE(delay, bound);
  }
}

TEST(BackoffTest, OnlyAConnectionThatStoodBeginsAnew) {
  Backoff backoff({Millis(1), Millis(1000)}, 1);
  const Clock::time_point now = Clock::now();
  for (int i = 0; i < 20; ++i) backoff.Next(now - Millis(5), now);  // accepts and fails
  Nanos longest{};
  for (int i = 0; i < 20; ++i) longest = std::max(longest, backoff.Next(now - Millis(5), now));
  EXPECT_GT(longest, Millis(50));
  EXPECT_LE(backoff.Next(now - Millis(5000), now), Millis(1));
}

TEST(AliveTest, AGuardedCallbackOutlivesItsObjectAndDoesNothing) {
  int calls = 0;
  auto alive = std::make_unique<Alive>();
  auto guarded = alive->Guard([&calls](int add) { calls += add; });
  guarded(1);
  guarded(2);
  EXPECT_EQ(calls, 3);
  alive.reset();
  guarded(4);
  EXPECT_EQ(calls, 3);
}

class DeadlineListTest : public LoopTest {
 protected:
  struct Waiting {
    Clock::time_point start{};
    Waiting* previous = nullptr;
    Waiting* next = nullptr;
  };
  Waiting& Add(DeadlineList<Waiting>& list) {
    all_.push_back(std::make_unique<Waiting>());
    all_.back()->start = Clock::now();
    list.Add(all_.back().get());
    return *all_.back();
  }
  std::vector<std::unique_ptr<Waiting>> all_;
  std::vector<Waiting*> expired_;
};

TEST_F(DeadlineListTest, TellsOfThoseThatAreLeftInTheirOrder) {
  DeadlineList<Waiting> list(loop_.io(), Millis(20), [&](Waiting* waiting, Clock::time_point now) {
    EXPECT_GE(now, waiting->start + Millis(20));
    expired_.push_back(waiting);
  });
  for (int i = 0; i < 3; ++i) Add(list);
  DeadlineList<Waiting>::Remove(all_[1].get());
  ASSERT_TRUE(RunUntil([&] { return expired_.size() == 2; }));
  EXPECT_EQ(expired_, (std::vector<Waiting*>{all_[0].get(), all_[2].get()}));
  EXPECT_EQ(list.front(), nullptr);
  Add(list);
  ASSERT_TRUE(RunUntil([&] { return expired_.size() == 3; })) << "armed again";
}

TEST_F(DeadlineListTest, OneThatExpiresMayAddAndStop) {
  DeadlineList<Waiting>* itself = nullptr;
  DeadlineList<Waiting> list(loop_.io(), Millis(5), [&](Waiting* waiting, Clock::time_point) {
    expired_.push_back(waiting);
    expired_.size() < 3 ? void(Add(*itself)) : itself->Stop();
  });
  itself = &list;
  Add(list);
  Add(list);
  ASSERT_TRUE(RunUntil([&] { return expired_.size() == 3; }));
  RunFor(Millis(30));
  EXPECT_EQ(expired_.size(), 3u);
  EXPECT_NE(list.front(), nullptr);
}

TEST_F(DeadlineListTest, WithoutADeadlineNoneExpires) {
  DeadlineList<Waiting> list(loop_.io(), Nanos(0),
                             [&](Waiting* waiting, Clock::time_point) { expired_.push_back(waiting); });
  Add(list);
  RunFor(Millis(20));
  EXPECT_TRUE(expired_.empty());
}

class HostResolverTest : public LoopTest {};

TEST_F(HostResolverTest, NamesBecomeAddresses) {
  EXPECT_TRUE(HostResolver::IsAddress("127.0.0.1"));
  EXPECT_TRUE(HostResolver::IsAddress("::1"));
  EXPECT_FALSE(HostResolver::IsAddress("localhost"));
  HostResolver resolver(loop_.io());
  absl::StatusOr<std::string> found;
  bool told = false;
  resolver.Resolve("localhost", std::chrono::seconds(5), [&](absl::StatusOr<std::string> address) {
    found = std::move(address);
    told = true;
  });
  ASSERT_TRUE(RunUntil([&] { return told; }));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(*found == "127.0.0.1" || *found == "::1") << *found;
}

TEST_F(HostResolverTest, ACancelledOneIsNeverTold) {
  HostResolver resolver(loop_.io());
  bool told = false;
  resolver.Resolve("localhost", std::chrono::seconds(5), [&](const absl::StatusOr<std::string>&) { told = true; });
  resolver.Cancel();
  RunFor(Millis(50));
  EXPECT_FALSE(told);
}

class ProbedBreakerTest : public LoopTest {
 protected:
  ProbedBreaker Make(Nanos open_for) {
    Breaker::Options options;
    options.failures = 3;
    options.open_for = open_for;
    return {loop_,
            options,
            metrics_.AddGauge("state", "State"),
            {[this] {
               ++probes_;
               return connected_;
             },
             [this](bool opened, uint64_t) { ++(opened ? opened_ : closed_); }}};
  }
  int probes_ = 0, opened_ = 0, closed_ = 0;
  bool connected_ = true;
};

TEST_F(ProbedBreakerTest, ProbesAtOnceAndClosesByTwoAnswers) {
  ProbedBreaker breaker = Make(std::chrono::hours(1));
  for (int i = 0; i < 3; ++i) breaker.Count(ProbedBreaker::Result::kNoAnswer, Clock::now());
  EXPECT_FALSE(breaker.closed());
  ASSERT_TRUE(RunUntil([&] { return probes_ == 1; }));
  breaker.Probed(true);
  EXPECT_EQ(probes_, 2);
  breaker.Probed(true);
  EXPECT_TRUE(breaker.closed());
  EXPECT_EQ(opened_, 1);
}

TEST_F(ProbedBreakerTest, AfterRefusalsItWaits) {
  ProbedBreaker breaker = Make(Millis(40));
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < 3; ++i) breaker.Count(ProbedBreaker::Result::kRefusal, begin);
  ASSERT_TRUE(RunUntil([&] { return probes_ == 1; }));
  EXPECT_GE(Clock::now() - begin, Millis(40));
}

TEST_F(ProbedBreakerTest, WithoutAConnectionItGoesOnTryingAndANewOneCloses) {
  connected_ = false;
  ProbedBreaker breaker = Make(Millis(5));
  for (int i = 0; i < 3; ++i) breaker.Count(ProbedBreaker::Result::kNoAnswer, Clock::now());
  ASSERT_TRUE(RunUntil([&] { return probes_ >= 3; }));
  EXPECT_FALSE(breaker.closed());
  breaker.Connected();
  EXPECT_TRUE(breaker.closed());
  const int before = probes_;
  RunFor(Millis(20));
  EXPECT_EQ(probes_, before);
}

}  // namespace
}  // namespace lab::async
