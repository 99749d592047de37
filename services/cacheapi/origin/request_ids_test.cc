#include "services/cacheapi/origin/request_ids.h"

#include <memory>
#include <utility>

#include "services/cacheapi/testing/origin_fixture.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

class RequestIdsTest : public OriginTest {
 protected:
  void SetUp() override {
    OriginTest::SetUp();
    if (!server_) return;
    pool_.emplace(loop_, Pool("pg_requests", false), metrics_);
    ids_.emplace(*pool_, 7);
    ASSERT_TRUE(RunUntil([&] { return pool_->connected(); }));
  }
  ~RequestIdsTest() override {
    if (pool_) pool_->Close();
  }
  using Fate = std::optional<absl::StatusOr<std::optional<uint64_t>>>;
  std::shared_ptr<Fate> Ask(const std::string& id, int64_t fence, const std::string& brand = "acme") {
    auto fate = std::make_shared<Fate>();
    ids_->Decide(brand, id, fence, [fate](auto decided) { *fate = std::move(decided); });
    return fate;
  }
  std::optional<uint64_t> Decide(const std::string& id, int64_t fence, const std::string& brand = "acme") {
    const auto fate = Ask(id, fence, brand);
    EXPECT_TRUE(RunUntil([&] { return fate->has_value(); }));
    EXPECT_TRUE((*fate)->ok()) << (*fate)->status();
    return ***fate;
  }
  int64_t Forget(Nanos older, int most = 100) {
    std::optional<absl::StatusOr<int64_t>> forgotten;
    ids_->Forget(older, most, [&](absl::StatusOr<int64_t> ids) { forgotten = std::move(ids); });
    EXPECT_TRUE(RunUntil([&] { return forgotten.has_value(); }));
    EXPECT_TRUE(forgotten->ok()) << forgotten->status();
    return forgotten->value_or(-1);
  }
  std::string Ids() {
    return server_->Query("SELECT string_agg(request_id, ', ' ORDER BY applied_at) FROM applied_write");
  }

  std::optional<pg::Client> pool_;
  std::optional<RequestIds> ids_;
};

TEST_F(RequestIdsTest, WhatHasHappenedIsSeen) {
  ASSERT_TRUE(Write({"acme", 1, "", "r1"}).ok());
  EXPECT_EQ(Decide("r1", -5), 2u);
  EXPECT_EQ(server_->Query("SELECT count(*) FROM applied_write"), "1") << "and no fence is left";
}

// Sent again by its client it happens once, under another id, and is answered as that.
TEST_F(RequestIdsTest, WhatHasNotNeverWill) {
  EXPECT_EQ(Decide("r1", -5), std::nullopt);
  EXPECT_EQ(Decide("r1", -5), std::nullopt) << "asked again, when the answer was lost";
  EXPECT_EQ(server_->Query("SELECT version FROM brand_state WHERE brand_id = 'acme'"), "1");
  for (int sent = 0; sent < 3; ++sent) EXPECT_EQ(Write({"acme", 1, "", "r1"}).value_or(0), 2u);
  EXPECT_EQ(server_->Query("SELECT count(*) FROM outbox"), "1");
  EXPECT_EQ(Decide("r1", -6), 2u);
}

TEST_F(RequestIdsTest, EachAttemptMayBeGivenUp) {
  for (const int64_t fence : {-5, -6, -7}) EXPECT_EQ(Decide("r1", fence), std::nullopt);
  EXPECT_EQ(Write({"acme", 1, "", "r1"}).value_or(0), 2u);
  EXPECT_EQ(Decide("r1", -8), 2u);
  EXPECT_EQ(Ids(), "r1, behind fence 5, behind fence 6, behind fence 7");
}

