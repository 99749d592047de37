#include "bench/fault/schedule.h"

#include <mutex>

#include "bench/fault/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

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

TEST_F(FaultScheduleTest, CheckNamesWhatDoesNotExist) {
  EXPECT_THAT(FaultSchedule({Spec("redis.pauze", Millis(0))}, Options()).Check().ToString(),
              testing::HasSubstr("pause"));
  EXPECT_THAT(FaultSchedule({Spec("radish.pause", Millis(0))}, Options()).Check().ToString(),
              testing::HasSubstr("radish"));
}

}  // namespace
}  // namespace lab::bench
