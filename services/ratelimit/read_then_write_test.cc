#include <gtest/gtest.h>

#include <utility>

#include "services/ratelimit/read_then_write_store.h"
#include "services/ratelimit/replica_clock.h"
#include "services/ratelimit/store_testing.h"

namespace lab::ratelimit {
namespace {

class ReadThenWriteTest : public testing::Test {
 protected:
  // Batches of one request each, all on their way at once: how many pass.
  int Admitted(int batches, UnixMicros now = kTestEpoch) {
    std::vector<Batch> all(static_cast<size_t>(batches));
    int answered = 0, admitted = 0;
    for (Batch& batch : all) {
      batch.now = now;
      batch.AddGroup();
      batch.AddTerm("k", {&limit_});
      store_.Run(batch, [&](const absl::Status& status) {
        EXPECT_TRUE(status.ok()) << status;
        ++answered;
        admitted += Answers(batch)[0].passed ? 1 : 0;
      });
    }
    EXPECT_TRUE(redis_.TurnUntil([&] { return answered == batches; }));
    return admitted;
  }

  RedisUnderTest redis_;
  ReadThenWriteStore store_{*redis_.client};
  const Limit limit_ = MakeLimit(Algorithm::kFixedWindow, 5, 10 * kSecondUs).value();
};

TEST_F(ReadThenWriteTest, OneAfterTheOtherItKeepsTheLimit) {
  int admitted = 0;
  for (int i = 0; i < 9; ++i) admitted += Admitted(1);
  EXPECT_EQ(admitted, 5);
  EXPECT_EQ(Admitted(1, kTestEpoch + 10 * kSecondUs), 1) << "the next window";
}

TEST_F(ReadThenWriteTest, AllThatReadBeforeTheFirstWritePass) {
  EXPECT_EQ(Admitted(20), 20);
  EXPECT_EQ(Admitted(20), 20) << "the last write has made one of the first twenty";
}

TEST_F(ReadThenWriteTest, AValueLivesForItsWindow) {
  Admitted(1, kTestEpoch + 4 * kSecondUs);
  EXPECT_LE(std::stoll(redis_.server.Command({"PTTL", "k"})), 7'000);
  EXPECT_GE(std::stoll(redis_.server.Command({"PTTL", "k"})), 1);
}

TEST_F(ReadThenWriteTest, ABatchOfSeveralGroupsOnAKeyAddsUp) {
  Batch batch;
  batch.now = kTestEpoch;
  for (int i = 0; i < 3; ++i) {
    batch.AddGroup().count = 2;
    batch.AddTerm("k", {&limit_});
  }
  bool done = false;
  store_.Run(batch, [&](const absl::Status& status) { done = status.ok(); });
  ASSERT_TRUE(redis_.TurnUntil([&] { return done; }));
  const auto answers = Answers(batch);
  EXPECT_TRUE(answers[4].passed);
  EXPECT_FALSE(answers[5].passed);
}

TEST(ReplicaClockTest, ASkewedReplicaFindsNoSecondWindow) {
  MemoryUnderTest memory;
  const Limit limit = MakeLimit(Algorithm::kFixedWindow, 5, 10 * kSecondUs).value();
  // On both sides of an edge: the fast clock has moved the window on, and the slow one counts along.
  int admitted = 0;
  for (int i = 0; i < 12; ++i) {
    admitted += memory.Passes(kTestEpoch + (i % 2 == 0 ? 50'000 : -50'000), limit) ? 1 : 0;
  }
  EXPECT_EQ(admitted, 5);
}

TEST(ReplicaClockTest, AsksWithTheClockOfTheReplica) {
  MemoryStore memory(10, [] { return kTestEpoch; });
  ReplicaClock skewed(memory, 3'600 * kSecondUs);
  const Limit limit = MakeLimit(Algorithm::kFixedWindow, 5, kSecondUs).value();
  Batch batch;
  batch.AddGroup();
  batch.AddTerm("k", {&limit});
  skewed.Run(batch, [](const absl::Status&) {});
  EXPECT_NEAR(static_cast<double>(batch.now), static_cast<double>(MemoryStore::SystemMicros()) + 3600e6, 60e6);
}

}  // namespace
}  // namespace lab::ratelimit
