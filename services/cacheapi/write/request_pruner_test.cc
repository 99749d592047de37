#include "services/cacheapi/write/request_pruner.h"

#include "services/cacheapi/testing/origin_fixture.h"

namespace lab::cacheapi {
namespace {

class RequestPrunerTest : public OriginTest {
 protected:
  void SetUp() override {
    OriginTest::SetUp();
    if (!server_) return;
    ids_.emplace(*writes_, 7);
    server_->Query(
        "INSERT INTO applied_write SELECT 'old ' || n, 'acme', 1, now() - interval '2 hours' FROM generate_series(1, "
        "25) "
        "AS n; INSERT INTO applied_write SELECT 'new ' || n, 'acme', 1, now() FROM generate_series(1, 5) AS n");
  }
  ~RequestPrunerTest() override { pruner_.reset(); }
  void Start(Nanos remember) {
    RequestPruner::Options options;
    options.remember = remember;
    options.every = Millis(20);
    options.pause = Millis(1);
    options.batch = 10;
    pruner_.emplace(loop_, *ids_, options, metrics_);
    pruner_->Start();
  }
  std::string Left() { return server_->Query("SELECT count(*) FROM applied_write"); }
  double Forgotten() { return Metric("cacheapi_requests_forgotten_total"); }

  std::optional<RequestIds> ids_;
  std::optional<RequestPruner> pruner_;
};

TEST_F(RequestPrunerTest, ForgetsWhatIsOldInBatchesAndGoesOn) {
  Start(std::chrono::hours(1));
  ASSERT_TRUE(RunUntil([&] { return Forgotten() == 25; }));
  EXPECT_EQ(Left(), "5");
  server_->Query("UPDATE applied_write SET applied_at = applied_at - interval '2 hours' WHERE request_id = 'new 1'");
  ASSERT_TRUE(RunUntil([&] { return Forgotten() == 26; }));
  EXPECT_EQ(Left(), "4");
}

TEST_F(RequestPrunerTest, GoesOnWhenTheServerWasAway) {
  server_->Kill();
  ASSERT_TRUE(RunUntil([&] { return !writes_->connected(); }));
  Start(std::chrono::hours(1));
  ASSERT_TRUE(RunUntil([&] { return Metric("cacheapi_request_prune_failures_total") > 0; }));
  server_->Start();
  ASSERT_TRUE(RunUntil([&] { return Forgotten() == 25; }));
}

}  // namespace
}  // namespace lab::cacheapi
