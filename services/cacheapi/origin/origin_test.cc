#include <string>
#include <vector>

#include "services/cacheapi/testing/origin_fixture.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(OriginTest, AnInsightIsWhatTheWindowHolds) {
  const Insight day = Read("acme");
  EXPECT_TRUE(day.exists);
  EXPECT_EQ(day.version, 1u);
  EXPECT_EQ(day.body,
            "{\"brand\":\"acme\",\"window\":\"24h\",\"version\":1,\"posts\":100,\"correction\":0,\"authors\":7,"
            "\"sentiment\":10.00,\"likes_median\":50,\"likes_p99\":99,\"arabic\":25}");
  EXPECT_THAT(Read("acme", Window::kHour).body, HasSubstr("\"posts\":59,"));
  EXPECT_GT(day.took, Nanos(0));
}

TEST_F(OriginTest, ABrandWithoutPostsAndOneThatIsNot) {
  EXPECT_THAT(Read("ماركة").body, HasSubstr("\"posts\":0,"));
  EXPECT_FALSE(Read("nobody").exists);
  EXPECT_FALSE(Read("'; DROP TABLE brand; --").exists);
}

TEST_F(OriginTest, AWriteMakesANewVersionOnce) {
  const absl::StatusOr<uint64_t> first = Write({"acme", 5, "five were missing", "r1"});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*first, 2u);
  EXPECT_THAT(Read("acme").body, HasSubstr("\"version\":2,\"posts\":105,\"correction\":5,"));
  ASSERT_TRUE(Write({"acme", -3, "", "r2"}).ok());
  EXPECT_EQ(*Write({"acme", 5, "five were missing", "r1"}), 2u) << "sent again: answered as the first time";
  EXPECT_THAT(Read("acme").body, HasSubstr("\"version\":3,\"posts\":97,"));
  ASSERT_TRUE(Write({"acme", 0, "", "r3", true}).ok());
  EXPECT_THAT(Read("acme").body, HasSubstr("\"version\":4,\"posts\":100,"));
  EXPECT_EQ(server_->Query("SELECT version FROM outbox ORDER BY id"), "2\n3\n4");
}

TEST_F(OriginTest, AnIdIsOfOneRequest) {
  const Correction first = {"acme", 5, "five were missing", "r1"};
  ASSERT_TRUE(Write(first).ok());
  for (const Correction& other :
       {Correction{"acme", 6, "five were missing", "r1"}, Correction{"acme", 5, "", "r1"},
        Correction{"acme", 5, "five were missing", "r1", true}, Correction{"ماركة", 5, "five were missing", "r1"}}) {
    EXPECT_EQ(Write(other).status().code(), absl::StatusCode::kAlreadyExists);
  }
  EXPECT_EQ(Write(first).value_or(0), 2u);
  EXPECT_THAT(Read("acme").body, HasSubstr("\"version\":2,\"posts\":105,\"correction\":5,"));
}

// What became of the statement is not known; without a COMMIT it is known what became of the write.
TEST_F(OriginTest, AStatementOfATransactionThatIsNotAnsweredHasNotHappened) {
  std::unique_ptr<pg::Transaction> transaction = Begin();
  server_->Pause();
  const absl::Status written = WriteIn(*transaction, {"acme", 1, "", "r1"}).status();
  EXPECT_EQ(written.code(), absl::StatusCode::kUnavailable) << written;
  transaction.reset();
  server_->Continue();
  ASSERT_TRUE(RunUntil([&] { return writes_->connected(); }));
  EXPECT_EQ(server_->Query("SELECT count(*) FROM applied_write"), "0");
}

TEST_F(OriginTest, SentTwiceAtOnceIsOneWrite) {
  for (int i = 0; i < 20; ++i) {
    std::vector<absl::StatusOr<uint64_t>> versions;
    const Correction correction = {"acme", 1, "", Concat("twice-", i)};
    for (int sent = 0; sent < 2; ++sent) {  // each on a connection of its own
      origin_->Write(correction, [&](absl::StatusOr<uint64_t> version) { versions.push_back(std::move(version)); });
    }
    ASSERT_TRUE(RunUntil([&] { return versions.size() == 2; }));
    ASSERT_TRUE(versions[0].ok() && versions[1].ok()) << versions[0].status() << ", " << versions[1].status();
    EXPECT_EQ(*versions[0], static_cast<uint64_t>(2 + i));
    EXPECT_EQ(*versions[1], *versions[0]);
  }
}

TEST_F(OriginTest, SeveralWritesInTheirOrder) {
  std::optional<absl::StatusOr<std::vector<absl::StatusOr<uint64_t>>>> written;
  const Correction writes[] = {
      {"acme", 1, "", "r1"}, {"nobody", 1, "", "r2"}, {"acme", 2, "", "r3"}, {"acme", 1, "", "r1"}};
  origin_->WriteAll(writes, [&](auto outcomes) { written = std::move(outcomes); });
  ASSERT_TRUE(RunUntil([&] { return written.has_value(); }));
  ASSERT_TRUE(written->ok()) << written->status();
  ASSERT_EQ((*written)->size(), 4u);
  EXPECT_EQ(*(**written)[0], 2u);
  EXPECT_EQ((**written)[1].status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*(**written)[2], 3u);
  EXPECT_EQ(*(**written)[3], 2u) << "once";
  EXPECT_EQ(server_->Query("SELECT posts FROM correction"), "2");
}

TEST_F(OriginTest, WithoutARelayNoRowIsLeft) {
  origin_.emplace(*reads_, *writes_, Origin::Options{.outbox = false}, metrics_);
  ASSERT_TRUE(Write({"acme", 1, "", "r1"}).ok());
  EXPECT_EQ(server_->Query("SELECT count(*) FROM outbox"), "0");
}

TEST_F(OriginTest, AWriteToNobodyIsNone) {
  EXPECT_EQ(Write({"nobody", 1, "", "r1"}).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(Write({"acme", 1, "", "r1"}).ok());
  EXPECT_EQ(Write({"ماركة", 1, "", "r1"}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(server_->Query("SELECT count(*) FROM outbox"), "1");
}

TEST_F(OriginTest, TheDelayIsTheDatabases) {
  origin_.emplace(*reads_, *writes_, Origin::Options{.delay = Millis(30)}, metrics_);
  EXPECT_GE(Read("acme").took, Nanos(Millis(30)));
}

TEST_F(OriginTest, BrandsInPages) {
  std::vector<std::string> all;
  const auto page = [&](const std::string& after) {
    std::optional<std::vector<std::string>> brands;
    origin_->Brands(after, 1, [&](absl::StatusOr<std::vector<std::string>> got) { brands = *got; });
    EXPECT_TRUE(RunUntil([&] { return brands.has_value(); }));
    return *brands;
  };
  EXPECT_THAT(page(""), ElementsAre("acme"));
  EXPECT_THAT(page("acme"), ElementsAre("ماركة"));
  EXPECT_TRUE(page("ماركة").empty());
}

}  // namespace
}  // namespace lab::cacheapi
