#include "services/cacheapi/testing/modes_fixture.h"

namespace lab::cacheapi {
namespace {

using Keys = std::vector<WantedKeys::Key>;

TEST(WantedKeysTest, TheMostWantedComesFirst) {
  WantedKeys wanted(7);
  const Clock::time_point now(std::chrono::hours(1));
  for (int i = 0; i < 3'000; ++i) {
    wanted.Observe("acme", Window::kDay, now);
    wanted.Observe("acme", Window::kHour, now);
    wanted.Observe("acme", Window::kHour, now);
  }
  EXPECT_EQ(wanted.Top(), (Keys{{"acme", Window::kHour}, {"acme", Window::kDay}}));
  wanted.Observe("acme", Window::kDay, now + std::chrono::hours(9));
  for (int i = 0; i < 100; ++i) wanted.Observe("new", Window::kDay, now + std::chrono::hours(9));
  EXPECT_EQ(wanted.Top().front().brand, "new") << "what was wanted yesterday is forgotten";
}

TEST(WantedKeysTest, AListThatWasKeptIsReadAgainAndWhatIsNoneIsLeftOut) {
  const Keys keys = {{"acme", Window::kHour}, {"ماركة", Window::kMonth}};
  EXPECT_EQ(WantedKeys::FromText(WantedKeys::ToText(keys)), keys);
  EXPECT_EQ(WantedKeys::FromText("1h acme\nnothing\n5h acme\n24h a b\n\n24h beta"),
            (Keys{{"acme", Window::kHour}, {"beta", Window::kDay}}));
  EXPECT_TRUE(WantedKeys::FromText("").empty());
}

class WarmUpTest : public ModesTest {
 protected:
  void SetUp() override {
    ModesTest::SetUp();
    if (postgres_ == nullptr) return;
    for (const char* brand : {"b1", "b2", "b3"}) Insert(brand);
  }
  ~WarmUpTest() override { warm_up_.reset(); }
  WarmUp& Warming(int keys, int concurrency = 8, double rate = 10'000) {
    queue_.emplace(loop_, *origin_, Admission::Options{.concurrency = concurrency}, metrics_);
    process_ = &Start(LeasedReads(), {}, {.queue = &*queue_, .wanted = &wanted_});
    WarmUp::Options options;
    options.keys = keys;
    options.rate = rate;
    options.look = std::chrono::hours(1);
    return warm_up_.emplace(WarmUp::Parts{loop_, &*redis_, *origin_, *queue_, process_->reader, wanted_}, options,
                            metrics_);
  }
  void Warm(int keys) {
    WarmUp& warm_up = Warming(keys);
    warm_up.Start();
    ASSERT_TRUE(RunUntil([&] { return warm_up.done(); }));
  }
  static std::string Key(const std::string& brand, Window window = kDefaultWindow) { return CacheKey(brand, window); }
  double Loads(const std::string& outcome) {
    return Metric("cacheapi_warmup_loads_total{outcome=\"" + outcome + "\"}");
  }

