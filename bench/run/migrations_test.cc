#include "bench/run/migrations.h"

#include <filesystem>

#include "bench/run/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/pg/test_server.h"

namespace lab::bench {
namespace {

using ::testing::HasSubstr;

std::string Error(const TemporaryFolder& root, const std::string& databases) {
  return std::string(ReadSchemas(root.path(), databases).status().message());
}

TEST(SchemasTest, AreReadInTheOrderOfTheirNumbers) {
  const TemporaryFolder root;
  root.Write("deploy/sql/insights/002_b.sql", "b");
  root.Write("deploy/sql/insights/001_a.sql", "a");
  root.Write("deploy/sql/insights/README.md", "what it is");
  root.Write("deploy/sql/orders/001_o.sql", "o");
  const auto schemas = ReadSchemas(root.path(), " insights, orders,");
  ASSERT_TRUE(schemas.ok()) << schemas.status();
  ASSERT_EQ(schemas->size(), 2u);
  EXPECT_EQ(schemas->at(0).database, "insights");
  EXPECT_EQ(schemas->at(0).migrations.at(0).sql, "a");
  EXPECT_EQ(schemas->at(0).migrations.at(1).file, "deploy/sql/insights/002_b.sql");
  EXPECT_TRUE(ReadSchemas(root.path(), "")->empty());
}

TEST(SchemasTest, WhatIsWrongIsNamed) {
  const TemporaryFolder root;
  EXPECT_THAT(Error(root, "insights"), HasSubstr("no deploy/sql/insights"));
  EXPECT_THAT(Error(root, "lab"), HasSubstr("no name for a database"));
  EXPECT_THAT(Error(root, "a-b"), HasSubstr("no name for a database"));
  EXPECT_THAT(Error(root, "../../etc"), HasSubstr("no name for a database"));
  root.Write("deploy/sql/insights/1_a.sql", "");
  EXPECT_THAT(Error(root, "insights"), HasSubstr("deploy/sql/insights/1_a.sql: a migration is called NNN_name.sql"));
  std::filesystem::remove(root.path() + "/deploy/sql/insights/1_a.sql");
  root.Write("deploy/sql/insights/001_a.sql", "");
  root.Write("deploy/sql/insights/001_b.sql", "");
  EXPECT_THAT(Error(root, "insights"), HasSubstr("has the same number"));
}

TEST(LineOfTest, IsThatOfThePositionElseOfTheStatement) {
  const std::string sql =
      "-- a; comment\n"                                           // 1
      "CREATE TABLE t (a text);\n"                                // 2
      "/* /* two; */ ; */ INSERT INTO t\n"                        // 3
      "  VALUES ('it''s; one'), (E'\\'; two');\n"                 // 4
      ";;\n"                                                      // 5
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $body$\n"  // 6
      "  SELECT 1; -- $$ ;\n"                                     // 7
      "$body$; SELECT \"a;b\";\n"                                 // 8
      "SELECT 9";                                                 // 9
  const auto line_of = [&](int statements) { return LineOf(sql, {"", 0, statements}); };
  EXPECT_EQ(line_of(0), 2u);
  EXPECT_EQ(line_of(1), 3u);
  EXPECT_EQ(line_of(2), 6u);
  EXPECT_EQ(line_of(3), 8u);
  EXPECT_EQ(line_of(4), 9u);
  EXPECT_EQ(line_of(99), 9u);
  EXPECT_EQ(LineOf(sql, {"", 1, 0}), 1u);
  EXPECT_EQ(LineOf(sql, {"", 15, 0}), 2u);
  EXPECT_EQ(LineOf("é\né\nx", {"", 5, 0}), 3u) << "in characters, not in bytes";
  EXPECT_EQ(LineOf("", {"", 7, 0}), 1u);
  EXPECT_EQ(LineOf("$ 'open", {}), 1u);
  EXPECT_EQ(LineOf("/* open", {"", 0, 3}), 1u);
}

TEST(ApplySchemaTest, AppliesWhatIsNewOnceAndRefusesWhatHasChanged) {
  if (const std::string why = pg::TestServer::WhyNone(); !why.empty()) GTEST_SKIP() << why;
  pg::TestServer server;
  PgConnection connection("127.0.0.1", server.port(), {.database = "lab"});
  Schema schema{"lab", {{"001_a.sql", "deploy/sql/lab/001_a.sql", "CREATE TABLE a (n int); INSERT INTO a VALUES (1)"}}};
  ASSERT_TRUE(ApplySchema(schema, connection).ok());
  ASSERT_TRUE(ApplySchema(schema, connection).ok());
  EXPECT_EQ(server.Query("SELECT count(*) FROM a"), "1");
  schema.migrations.push_back({"002_b.sql", "deploy/sql/lab/002_b.sql", "INSERT INTO a VALUES (2);\nSELECT nothing"});
  const absl::Status failed = ApplySchema(schema, connection);
  EXPECT_THAT(std::string(failed.message()), HasSubstr("deploy/sql/lab/002_b.sql:2: column \"nothing\""));
  EXPECT_EQ(server.Query("SELECT count(*) FROM a"), "1") << "half of a migration stayed";
  EXPECT_EQ(server.Query("SELECT name FROM lab_migrations"), "001_a.sql");
  schema.migrations[1].sql = "INSERT INTO a VALUES (2)";
  ASSERT_TRUE(ApplySchema(schema, connection).ok());
  schema.migrations[0].sql += " ";
  EXPECT_THAT(std::string(ApplySchema(schema, connection).message()), HasSubstr("has changed since it was applied"));
}

}  // namespace
}  // namespace lab::bench
