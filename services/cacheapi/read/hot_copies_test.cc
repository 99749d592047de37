#include "services/cacheapi/model/split_key.h"
#include "services/cacheapi/testing/modes_fixture.h"

namespace lab::cacheapi {
namespace {

class HotCopiesTest : public ModesTest {
 protected:
  static constexpr size_t kCopies = 2;
  void SetUp() override {
    ModesTest::SetUp();
    if (postgres_ == nullptr) return;
    HotCopies::Options options;
    options.copies = kCopies;
    options.hot.sample = 1;
    options.hot.least_hits = 1;
    options.hot.period = Millis(5);
    copies_.emplace(options, metrics_, 7);
  }
  void MakeHot() {
    ASSERT_TRUE(RunUntil([&] {
      copies_->Observe(key_, Clock::now());
      return copies_->IsHot(key_);
    }));
  }
  Process& WithCopiesDeleted(size_t copies, const Reader::Options& reads = LeasedReads()) {
    Writer::Options writes;
    writes.copies = copies;
    return Start(reads, writes, {.copies = &*copies_});
  }
  // Reads until every copy is filled.
  void FillAll(Process& process) {
    MakeHot();
    for (int i = 0; i < 500 && !(InRedis(SplitKey(key_, 0)) && InRedis(SplitKey(key_, 1))); ++i) Ask(process, "acme");
    ASSERT_TRUE(InRedis(SplitKey(key_, 0)) && InRedis(SplitKey(key_, 1)));
  }
  // How many of some reads are of a version.
  int ReadsOf(Process& process, uint64_t version, int reads) {
    int found = 0;
    for (int i = 0; i < reads; ++i) {
      MakeHot();
      found += Ask(process, "acme").value.version == version ? 1 : 0;
    }
    return found;
  }
  const std::string key_ = CacheKey("acme", kDefaultWindow);
};

TEST_F(HotCopiesTest, AHotKeyIsReadFromItsCopiesAndAColdOneIsNot) {
  Process& process = WithCopiesDeleted(kCopies);
  Insert("cold");
  FillAll(process);
  // A pause of this process makes it cold, and then it is read under its own name.
  bool from_copy = false;
  for (int tries = 0; tries < 100 && !from_copy; ++tries) {
    MakeHot();
    const double before = Metric("cacheapi_hot_reads_total");
    from_copy = Via(Ask(process, "acme")) == "l2" && Metric("cacheapi_hot_reads_total") > before;
  }
  EXPECT_TRUE(from_copy);
  Ask(process, "cold");
  ASSERT_TRUE(Comes(CacheKey("cold", kDefaultWindow)));
}

TEST_F(HotCopiesTest, AWriteReachesEveryCopy) {
  Process& process = WithCopiesDeleted(kCopies);
  FillAll(process);
  const auto write = Write(process, "");
  Ended(write);
  EXPECT_FALSE(InRedis(key_) || InRedis(SplitKey(key_, 0)) || InRedis(SplitKey(key_, 1)));
  EXPECT_EQ(ReadsOf(process, 2, 40), 40);
}

// Race 20, open: a writer that knows of one copy less.
TEST_F(HotCopiesTest, ACopyThatIsForgottenStaysStale) {
  Process& process = WithCopiesDeleted(kCopies - 1);
  FillAll(process);
  const auto write = Write(process, "");
  Ended(write);
  const int stale = ReadsOf(process, 1, 60);
  EXPECT_GT(stale, 0);
  EXPECT_LT(stale, 60) << "of the other copy";
}

// Race 1 at a copy: the lease of each copy ends with the delete too.
TEST_F(HotCopiesTest, AFillOfACopyAcrossADeleteIsRefused) {
  Process& process = WithCopiesDeleted(kCopies);
  MakeHot();
  const auto reader = Read(process, "R");
  Go("R", Step::kGet);
  Go("R", Step::kSelect);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSet; }));
  const auto writer = Write(process, "");
  Ended(writer);
  Go("R", Step::kSet);
  RunFor(Millis(30));
  EXPECT_EQ(ReadsOf(process, 2, 20), 20);
}

}  // namespace
}  // namespace lab::cacheapi
