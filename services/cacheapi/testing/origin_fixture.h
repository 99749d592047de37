#pragma once

#include <memory>
#include <optional>
#include <string>

#include "services/cacheapi/origin/origin.h"
#include "services/runtime/async/loop_fixture.h"
#include "services/runtime/base/file.h"
#include "services/runtime/pg/test_server.h"

namespace lab::cacheapi {

// An origin on a real PostgreSQL of its own, with two brands, "acme" and one without posts.
class OriginTest : public async::LoopTest {
 protected:
  void SetUp() override {
    if (!pg::TestServer::WhyNone().empty()) GTEST_SKIP() << pg::TestServer::WhyNone();
    server_.emplace();
    const absl::StatusOr<std::string> schema = ReadFile(LAB_SOURCE_DIR "/deploy/sql/insights/001_insights.sql");
    ASSERT_TRUE(schema.ok()) << schema.status();
    server_->Query(*schema);
    server_->Query("INSERT INTO brand VALUES ('acme', 'Acme'), ('ماركة', 'Brand')");
    server_->Query("INSERT INTO brand_state (brand_id) SELECT id FROM brand");
    server_->Query(
        "INSERT INTO post (brand_id, published_at, language, sentiment, likes, author) "
        "SELECT 'acme', now() - make_interval(mins => i), CASE WHEN i % 4 = 0 THEN 'ar' ELSE 'en' END, 10, i, i % 7 "
        "FROM generate_series(1, 100) AS i");
    reads_.emplace(loop_, Pool("pg_read", true), metrics_);
    writes_.emplace(loop_, Pool("pg_write", false), metrics_);
    ASSERT_TRUE(RunUntil([&] { return reads_->connected() && writes_->connected(); }));
    origin_.emplace(*reads_, *writes_, Origin::Options{}, metrics_);
  }
  ~OriginTest() override {
    if (reads_) reads_->Close();
    if (writes_) writes_->Close();
    RunFor(Millis(1));
  }
  pg::Options Pool(const char* name, bool read_only) {
    pg::Options options;
    options.port = server_->port();
    options.user = server_->user();
    options.database = server_->database();
    options.name = name;
    options.read_only = read_only;
    options.group_max = options.groups_in_flight = 1;
    options.deadline = Millis(2000);
    return options;
  }

  Insight Read(const std::string& brand, Window window = Window::kDay) {
    std::optional<absl::StatusOr<Insight>> read;
    origin_->Read(brand, window, [&](absl::StatusOr<Insight> insight) { read = std::move(insight); });
    EXPECT_TRUE(RunUntil([&] { return read.has_value(); }));
    EXPECT_TRUE(read->ok()) << read->status();
    return read->ok() ? **read : Insight();
  }
  absl::StatusOr<uint64_t> Write(const Correction& correction) {
    std::optional<absl::StatusOr<uint64_t>> written;
    origin_->Write(correction, [&](absl::StatusOr<uint64_t> version) { written = std::move(version); });
    EXPECT_TRUE(RunUntil([&] { return written.has_value(); }));
    return *written;
  }

  std::unique_ptr<pg::Transaction> Begin() {
    std::unique_ptr<pg::Transaction> transaction;
    origin_->Begin([&](auto begun) { transaction = *std::move(begun); });
    EXPECT_TRUE(RunUntil([&] { return transaction != nullptr; }));
    return transaction;
  }
  absl::StatusOr<uint64_t> WriteIn(pg::Transaction& transaction, const Correction& correction) {
    std::optional<absl::StatusOr<uint64_t>> written;
    origin_->WriteIn(transaction, correction, [&](absl::StatusOr<uint64_t> version) { written = std::move(version); });
    EXPECT_TRUE(RunUntil([&] { return written.has_value(); }));
    return *written;
  }

  std::optional<pg::TestServer> server_;
  std::optional<pg::Client> reads_, writes_;
  std::optional<Origin> origin_;
};

}  // namespace lab::cacheapi
