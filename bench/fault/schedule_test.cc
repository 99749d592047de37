#include "bench/fault/schedule.h"

#include <mutex>

#include "bench/fault/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

class FaultScheduleTest : public testing::Test {
 protected:
  static FaultSpec Spec(const std::string& fault, Millis at, std::optional<Nanos> length = std::nullopt) {
    FaultSpec spec;
    spec.phase = "fault";
    spec.fault = fault;
    spec.offset = at;
    spec.length = length;
    return spec;
  }
  FaultSchedule::Options Options(double end_s = 0.8) {
    FaultSchedule::Options options;
    options.zero = Clock::now() + Millis(120);
    options.end_s = end_s;
    options.phases = {{"fault", 0, 0.5}, {"recover", 0.5, end_s}};
    options.target = [this](const std::string& part, int) { return part == "redis" ? &target_ : nullptr; };
    options.journal = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      journal_.push_back(line);
    };
    return options;
  }
  static void AwaitDone(const FaultSchedule& schedule) {
    const Clock::time_point end = Clock::now() + std::chrono::seconds(8);
    while (!schedule.Done() && Clock::now() < end) std::this_thread::sleep_for(Millis(5));
    ASSERT_TRUE(schedule.Done());
  }
  bool Answers() { return target_.Ask(Millis(1000)) == Look::kAnswers; }

  RedisTarget target_;
  std::mutex mutex_;
  std::vector<std::string> journal_;
};

TEST_F(FaultScheduleTest, AppliesSeesAndHealsInTime) {
  FaultSchedule schedule({Spec("redis.pause", Millis(100), Millis(200)), Spec("redis.flush", Millis(600))}, Options());
  ASSERT_TRUE(schedule.Check().ok());
  schedule.Start();
  AwaitDone(schedule);
  const std::vector<FaultRecord> records = schedule.records();
  ASSERT_EQ(records.size(), 2u);
  for (const FaultRecord& record : records) {
    EXPECT_EQ(record.error, "");
    ASSERT_TRUE(record.applied_s && record.seen_s && record.heal_asked_s && record.healed_s) << record.id;
    EXPECT_GE(*record.applied_s, record.asked_s);
    EXPECT_GE(*record.seen_s, *record.applied_s);
    EXPECT_GE(*record.healed_s, *record.heal_asked_s);
    EXPECT_NE(record.evidence, "");
  }
  EXPECT_EQ(records[0].id, "redis.pause#1");
  EXPECT_GE(*records[0].heal_asked_s, 0.3);
  EXPECT_THAT(journal_, testing::ElementsAre("apply redis.pause#1 on redis", "healed redis.pause#1 on redis",
                                             "apply redis.flush#1 on redis", "healed redis.flush#1 on redis"));
}

TEST_F(FaultScheduleTest, ADefusedFaultHasNoReceipt) {
  for (const char* fault : {"redis.pause", "redis.flush", "redis.readonly"}) {
    FaultSchedule::Options options = Options(0.4);
    options.defused = {fault};
    FaultSchedule schedule({Spec(fault, Millis(50), Millis(200))}, std::move(options));
    schedule.Start();
    AwaitDone(schedule);
    const FaultRecord record = schedule.records()[0];
    EXPECT_TRUE(record.applied_s) << fault;
    EXPECT_FALSE(record.seen_s) << fault << ": " << record.evidence;
    EXPECT_EQ(record.evidence, "");
  }
}

TEST_F(FaultScheduleTest, StopHealsAtOnceAndAppliesNothingMore) {
  FaultSchedule schedule(
      {Spec("redis.pause", Millis(0), std::chrono::seconds(30)), Spec("redis.flush", std::chrono::seconds(20))},
      Options(60));
  target_.server().Command({"SET", "kept", "1"});
  schedule.Start();
  const Clock::time_point end = Clock::now() + std::chrono::seconds(5);
  while (!schedule.records()[0].seen_s && Clock::now() < end) std::this_thread::sleep_for(Millis(5));
  ASSERT_TRUE(schedule.records()[0].seen_s);
  schedule.Stop();
  EXPECT_TRUE(Answers());
  EXPECT_FALSE(schedule.records()[1].applied_s);
  EXPECT_EQ(target_.server().Command({"GET", "kept"}), "1");
}

