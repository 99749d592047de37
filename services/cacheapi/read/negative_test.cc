#include <algorithm>
#include <cstdint>

#include "services/cacheapi/testing/modes_fixture.h"

namespace lab::cacheapi {
namespace {

class NegativeTest : public ModesTest {
 protected:
  BrandCreator& Creator(Process& process) {
    return *creators_.emplace_back(std::make_unique<BrandCreator>(*origin_, process.writer, nullptr, &gate_, metrics_));
  }
  // Race 12: R finds none; C inserts, commits and tells the caches; R keeps that there is none. Whether it exists at
  // rest.
  bool ExistsAtRest(Process& process) {
    BrandCreator& creator = Creator(process);
    const auto reader = Asking(process, "new", std::chrono::seconds(8), "R");
    Go("R", Step::kGet);
    Go("R", Step::kSelect);
    EXPECT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSet; }));
    const auto making = Creating(creator, "new", "C");
    Go("C", Step::kWrite);
    Go("C", Step::kCommit);
    Go("C", Step::kDelete);
    EXPECT_TRUE(RunUntil([&] { return making->ended; }));
    EXPECT_TRUE(making->made.ok()) << making->made.status();
    const double before = Stores();
    Go("R", Step::kSet);
    EXPECT_TRUE(RunUntil([&] { return Stores() > before; }));
    return Exists(Ask(process, "new"));
  }
  std::vector<std::unique_ptr<BrandCreator>> creators_;
};

TEST_F(NegativeTest, ThatThereIsNoneIsKept) {
  Process& process = Start(LeasedReads(), {});
  EXPECT_EQ(Via(Ask(process, "new")), "origin");
  ASSERT_TRUE(Comes(CacheKey("new", kDefaultWindow)));
  const Answer kept = Ask(process, "new");
  EXPECT_EQ(Via(kept), "l2");
  EXPECT_TRUE(kept.value.negative);
  EXPECT_EQ(Metric("cacheapi_origin_reads_total{outcome=\"unknown\"}"), 1);
}

TEST_F(NegativeTest, WithoutItEveryRequestReachesTheDatabase) {
  Reader::Options reads = LeasedReads();
  reads.negative = false;
  Process& process = Start(reads, {});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Via(Ask(process, "new")), "origin");
  EXPECT_EQ(Metric("cacheapi_origin_reads_total{outcome=\"unknown\"}"), 3);
}

TEST_F(NegativeTest, GoneInAllTiersAtTheMomentOfTheInsert) {
  Reader::Options reads = LeasedReads();
  reads.local = true;
  Process& process = Start(reads, {});
  EXPECT_FALSE(Exists(Ask(process, "new")));
  ASSERT_TRUE(Comes(CacheKey("new", kDefaultWindow)));
  EXPECT_EQ(Via(Ask(process, "new")), "l1");
  ASSERT_TRUE(Create(Creator(process), "new").ok());
  EXPECT_FALSE(InRedis(CacheKey("new", kDefaultWindow)));
  EXPECT_TRUE(Exists(Ask(process, "new")));
}

TEST_F(NegativeTest, ALeaseClosesRace12) { EXPECT_TRUE(ExistsAtRest(Start(LeasedReads(), {}))); }
TEST_F(NegativeTest, ATombstoneClosesItToo) {
  Reader::Options reads = PlainReads();
  reads.newer_only = true;
  EXPECT_TRUE(ExistsAtRest(Start(reads, Writes(WritePattern::kBury))));
}
TEST_F(NegativeTest, PlainFillsLeaveItOpen) { EXPECT_FALSE(ExistsAtRest(Start(PlainReads(), {}))); }

TEST_F(NegativeTest, L1ClosesItByItself) {
  Reader::Options reads = PlainReads();
  reads.local = true;
  reads.shared = false;
  Process& process = Start(reads, {});
  const auto reader = Asking(process, "new", std::chrono::seconds(8), "R");
  Go("R", Step::kSelect);
  // Its answer is under way; what it says of the past must not be kept.
  ASSERT_TRUE(Create(Creator(process), "new").ok());
  Ended(reader);
  EXPECT_TRUE(Exists(Ask(process, "new")));
}

// All were filled at once; with jitter they do not end at once.
TEST_F(NegativeTest, JitterSpreadsTheEnds) {
  constexpr int kBrands = 40;
  for (const double jitter : {0.0, 0.5}) {
    redis_server_->Command({"FLUSHALL"});
    shared_.emplace(*redis_, *clock_, SharedCache::Options{.ttl = std::chrono::hours(1), .jitter = jitter}, metrics_,
                    7);
    Process& process = Start(LeasedReads(), {});
    int64_t least = INT64_MAX, most = 0;
    for (int i = 0; i < kBrands; ++i) {
      const std::string brand = "j" + std::to_string(i);
      if (jitter == 0) Insert(brand);
      Ask(process, brand);
      const std::string key = CacheKey(brand, kDefaultWindow);
      ASSERT_TRUE(Comes(key));
      const int64_t left = std::stoll(redis_server_->Command({"PTTL", key}));
      least = std::min(least, left);
      most = std::max(most, left);
    }
    EXPECT_LE(most, 3'600'000);
    if (jitter == 0) {
      EXPECT_GE(least, 3'500'000);
    } else {
      EXPECT_GE(least, 1'700'000) << "never shorter than the share";
      EXPECT_GE(most - least, 900'000) << "half of what is possible";
    }
  }
}

}  // namespace
}  // namespace lab::cacheapi
