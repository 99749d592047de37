#include <cmath>

#include "services/cacheapi/testing/modes_fixture.h"

namespace lab::cacheapi {
namespace {

constexpr std::string_view kMeta = kFilterKeys[0], kBits = kFilterKeys[1];

class BrandFilterTest : public ModesTest {
 protected:
  static BrandFilter::Options Small() {
    BrandFilter::Options options;
    options.build.keys = 1000;
    options.build.false_positives = 1e-6;
    options.look = std::chrono::hours(1);  // only when it is told to
    return options;
  }
  BrandFilter& Filter(std::optional<BrandFilter>& place, const BrandFilter::Options& options = Small()) {
    return place.emplace(loop_, *redis_, *origin_, options, metrics_, ++seed_);
  }
  BrandFilter& Whole(const BrandFilter::Options& options = Small()) {
    BrandFilter& filter = Filter(filter_, options);
    filter.Start();
    EXPECT_TRUE(RunUntil([&] { return filter.whole() && filter.generations() > 0; }));
    return filter;
  }
  // What Redis says of it.
  bool Admits(BrandFilter& filter, const std::string& brand) {
    std::optional<bool> may;
    filter.Ask(brand, [&](bool may_exist) { may = may_exist; });
    EXPECT_TRUE(RunUntil([&] { return may.has_value(); }));
    return may.value_or(true);
  }
  Process& Reading(BrandFilter& filter) { return Start(LeasedReads(), {}, {.filter = &filter}); }
  BrandCreator Creator(Process& process, BrandFilter* filter) {
    return BrandCreator(*origin_, process.writer, filter, &gate_, metrics_);
  }
  double Asked(const std::string& outcome) { return Metric("cacheapi_bloom_asked_total{outcome=\"" + outcome + "\"}"); }

  uint64_t seed_ = 0;
};

TEST_F(BrandFilterTest, WhatDoesNotExistNeverReachesTheDatabase) {
  Process& process = Reading(Whole());
  EXPECT_TRUE(Exists(Ask(process, "acme")));
  const Answer none = Ask(process, "nobody");
  EXPECT_TRUE(none.status.ok()) << none.status;
  EXPECT_TRUE(none.value.negative);
  EXPECT_EQ(Via(none), "bloom");
  EXPECT_EQ(Metric("cacheapi_origin_reads_total{outcome=\"unknown\"}"), 0);
  EXPECT_EQ(Asked("denied"), 1);
  EXPECT_FALSE(InRedis(CacheKey("nobody", kDefaultWindow)));
}

TEST_F(BrandFilterTest, UntilItIsWholeEverythingPasses) {
  Process& process = Reading(Filter(filter_));
  const Answer none = Ask(process, "nobody");
  EXPECT_TRUE(none.value.negative);
  EXPECT_EQ(Via(none), "origin");
}

TEST_F(BrandFilterTest, WithRedisAwayEverythingPasses) {
  Process& process = Reading(Whole());
  redis_->Close();
  const Answer none = Ask(process, "nobody");
  EXPECT_TRUE(none.status.ok()) << none.status;
  EXPECT_EQ(Via(none), "origin");
  EXPECT_EQ(Asked("unsure"), 1);
}

// Race 23, with a creator in another process than the reader: its bits are there before its row can be.
TEST_F(BrandFilterTest, ABrandIsAddedBeforeItCanBeSeen) {
  Process& reader = Reading(Whole());
  Process& other = Start(LeasedReads(), {});
  BrandCreator creator = Creator(other, &Filter(other_filter_));
  const auto making = Creating(creator, "new", "C");
  Go("C", Step::kWrite);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("C") == Step::kCommit; }));
  EXPECT_TRUE(Admits(*filter_, "new")) << "added, not committed";
  const Answer before = Ask(reader, "new");
  EXPECT_TRUE(before.value.negative);
  EXPECT_EQ(Via(before), "origin") << "it was the database that had none";
  Go("C", Step::kCommit);
  Go("C", Step::kDelete);
  ASSERT_TRUE(RunUntil([&] { return making->ended; }));
  ASSERT_TRUE(making->made.ok()) << making->made.status();
  EXPECT_TRUE(making->made->created);
  EXPECT_TRUE(Exists(Ask(reader, "new"))) << "and the negative entry is gone too";
}

