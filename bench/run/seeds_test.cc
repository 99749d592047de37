// What databases hold at first: the files, and the insights of the real one in real clusters.
#include "bench/run/seeds.h"

#include <filesystem>

#include "bench/observe/pg_wire.h"
#include "bench/run/postgres_programs.h"
#include "bench/run/system.h"
#include "bench/run/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kSql[] =
    "-- :rows = 10 (1 … 100) how many\n"
    "-- :skew = 1.5 (0 … 3)\n"
    "CREATE TABLE t AS SELECT n::text, :skew AS s FROM generate_series(1, :rows) AS n; -- :unknown ':rows'\n";

TEST(FillSeedTest, PutsValuesInPlaceOfNames) {
  std::string call;
  const absl::StatusOr<std::string> filled = FillSeed(kSql, {{"rows", 7}}, &call);
  ASSERT_TRUE(filled.ok()) << filled.status();
  EXPECT_THAT(*filled, HasSubstr("SELECT n::text, 1.5 AS s FROM generate_series(1, 7) AS n; -- :unknown"));
  EXPECT_EQ(call, "rows=7, skew=1.5");
}

TEST(FillSeedTest, RefusesWhatIsNotDeclared) {
  std::string call;
  EXPECT_THAT(std::string(FillSeed(kSql, {{"row", 7}}, &call).status().message()),
              HasSubstr("there is no parameter \"row\"; did you mean \"rows\""));
  EXPECT_THAT(std::string(FillSeed(kSql, {{"rows", 0}}, &call).status().message()),
              HasSubstr("rows=0 is not from 1 to 100"));
  EXPECT_THAT(std::string(FillSeed(kSql, {{"skew", 3.5}}, &call).status().message()),
              HasSubstr("skew=3.5 is not from 0 to 3"));
}

TEST(ReadSeedsTest, ReadsCallsAndNamesWhatIsWrong) {
  const TemporaryFolder root;
  root.Write("deploy/sql/shop/seed.sql", kSql);
  const std::vector<Schema> schemas = {{"shop", {}}, {"bare", {}}};
  const absl::StatusOr<std::vector<Seed>> seeds = ReadSeeds(root.path(), "shop( rows = 5 )", schemas);
  ASSERT_TRUE(seeds.ok()) << seeds.status();
  ASSERT_EQ(seeds->size(), 1u);
  EXPECT_EQ(seeds->at(0).call, "shop(rows=5, skew=1.5)");
  EXPECT_EQ(ReadSeeds(root.path(), "shop(), shop(rows=2)", schemas)->size(), 2u);
  EXPECT_TRUE(ReadSeeds(root.path(), "", schemas)->empty());
  const auto error = [&](const char* text) {
    return std::string(ReadSeeds(root.path(), text, schemas).status().message());
  };
  for (const char* text : {"shop", "shop(rows=5", "shop(rows)", "shop(rows=five)", ")("}) {
    EXPECT_THAT(error(text), HasSubstr("is not written as insights(brands=1000")) << text;
  }
  EXPECT_THAT(error("orders(rows=5)"), HasSubstr("write databases: orders too"));
  EXPECT_THAT(error("bare()"), HasSubstr("there is no deploy/sql/bare/seed.sql"));
  EXPECT_THAT(error("shop(rows=1000)"), HasSubstr("seed: rows=1000 is not from"));
}

struct Boots : Progress {
  void Boot(const std::string& text) override { lines.push_back(text); }
  std::vector<std::string> lines;
};

// Clusters with a copy of the checkout's deploy/sql.
class SeededTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = new TemporaryFolder();
    fs::create_directories(root_->path() + "/deploy");
    fs::copy(fs::path(__FILE__).parent_path().parent_path().parent_path() / "deploy" / "sql",
             root_->path() + "/deploy/sql", fs::copy_options::recursive);
  }
  static void TearDownTestSuite() { delete root_; }
  void SetUp() override {
    if (const absl::Status there = FindPostgres("", "").status(); !there.ok()) GTEST_SKIP() << there.message();
    setenv("LAB_STATE", root_->path().c_str(), 1);
    journal_ = *Journal::Open(root_->path());
    spawner_ =
        std::make_unique<Spawner>([this](pid_t pid, const std::string& name) { return journal_->Process(pid, name); });
    PartSpec part;
    part.name = "db";
    part.kind = "postgres";
    lab_.system = {part};
  }
  void TearDown() override {
    system_.reset();
    unsetenv("LAB_STATE");
  }
  absl::Status Start(const std::string& seed) {
    lab_.system[0].set = {{"databases", "insights"}, {"seed", seed}};
    system_.reset();
    system_ = std::make_unique<System>(
        lab_,
        System::Options{
            root_->path(), root_->path() + "/trial", journal_->folder() + "/data", {}, [] { return false; }},
        *spawner_, *journal_);
    boots_.lines.clear();
    return system_->Start(boots_);
  }
  std::string Query(const std::string& sql) const {
    PgConnection connection("127.0.0.1", system_->Find("db", 0)->port("postgres"), {.database = "insights"});
    const absl::StatusOr<PgReply> reply = connection.Query(sql, std::chrono::seconds(20));
    if (!reply.ok()) return std::string(reply.status().message());
    return reply->rows.empty() ? "" : reply->rows.at(0).at(0);
  }
  double NumberOf(const std::string& sql) const { return std::atof(Query(sql).c_str()); }

  static inline TemporaryFolder* root_ = nullptr;
  Lab lab_;
  Boots boots_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Spawner> spawner_;
  std::unique_ptr<System> system_;
};