TEST_F(FaultScheduleTest, WhatWasNotSeenHealedIsNotWrittenDownAsHealed) {
  FaultSchedule schedule({Spec("redis.client_pause", Millis(0), std::chrono::seconds(3))}, Options(60));
  schedule.Start();
  const Clock::time_point end = Clock::now() + std::chrono::seconds(5);
  while (!schedule.records()[0].seen_s && Clock::now() < end) std::this_thread::sleep_for(Millis(5));
  schedule.Stop();  // a pause of all commands cannot be ended before its time, and nobody waits for it now
  const FaultRecord record = schedule.records()[0];
  EXPECT_TRUE(record.seen_s && record.heal_asked_s);
  EXPECT_FALSE(record.healed_s);
  EXPECT_THAT(record.error, testing::HasSubstr("not seen well again"));
  EXPECT_THAT(journal_, testing::ElementsAre("apply redis.client_pause#1 on redis"));
}

TEST_F(FaultScheduleTest, TheDestructorHeals) {
  {
    FaultSchedule schedule({Spec("redis.pause", Millis(0), std::chrono::seconds(30))}, Options(60));
    schedule.Start();
    while (!schedule.records()[0].applied_s) std::this_thread::sleep_for(Millis(5));
  }
  EXPECT_TRUE(Answers());
}

TEST_F(FaultScheduleTest, WithoutALengthASustainedFaultEndsWithItsPhase) {
  FaultSchedule schedule({Spec("redis.readonly", Millis(0))}, Options());
  schedule.Start();
  AwaitDone(schedule);
  EXPECT_GE(schedule.records()[0].heal_asked_s.value_or(0), 0.5);
  EXPECT_TRUE(schedule.records()[0].healed_s);
}

TEST_F(FaultScheduleTest, APartThatIsNotWellBeforeIsNotBroken) {
  target_.server().Pause();
  FaultSchedule schedule({Spec("redis.flush", Millis(0))}, Options(0.3));
  schedule.Start();
  AwaitDone(schedule);
  target_.server().Continue();
  EXPECT_FALSE(schedule.records()[0].applied_s);
  EXPECT_THAT(schedule.records()[0].error, testing::HasSubstr("before"));
}

TEST_F(FaultScheduleTest, AFaultAskedForWhileItRunsGoesTheSameWay) {
  FaultSchedule schedule({}, Options(60));
  schedule.Start();
  EXPECT_TRUE(schedule.Done());
  const absl::StatusOr<std::string> id = schedule.Add(Spec("redis.pause", Millis(0), Millis(150)));
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*id, "redis.pause#1");
  AwaitDone(schedule);
  ASSERT_EQ(schedule.records().size(), 1u);
  const FaultRecord record = schedule.records()[0];
  EXPECT_EQ(record.error, "");
  EXPECT_TRUE(record.seen_s && record.healed_s);
  ASSERT_TRUE(record.ends_s);
  EXPECT_GE(*record.heal_asked_s, *record.ends_s);
  EXPECT_NEAR(*record.ends_s - record.asked_s, 0.15, 1e-6);
  EXPECT_THAT(journal_, testing::ElementsAre("apply redis.pause#1 on redis", "healed redis.pause#1 on redis"));
  EXPECT_EQ(*schedule.Add(Spec("redis.flush", Millis(0))), "redis.flush#1");
  EXPECT_EQ(*schedule.Add(Spec("redis.flush", Millis(0))), "redis.flush#2");
  AwaitDone(schedule);
}