TEST_F(RequestIdsTest, NotForEver) {
  for (int64_t fence = -1; fence >= -kMostFences - 1; --fence) EXPECT_EQ(Decide("r1", fence), std::nullopt);
  EXPECT_EQ(Write({"acme", 1, "", "r1"}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Decide("r1", -1000), std::nullopt);
}

// A write that stands in an open transaction: its end decides.
TEST_F(RequestIdsTest, AFenceWaitsForTheEndOfTheWrite) {
  for (const bool commits : {true, false}) {
    const std::string id = commits ? "committed" : "rolled back";
    std::unique_ptr<pg::Transaction> transaction = Begin();
    const absl::StatusOr<uint64_t> version = WriteIn(*transaction, {"acme", 1, "", id});
    ASSERT_TRUE(version.ok()) << version.status();
    const auto fate = Ask(id, -5);
    ASSERT_TRUE(RunUntil([&] {
      return server_->Admin(
                 "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_requests' AND "
                 "wait_event_type = 'Lock'") == "1";
    }));
    EXPECT_FALSE(fate->has_value());
    if (commits) {
      transaction->Commit([](const absl::Status&) {});
    } else {
      transaction->Rollback();
    }
    ASSERT_TRUE(RunUntil([&] { return fate->has_value(); }));
    ASSERT_TRUE((*fate)->ok()) << (*fate)->status();
    EXPECT_EQ(***fate, commits ? std::optional<uint64_t>(*version) : std::nullopt);
  }
}

// A write that has not come as far as its id when it is given up: it waits for the row of its brand.
TEST_F(RequestIdsTest, AWriteThatComesBehindItsFenceDoesNothing) {
  std::unique_ptr<pg::Transaction> holder = Begin();
  ASSERT_TRUE(WriteIn(*holder, {"acme", 1, "", "holder"}).ok());
  std::optional<absl::StatusOr<uint64_t>> late;
  origin_->Write({"acme", 1, "", "late"}, [&](absl::StatusOr<uint64_t> version) { late = std::move(version); });
  ASSERT_TRUE(RunUntil([&] {
    return server_->Admin(
               "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_write' AND "
               "wait_event_type = 'Lock'") == "1";
  }));
  EXPECT_EQ(Decide("late", -5), std::nullopt);
  holder->Commit([](const absl::Status&) {});
  // Its caller is still there, so it goes on behind the fence; the first attempt has left nothing.
  ASSERT_TRUE(RunUntil([&] { return late.has_value(); }));
  EXPECT_EQ(late->value_or(0), 3u);
  EXPECT_EQ(Ids(), "holder, late, behind fence 5");
  EXPECT_EQ(server_->Query("SELECT count(*) FROM outbox"), "2");
}

TEST_F(RequestIdsTest, TheIdOfAnotherBrandIsNotOurs) {
  ASSERT_TRUE(Write({"acme", 1, "", "r1"}).ok());
  EXPECT_EQ(Decide("r1", -5, "ماركة"), std::nullopt);
}

TEST_F(RequestIdsTest, GoesOnInATransactionToo) {
  EXPECT_EQ(Decide("r1", -5), std::nullopt);
  std::unique_ptr<pg::Transaction> transaction = Begin();
  EXPECT_EQ(WriteIn(*transaction, {"acme", 1, "", "r1"}).value_or(0), 2u);
}

TEST_F(RequestIdsTest, ForgetsTheOldestAndNotMoreThanItIsAsked) {
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(Write({"acme", i, "", Concat("r", i)}).ok());
  server_->Query(
      "UPDATE applied_write SET applied_at = applied_at - interval '1 day' WHERE request_id IN ('r1', 'r2', 'r3')");
  EXPECT_EQ(Forget(std::chrono::hours(25)), 0);
  EXPECT_EQ(Forget(std::chrono::hours(1), 2), 2);
  EXPECT_EQ(Ids(), "r3, r4, r5");
  EXPECT_EQ(Forget(std::chrono::hours(1), 2), 1);
  EXPECT_EQ(Forget(std::chrono::hours(1), 2), 0);
  EXPECT_EQ(*Write({"acme", 4, "", "r4"}), 5u) << "remembered";
}

// Else the request would be applied under its first id once more.
TEST_F(RequestIdsTest, AFenceStaysWhileTheIdBehindItDoes) {
  EXPECT_EQ(Decide("r1", -5), std::nullopt);
  EXPECT_EQ(*Write({"acme", 1, "", "r1"}), 2u);
  server_->Query("UPDATE applied_write SET applied_at = applied_at - interval '1 day' WHERE request_id = 'r1'");
  EXPECT_EQ(Forget(std::chrono::hours(1)), 0);
  EXPECT_EQ(*Write({"acme", 1, "", "r1"}), 2u);
  server_->Query("UPDATE applied_write SET applied_at = applied_at - interval '1 day'");
  EXPECT_EQ(Forget(std::chrono::hours(1)), 1);
  EXPECT_EQ(Forget(std::chrono::hours(1)), 1);
  EXPECT_EQ(server_->Query("SELECT count(*) FROM applied_write"), "0");
}

}  // namespace
}  // namespace lab::cacheapi