// The same race, open: somebody inserts without adding.
TEST_F(BrandFilterTest, WhoInsertsWithoutAddingIsDenied) {
  Process& reader = Reading(Whole());
  Insert("new");
  EXPECT_EQ(Via(Ask(reader, "new")), "bloom") << "denied, though it exists";
}

// A creator that had added its bits before the next filter began: the builder waits for it, and then sees its row.
TEST_F(BrandFilterTest, TheBuilderWaitsForTheCreatorsUnderWay) {
  Process& process = Start(LeasedReads(), {});
  BrandFilter& filter = Filter(filter_);
  BrandCreator creator = Creator(process, &filter);
  const auto making = Creating(creator, "early", "C");
  Go("C", Step::kWrite);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("C") == Step::kCommit; }));
  filter.Start();
  ASSERT_TRUE(RunUntil([&] { return InRedis(std::string(kFilterKeys[2])); })) << "the next one has begun";
  ASSERT_TRUE(RunUntil([&] {
    return postgres_->Admin("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", "lab") == "1";
  })) << "the builder waits";
  // Who adds now goes into the next one.
  bool added = false;
  filter.Add("meanwhile", [&](const absl::Status& status) { added = status.ok(); });
  ASSERT_TRUE(RunUntil([&] { return added; }));
  EXPECT_FALSE(filter.whole());
  Go("C", Step::kCommit);
  Go("C", Step::kDelete);
  ASSERT_TRUE(RunUntil([&] { return making->ended && filter.whole(); }));
  EXPECT_TRUE(Admits(filter, "early"));
  EXPECT_TRUE(Admits(filter, "meanwhile"));
  EXPECT_FALSE(Admits(filter, "nobody"));
}

TEST_F(BrandFilterTest, BitsThatRedisHasLostDenyNothing) {
  BrandFilter& filter = Whole();
  EXPECT_FALSE(Admits(filter, "nobody"));
  redis_server_->Command({"DEL", std::string(kBits)});
  EXPECT_TRUE(Admits(filter, "nobody")) << "evicted";
  redis_server_->Command({"SETBIT", std::string(kBits), "7", "1"});
  EXPECT_TRUE(Admits(filter, "nobody")) << "begun anew by somebody";
  filter.Look();
  ASSERT_TRUE(RunUntil([&] { return filter.generations() == 2; }));
  EXPECT_FALSE(Admits(filter, "nobody")) << "built anew";
  redis_server_->Command({"HSET", std::string(kMeta), "run_id", std::string(40, 'a')});
  EXPECT_TRUE(Admits(filter, "nobody")) << "of another server: its last bits may be missing here";
}

TEST_F(BrandFilterTest, HashesThatNobodyMakesAreNotCountedTo) {
  BrandFilter& filter = Whole();
  for (const char* const hashes : {"9223372036854775807", "65", "0", "-1", "nan", "many"}) {
    const uint64_t before = filter.generations();
    redis_server_->Command({"HSET", std::string(kMeta), "hashes", hashes});
    EXPECT_TRUE(Admits(filter, "nobody")) << hashes;
    filter.Look();
    ASSERT_TRUE(RunUntil([&] { return filter.generations() == before + 1; })) << hashes;
    EXPECT_FALSE(Admits(filter, "nobody")) << "built anew";
  }
}

TEST_F(BrandFilterTest, AfterARestartOfRedisItIsBuiltAnew) {
  BrandFilter::Options options = Small();
  options.look = Millis(5);
  BrandFilter& filter = Whole(options);
  redis_server_->Kill();
  EXPECT_TRUE(Admits(filter, "nobody"));
  redis_server_->Start();
  ASSERT_TRUE(RunUntil([&] { return filter.generations() == 2; }));
  EXPECT_TRUE(Admits(filter, "acme"));
  EXPECT_FALSE(Admits(filter, "nobody"));
}