  WantedKeys wanted_{7};
  Process* process_ = nullptr;
  std::optional<WarmUp> warm_up_;
};

TEST_F(WarmUpTest, TheFirstBrandsByNameWhenNothingElseIsKnown) {
  Warm(3);
  ASSERT_TRUE(Comes(Key("acme")) && Comes(Key("b1")) && Comes(Key("b2")));
  EXPECT_FALSE(InRedis(Key("b3")));
  EXPECT_EQ(Loads("ok"), 3);
  EXPECT_EQ(Via(Ask(*process_, "b1")), "l2");
}

TEST_F(WarmUpTest, NoneIsDoneAtOnce) {
  Process& process = Start(LeasedReads(), {});
  queue_.emplace(loop_, *origin_, Admission::Options{}, metrics_);
  const WarmUp none({loop_, &*redis_, *origin_, *queue_, process.reader, wanted_}, {}, metrics_);
  EXPECT_TRUE(none.done());
}

TEST_F(WarmUpTest, WhatAnotherProcessFoundWantedComesFirst) {
  redis_server_->Command({"SET", "cacheapi:wanted", "1h b3\n7d b2\n"});
  Warm(3);
  ASSERT_TRUE(Comes(Key("b3", Window::kHour)) && Comes(Key("b2", Window::kWeek)) && Comes(Key("acme")));
  EXPECT_FALSE(InRedis(Key("b1")));
}

TEST_F(WarmUpTest, WhatItsOwnRequestsWantedComesBeforeThat) {
  redis_server_->Command({"SET", "cacheapi:wanted", "1h b3\n"});
  for (int i = 0; i < 1'000; ++i) wanted_.Observe("b1", Window::kMonth, Clock::now());
  Warm(1);
  ASSERT_TRUE(Comes(Key("b1", Window::kMonth)));
  EXPECT_FALSE(InRedis(Key("b3", Window::kHour)));
}

TEST_F(WarmUpTest, AgainWhenRedisHasComeBackEmpty) {
  Warm(2);
  ASSERT_TRUE(Comes("cacheapi:warm"));
  warm_up_->Look();
  RunFor(Millis(20));
  EXPECT_FALSE(warm_up_->running()) << "nothing is lost";
  redis_server_->Command({"FLUSHALL"});
  warm_up_->Look();
  ASSERT_TRUE(Comes(Key("acme")) && Comes(Key("b1")));
  ASSERT_TRUE(RunUntil([&] { return !warm_up_->running(); }));
  EXPECT_EQ(Metric("cacheapi_warmups_total{why=\"empty\"}"), 1);
}

TEST_F(WarmUpTest, OfManyProcessesOneWarmsUpWhatIsEmpty) {
  Warm(2);
  WarmUp second({loop_, &*redis_, *origin_, *queue_, process_->reader, wanted_}, {.keys = 2}, metrics_);
  redis_server_->Command({"FLUSHALL"});
  warm_up_->Look();
  second.Look();
  ASSERT_TRUE(RunUntil([&] { return warm_up_->running() || second.running(); }));
  ASSERT_TRUE(RunUntil([&] { return !warm_up_->running() && !second.running(); }));
  EXPECT_EQ(Metric("cacheapi_warmups_total{why=\"empty\"}"), 1);
}

// A read of a user is on its way, on the only place there is: no key is loaded before it has its answer.
TEST_F(WarmUpTest, UsersGoFirst) {
  origin_.emplace(*reads_, *writes_, Origin::Options{.delay = Millis(100)}, metrics_);
  WarmUp& warm_up = Warming(2, 1);
  const auto user = Asking(*process_, "b3");
  ASSERT_TRUE(RunUntil([&] { return !queue_->idle(); }));
  warm_up.Start();
  double loaded_before = 0;
  ASSERT_TRUE(RunUntil([&] {
    loaded_before = Loads("ok");
    return user->ended;
  }));
  EXPECT_EQ(loaded_before, 0);
  ASSERT_TRUE(RunUntil([&] { return warm_up.done(); }));
  EXPECT_EQ(Loads("ok"), 2);
}

// The database is away at the start, and comes.
TEST_F(WarmUpTest, GoesOnTryingUntilTheDatabaseAnswers) {
  WarmUp& warm_up = Warming(2);
  postgres_->Kill();
  ASSERT_TRUE(RunUntil([&] { return !reads_->connected(); }));
  warm_up.Start();
  RunFor(Millis(100));
  EXPECT_FALSE(warm_up.done());
  postgres_->Start();
  ASSERT_TRUE(RunUntil([&] { return warm_up.done(); }));
  ASSERT_TRUE(Comes(Key("acme")) && Comes(Key("b1")));
}

// Redis has come back empty while the database is away, too: with nothing known to load, and with something.
TEST_F(WarmUpTest, WhatCouldNotBeWarmedUpIsTriedAgain) {
  Warm(2);
  for (const bool known : {false, true}) {
    if (known) {
      for (int i = 0; i < 1'000; ++i) wanted_.Observe("b1", kDefaultWindow, Clock::now());
    }
    postgres_->Kill();
    ASSERT_TRUE(RunUntil([&] { return !reads_->connected(); }));
    redis_server_->Command({"FLUSHALL"});
    const double before = Metric("cacheapi_warmups_total{why=\"empty\"}");
    const auto look_until_tried = [&](double times) {
      return RunUntil([&] {
        warm_up_->Look();
        return Metric("cacheapi_warmups_total{why=\"empty\"}") >= before + times && !warm_up_->running();
      });
    };
    ASSERT_TRUE(look_until_tried(3)) << "again and again";
    postgres_->Start();
    ASSERT_TRUE(RunUntil([&] { return reads_->connected(); }));
    ASSERT_TRUE(RunUntil([&] {
      warm_up_->Look();
      return InRedis(Key("b1")) && !warm_up_->running();
    }));
    ASSERT_TRUE(Comes("cacheapi:warm"));
  }
}

}  // namespace
}  // namespace lab::cacheapi
