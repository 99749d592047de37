#include "services/runtime/pg/pgoutput.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lab::pg {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

std::string Number(uint64_t value, int width) {
  std::string bytes;
  for (int i = width - 1; i >= 0; --i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}
std::string Text(const std::string& text) { return text + '\0'; }
std::string Begin() { return "B" + Number(100, 8) + Number(0, 8) + Number(7, 4); }
std::string Commit(Lsn end) { return "C" + Number(0, 1) + Number(end - 8, 8) + Number(end, 8) + Number(1'000'000, 8); }
std::string Brands() {
  return "R" + Number(5, 4) + Text("public") + Text("brand_state") + "d" + Number(3, 2) + Number(1, 1) +
         Text("brand_id") + Number(25, 4) + Number(0, 4) + Number(0, 1) + Text("version") + Number(20, 4) +
         Number(0, 4) + Number(0, 1) + Text("note") + Number(25, 4) + Number(0, 4);
}
std::string Value(const std::string& text) { return "t" + Number(text.size(), 4) + text; }
std::string Row(const std::string& brand, const std::string& version) {
  return Number(3, 2) + Value(brand) + Value(version) + "n";
}

class PgOutputTest : public ::testing::Test {
 protected:
  bool Read(const std::string& message) {
    bool committed = false;
    const absl::Status status = output_.Read(message, committed);
    EXPECT_TRUE(status.ok()) << status;
    return committed;
  }
  void Fails(const std::string& message) {
    bool committed = true;
    EXPECT_FALSE(output_.Read(message, committed).ok());
    EXPECT_FALSE(committed);
  }
  PgOutput output_;
};

TEST_F(PgOutputTest, ATransactionWithItsChangesInOrder) {
  EXPECT_FALSE(Read(Brands()));
  EXPECT_FALSE(Read(Begin()));
  EXPECT_FALSE(Read("I" + Number(5, 4) + "N" + Row("acme", "1")));
  EXPECT_FALSE(Read("U" + Number(5, 4) + "N" + Row("acme", "2")));
  EXPECT_FALSE(Read("U" + Number(5, 4) + "K" + Row("acme", "2") + "N" + Row("acmo", "3")));
  EXPECT_FALSE(Read("D" + Number(5, 4) + "K" + Number(3, 2) + Value("acmo") + "nu"));
  EXPECT_FALSE(Read("T" + Number(1, 4) + Number(0, 1) + Number(5, 4)));
  ASSERT_TRUE(Read(Commit(4242)));
  const CommittedTransaction& transaction = output_.transaction();
  EXPECT_EQ(transaction.end, 4242u);
  EXPECT_EQ(transaction.committed_unix_us, 946'684'801'000'000);
  ASSERT_EQ(transaction.changes.size(), 5u);
  EXPECT_EQ(transaction.changes[0].kind, Change::Kind::kInsert);
  EXPECT_EQ(transaction.changes[0].table, "public.brand_state");
  EXPECT_THAT(transaction.changes[0].columns, ElementsAre(Pair("brand_id", "acme"), Pair("version", "1")));
  EXPECT_THAT(transaction.changes[2].columns, ElementsAre(Pair("brand_id", "acmo"), Pair("version", "3")));
  EXPECT_EQ(transaction.changes[3].kind, Change::Kind::kDelete);
  EXPECT_THAT(transaction.changes[3].columns, ElementsAre(Pair("brand_id", "acmo")));
  EXPECT_EQ(transaction.changes[4].kind, Change::Kind::kTruncate);
}

TEST_F(PgOutputTest, EachTransactionStandsForItself) {
  Read(Brands());
  Read(Begin());
  Read("I" + Number(5, 4) + "N" + Row("acme", "1"));
  ASSERT_TRUE(Read(Commit(10)));
  Read(Begin());
  ASSERT_TRUE(Read(Commit(20)));
  EXPECT_TRUE(output_.transaction().changes.empty());
}

TEST_F(PgOutputTest, ALargeTransactionIsReadToItsEndAndToldWithoutItsChanges) {
  const std::string insert = "I" + Number(5, 4) + "N" + Row("acme", "1");
  output_ = PgOutput(3 * insert.size());
  Read(Brands());
  Read(Begin());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Read(insert));
  ASSERT_TRUE(Read(Commit(10)));
  EXPECT_FALSE(output_.transaction().too_large) << "just as much as is kept";
  EXPECT_EQ(output_.transaction().changes.size(), 3u);
  Read(Begin());
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(Read(insert));
  EXPECT_TRUE(output_.transaction().changes.empty()) << "nothing is kept meanwhile";
  EXPECT_FALSE(Read("T" + Number(1, 4) + Number(0, 1) + Number(5, 4)));
  ASSERT_TRUE(Read(Commit(20)));
  EXPECT_TRUE(output_.transaction().too_large);
  EXPECT_TRUE(output_.transaction().changes.empty());
  EXPECT_EQ(output_.transaction().end, 20u);
  Read(Begin());
  EXPECT_FALSE(Read(insert));
  ASSERT_TRUE(Read(Commit(30)));
  EXPECT_FALSE(output_.transaction().too_large) << "the next one stands for itself";
  EXPECT_EQ(output_.transaction().changes.size(), 1u);
}

TEST_F(PgOutputTest, WhatIsCutShortIsRefused) {
  const std::string relation = Brands();
  for (size_t size = 0; size + 1 < relation.size(); ++size) Fails(relation.substr(0, size));
  Read(relation);
  Read(Begin());
  const std::string insert = "I" + Number(5, 4) + "N" + Row("acme", "1");
  for (size_t size = 0; size + 1 < insert.size(); ++size) Fails(insert.substr(0, size));
}

TEST_F(PgOutputTest, WhatMakesNoSenseIsRefused) {
  Fails("I" + Number(5, 4) + "N" + Row("acme", "1"));  // outside of a transaction
  Fails(Commit(10));
  Fails("Z");
  Fails("");
  Read(Begin());
  Fails("I" + Number(6, 4) + "N" + Row("acme", "1"));  // an unknown table
  Read(Brands());
  Fails("I" + Number(5, 4) + "X" + Row("acme", "1"));
  Fails("I" + Number(5, 4) + "N" + Number(9, 2) + Value("a"));
}

}  // namespace
}  // namespace lab::pg