TEST_F(BrandFilterTest, DeletedBrandsGoWithTheNextOne) {
  Insert("gone");
  BrandFilter::Options options = Small();
  options.rebuild = Nanos(0);
  BrandFilter& filter = Whole(options);
  postgres_->Query("DELETE FROM brand WHERE id = 'gone'");
  EXPECT_TRUE(Admits(filter, "gone"));
  filter.Look();
  ASSERT_TRUE(RunUntil([&] { return filter.generations() == 2; }));
  EXPECT_FALSE(Admits(filter, "gone"));
}

TEST_F(BrandFilterTest, ASecondProcessTakesTheFilterOfTheFirst) {
  Whole();
  BrandFilter& other = Filter(other_filter_);
  other.Start();
  ASSERT_TRUE(RunUntil([&] { return other.generations() == 1; }));
  EXPECT_TRUE(other.MayExist("acme"));
  EXPECT_FALSE(other.MayExist("nobody"));
  EXPECT_EQ(Metric("cacheapi_bloom_builds_total{outcome=\"built\"}"), 1);
}

// In pages and pieces; the share that passes is that of theory.
TEST_F(BrandFilterTest, ManyBrandsAndNoneIsDenied) {
  constexpr int kBrands = 20'000, kProbes = 50'000;
  postgres_->Query("INSERT INTO brand SELECT 'b' || i, 'A brand' FROM generate_series(1, 20000) AS i");
  BrandFilter::Options options = Small();
  options.build.keys = kBrands;
  options.build.false_positives = 1e-5;  // 60 KiB: two pieces
  options.build.page = 700;
  BrandFilter& filter = Whole(options);
  BrandFilter& other = Filter(other_filter_, options);
  other.Start();
  ASSERT_TRUE(RunUntil([&] { return other.generations() == 1; }));
  for (int i = 1; i <= kBrands; ++i) {
    ASSERT_TRUE(filter.MayExist("b" + std::to_string(i))) << i;
    ASSERT_TRUE(other.MayExist("b" + std::to_string(i))) << i;
  }
  int passed = 0;
  for (int i = 0; i < kProbes; ++i) passed += filter.MayExist("none" + std::to_string(i)) ? 1 : 0;
  EXPECT_LE(passed, 6) << "0.5 expected";
  EXPECT_TRUE(Admits(filter, "b777")) << "the script computes the same places";
  EXPECT_FALSE(Admits(filter, "none-at-all"));
  postgres_->Query("DELETE FROM brand WHERE id <> 'acme'");
}

TEST_F(BrandFilterTest, WithoutRedisNoBrandIsMade) {
  Process& process = Start(LeasedReads(), {});
  BrandFilter& filter = Whole();
  BrandCreator creator = Creator(process, &filter);
  redis_->Close();
  EXPECT_EQ(Create(creator, "new").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(postgres_->Query("SELECT count(*) FROM brand WHERE id = 'new'"), "0");
}

TEST_F(BrandFilterTest, ABrandIsMadeOnceHoweverOftenItIsSent) {
  Process& process = Start(LeasedReads(), {});
  BrandCreator creator = Creator(process, &Whole());
  const auto first = Create(creator, "new"), again = Create(creator, "new");
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(first->created);
  EXPECT_FALSE(again->created);
  EXPECT_EQ(first->version, again->version);
  EXPECT_EQ(Create(creator, "new", "another name").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(postgres_->Query("SELECT count(*) FROM outbox WHERE brand_id = 'new'"), "1");
}

TEST_F(BrandFilterTest, TwoWhoMakeTheSameBrandAtOnce) {
  Process& process = Start(LeasedReads(), {});
  BrandCreator creator = Creator(process, &Whole());
  const auto first = Creating(creator, "new", "A"), second = Creating(creator, "new", "B");
  Go("A", Step::kWrite);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("A") == Step::kCommit; }));
  Go("B", Step::kWrite);  // waits for the other one's row
  Go("A", Step::kCommit);
  Go("A", Step::kDelete);
  ASSERT_TRUE(RunUntil([&] { return first->ended && second->ended; }));
  ASSERT_TRUE(first->made.ok() && second->made.ok()) << first->made.status() << second->made.status();
  EXPECT_TRUE(first->made->created);
  EXPECT_FALSE(second->made->created);
}

}  // namespace
}  // namespace lab::cacheapi