constexpr char kRows[] =
    "SELECT md5(string_agg(concat(id, brand_id, language, sentiment, likes, author), ' ' ORDER BY id)) FROM post";

TEST_F(SeededTest, BrandsAreOfVeryDifferentSizeAndPostsReachOverAllWindows) {
  absl::Status started = Start("insights(brands=50, posts=20000)");
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_THAT(boots_.lines, ::testing::Contains(HasSubstr("filling the database insights once: insights(brands=50, "
                                                          "posts=20000, skew=1, days=30)")));
  EXPECT_EQ(Query("SELECT count(*) FROM brand"), "50");
  EXPECT_EQ(Query("SELECT count(*) FROM brand_state WHERE version = 1"), "50");
  const std::string month = "published_at BETWEEN now() - interval '30 days' AND now()";
  EXPECT_NEAR(NumberOf("SELECT count(*) FROM post WHERE " + month), 20'000, 400);
  const double largest = NumberOf("SELECT count(*) FROM post WHERE brand_id = 'brand-0' AND " + month);
  EXPECT_NEAR(largest, 20'000 / 4.499, 200) << "1/H(50) of all";
  EXPECT_NEAR(NumberOf("SELECT count(*) FROM post WHERE brand_id = 'brand-9' AND " + month), largest / 10, 60);
  // However late on its day the copy is used, as much lies in the last hour as in any other.
  for (const char* hours : {"0", "12", "23"}) {
    const std::string then =
        Concat("(date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '", hours, " hours')");
    EXPECT_NEAR(NumberOf(Concat("SELECT count(*) FROM post WHERE published_at > ", then,
                                " - interval '24 hours' AND published_at <= ", then)),
                20'000 / 30, 100)
        << hours;
  }
  EXPECT_GT(NumberOf("SELECT reltuples FROM pg_class WHERE relname = 'post'"), 20'000) << "analysed";
  EXPECT_EQ(Query("SELECT relallvisible = relpages FROM pg_class WHERE relname = 'post'"), "t") << "vacuumed";
  EXPECT_NEAR(NumberOf("SELECT avg((language = 'ar')::int) FROM post"), 0.4, 0.02);
  EXPECT_EQ(Query("SELECT min(likes) = 0 AND max(likes) > 1000 FROM post"), "t");
  const std::string rows = Query(kRows);
  started = Start("insights(brands=50, posts=20000)");
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_EQ(boots_.lines.size(), 1u) << "the template is there";
  EXPECT_EQ(Query(kRows), rows);
}

TEST_F(SeededTest, AnotherSeedIsAnotherTemplate) {
  ASSERT_TRUE(Start("insights(brands=3, posts=30)").ok());
  EXPECT_EQ(Query("SELECT count(*) FROM brand"), "3");
  ASSERT_TRUE(Start("insights(brands=4, posts=30)").ok());
  EXPECT_EQ(Query("SELECT count(*) FROM brand"), "4");
  ASSERT_TRUE(Start("insights(brands=1, posts=0)").ok());
  EXPECT_EQ(Query("SELECT count(*) FROM post"), "0");
  const absl::Status unknown = Start("insights(brand=4)");
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("did you mean \"brands\""));
}

TEST_F(SeededTest, ASeedThatFailsIsNamedWithItsLine) {
  root_->Write("deploy/sql/worse/001_t.sql", "CREATE TABLE t (n int CHECK (n > 0));\n");
  root_->Write("deploy/sql/worse/seed.sql", "-- :low = 1 (0 … 1)\nSELECT 1;\nINSERT INTO t VALUES (:low);\n");
  lab_.system[0].set.clear();
  const auto start = [&](const char* seed) {
    lab_.system[0].set = {{"databases", "worse"}, {"seed", seed}};
    system_ = std::make_unique<System>(
        lab_,
        System::Options{
            root_->path(), root_->path() + "/trial", journal_->folder() + "/data", {}, [] { return false; }},
        *spawner_, *journal_);
    return system_->Start(boots_);
  };
  EXPECT_TRUE(start("worse()").ok());
  EXPECT_THAT(std::string(start("worse(low=0)").message()), HasSubstr("deploy/sql/worse/seed.sql:3: "));
}

}  // namespace
}  // namespace lab::bench