TEST_F(FaultScheduleTest, HealsOneOrAllAtOnce) {
  FaultSchedule schedule({}, Options(600));
  schedule.Start();
  const auto applied = [&](size_t index) {
    const Clock::time_point end = Clock::now() + std::chrono::seconds(5);
    while (!schedule.records()[index].seen_s && Clock::now() < end) std::this_thread::sleep_for(Millis(5));
    return schedule.records()[index].seen_s.has_value();
  };
  const std::string pause = *schedule.Add(Spec("redis.pause", Millis(0), std::chrono::seconds(300)));
  ASSERT_TRUE(applied(0));
  EXPECT_THAT(schedule.Heal("redis.pause#7"), testing::IsEmpty());
  EXPECT_THAT(schedule.Heal(pause), testing::ElementsAre(pause));
  AwaitDone(schedule);
  EXPECT_TRUE(schedule.records()[0].healed_s);
  EXPECT_THAT(schedule.Heal(pause), testing::IsEmpty()) << "it has ended";

  const std::string readonly = *schedule.Add(Spec("redis.readonly", Millis(0), std::chrono::seconds(300)));
  const std::string limit = *schedule.Add(Spec("redis.memory_limit", Millis(0), std::chrono::seconds(300)));
  EXPECT_THAT(schedule.HealAll(), testing::ElementsAre(readonly, limit));
  AwaitDone(schedule);
  EXPECT_EQ(target_.server().Command({"SET", "after", "1"}), "OK");
}

TEST_F(FaultScheduleTest, AnEarlyHealOfWhatEndsByItselfIsAwaited) {
  FaultSchedule schedule({}, Options(600));
  schedule.Start();
  // Longer than a planned heal would wait for.
  ASSERT_TRUE(schedule.Add(Spec("redis.client_pause", Millis(0), std::chrono::seconds(6))).ok());
  const Clock::time_point end = Clock::now() + std::chrono::seconds(5);
  while (!schedule.records()[0].seen_s && Clock::now() < end) std::this_thread::sleep_for(Millis(5));
  schedule.HealAll();
  const Clock::time_point patience = Clock::now() + std::chrono::seconds(20);
  while (!schedule.Done() && Clock::now() < patience) std::this_thread::sleep_for(Millis(20));
  EXPECT_TRUE(schedule.records()[0].healed_s) << schedule.records()[0].error;
}

TEST_F(FaultScheduleTest, WhatCannotBeAddedIsSaid) {
  FaultSchedule schedule({}, Options(60));
  schedule.Start();
  EXPECT_THAT(schedule.Add(Spec("redis.pauze", Millis(0))).status().ToString(), testing::HasSubstr("pause"));
  EXPECT_THAT(schedule.Add(Spec("radish.pause", Millis(0))).status().ToString(), testing::HasSubstr("radish"));
  EXPECT_EQ(*schedule.Add(Spec("redis.flush", Millis(0))), "redis.flush#1");
  schedule.Stop();
  EXPECT_TRUE(absl::IsFailedPrecondition(schedule.Add(Spec("redis.flush", Millis(0))).status()));
}

TEST_F(FaultScheduleTest, OfEndedOnesTheNewestAreRemembered) {
  target_.server().Pause();  // they end at once: what does not answer is not broken further
  FaultSchedule schedule({}, Options(600));
  schedule.Start();
  std::string last;
  for (size_t i = 0; i < FaultSchedule::kMaxEnded + 5; ++i) {
    absl::StatusOr<std::string> id = schedule.Add(Spec("redis.kill", Millis(0)));
    while (!id.ok() && absl::IsResourceExhausted(id.status())) {  // as many at once as may be
      std::this_thread::sleep_for(Millis(10));
      id = schedule.Add(Spec("redis.kill", Millis(0)));
    }
    ASSERT_TRUE(id.ok()) << id.status();
    last = *id;
  }
  EXPECT_EQ(last, Concat("redis.kill#", FaultSchedule::kMaxEnded + 5));
  EXPECT_EQ(schedule.records().back().id, last);
  EXPECT_LE(schedule.records().size(), FaultSchedule::kMaxEnded + FaultSchedule::kMaxOpen);
  schedule.Stop();
  target_.server().Continue();
}

TEST_F(FaultScheduleTest, CheckNamesWhatDoesNotExist) {
  EXPECT_THAT(FaultSchedule({Spec("redis.pauze", Millis(0))}, Options()).Check().ToString(),
              testing::HasSubstr("pause"));
  EXPECT_THAT(FaultSchedule({Spec("radish.pause", Millis(0))}, Options()).Check().ToString(),
              testing::HasSubstr("radish"));
}

}  // namespace
}  // namespace lab::bench
