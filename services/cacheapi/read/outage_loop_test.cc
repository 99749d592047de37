// What keeps an outage going after its cause has gone, and what does not: the loop of lab cache-outage in small.
#include "services/cacheapi/testing/modes_fixture.h"

namespace lab::cacheapi {
namespace {

// The database can do 200 reads a second (8 at once, 40 ms each, slept by itself), and 320 requests a second come, each
// of which tries three times for 200 ms. That is fine as long as they are hits. Then Redis loses everything, once.
class OutageLoopTest : public ModesTest {
 protected:
  static constexpr int kBrands = 400, kRate = 320, kTries = 3;
  static constexpr Nanos kPatience = Millis(200);

  void Begin(bool protects) {
    postgres_->Query("INSERT INTO brand SELECT 'b' || i, 'A brand' FROM generate_series(0, 399) AS i");
    postgres_->Query("INSERT INTO brand_state (brand_id) SELECT id FROM brand WHERE id <> 'acme'");
    origin_.emplace(*reads_, *writes_, Origin::Options{.delay = Millis(40)}, metrics_);
    queue_.emplace(loop_, *origin_, Admission::Options{.concurrency = 8, .max_waiting = 200, .shed = protects},
                   metrics_);
    shared_.emplace(*redis_, *clock_, SharedCache::Options{.ttl = std::chrono::hours(1)}, metrics_, 7);
    Reader::Options reads = PlainReads();
    reads.cancel_with_request = !protects;
    process_ = &Start(reads, {}, {.queue = &*queue_});
    std::vector<std::shared_ptr<Outcome>> all;
    for (int i = 0; i < kBrands; ++i) {
      all.push_back(Asking(*process_, "b" + std::to_string(i)));
      if (i % 8 == 7) Ended(all.back());
    }
    for (const auto& outcome : all) Ended(outcome);
  }
  void Try(const std::string& brand, int left) {
    process_->reader.Get({brand, kDefaultWindow, Clock::now() + kPatience, ""},
                         [this, brand, left](const Answer& answer) {
                           if (answer.status.ok()) {
                             ++good_;
                           } else if (left > 1) {
                             loop_.Post([this, brand, left] { Try(brand, left - 1); });
                           }
                         });
  }
  // Open loop; the share of the requests that is answered.
  double Goodput(std::chrono::seconds time) {
    const Clock::time_point begin = Clock::now();
    int offered = 0;
    good_ = 0;
    RunUntil([&] {
      const auto due = static_cast<int>(kRate * std::chrono::duration<double>(Clock::now() - begin).count());
      for (; offered < due; ++offered) Try("b" + std::to_string(random_.Below(kBrands)), kTries);
      return Clock::now() - begin >= time;
    });
    return static_cast<double>(good_) / offered;
  }
  double AfterALoss(bool protects) {
    Begin(protects);
    EXPECT_GT(Goodput(std::chrono::seconds(1)), 0.9) << "healthy";
    redis_server_->Command({"FLUSHALL"});
    Goodput(std::chrono::seconds(4));
    const double after = Goodput(std::chrono::seconds(1));
    RunFor(std::chrono::seconds(1));  // what is under way ends
    return after;
  }

  Process* process_ = nullptr;
  int good_ = 0;
  Random random_{3};
};

TEST_F(OutageLoopTest, WithoutProtectionItGoesOnAtUnchangedLoad) { EXPECT_LT(AfterALoss(false), 0.3); }
TEST_F(OutageLoopTest, WithProtectionItEnds) { EXPECT_GT(AfterALoss(true), 0.7); }

}  // namespace
}  // namespace lab::cacheapi
