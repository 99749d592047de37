#include "services/runtime/pg/client.h"

#include "services/runtime/pg/array_text.h"
#include "services/runtime/pg/client_fixture.h"

namespace lab::pg {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(ClientTest, ReadsWhatItWrote) {
  Connected();
  EXPECT_EQ(Outcome(add_, {"a", 41}), absl::StatusCode::kOk);
  EXPECT_EQ(Outcome(raise_, {"a"}), absl::StatusCode::kOk);
  texts_.clear();
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk);
  EXPECT_THAT(texts_, ElementsAre("42"));
}

TEST_F(ClientTest, ParametersArriveAsTheyAre) {
  Connected();
  const Statement echo("echo", "SELECT $1::text");
  for (const char* text : {"", "it's \"quoted\" \\ $1", "عربي 日本", "{1,2}"}) {
    texts_.clear();
    ASSERT_EQ(Outcome(echo, {text}), absl::StatusCode::kOk);
    EXPECT_THAT(texts_, ElementsAre(text));
  }
  texts_.clear();
  ASSERT_EQ(Outcome(echo, {Param::Null()}), absl::StatusCode::kOk);
  EXPECT_THAT(texts_, ElementsAre("NULL"));
  const Statement number("number", "SELECT $1::bigint");
  texts_.clear();
  ASSERT_EQ(Outcome(number, {INT64_MIN}), absl::StatusCode::kOk);
  EXPECT_THAT(texts_, ElementsAre("-9223372036854775808"));
}

TEST_F(ClientTest, AZeroByteIsRefusedAndNothingIsSent) {
  Connected();
  const double before = PoolMetric("pg_statements_total");
  EXPECT_EQ(Outcome(read_, {std::string_view("a\0b", 3)}), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(last_status_.message()), HasSubstr("read: parameter 1 has a zero byte"));
  EXPECT_EQ(PoolMetric("pg_statements_total"), before);
}

TEST_F(ClientTest, OneTurnIsOneGroupAConnection) {
  Options options = Defaults();
  options.connections = 1;
  Connected(options);
  ASSERT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk);
  const double before = PoolMetric("pg_groups_total");
  for (int i = 0; i < 64; ++i) Issue(read_, {"a"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(PoolMetric("pg_groups_total") - before, 1);
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 65);
}

TEST_F(ClientTest, GroupsAreBounded) {
  Options options = Defaults();
  options.connections = 1;
  options.group_max = 10;
  options.groups_in_flight = 1;
  Connected(options);
  ASSERT_EQ(Outcome(add_, {"a", 0}), absl::StatusCode::kOk);
  const double before = PoolMetric("pg_groups_total");
  for (int i = 0; i < 95; ++i) Issue(raise_, {"a"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(PoolMetric("pg_groups_total") - before, 10);
  EXPECT_EQ(server_->Query("SELECT n FROM counter"), "95");
}

TEST_F(ClientTest, OneFailureDoesNotHurtTheOthersOfItsGroup) {
  Options options = Defaults();
  options.connections = 1;
  Connected(options);
  ASSERT_EQ(Outcome(add_, {"7", 0}), absl::StatusCode::kOk);
  for (int i = 0; i < 20; ++i) Issue(add_, {std::to_string(i), 1});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 20);
  EXPECT_EQ(Ended(absl::StatusCode::kAlreadyExists), 1);
  EXPECT_EQ(server_->Query("SELECT count(*) FROM counter WHERE n = 1"), "19");
}

TEST_F(ClientTest, ManyFailuresEndOnceEach) {
  Options options = Defaults();
  options.connections = 1;
  Connected(options);
  for (int i = 0; i < 60; ++i) Issue(add_, {std::to_string(i % 6), 1});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 6);
  EXPECT_EQ(Ended(absl::StatusCode::kAlreadyExists), 54);
}

TEST_F(ClientTest, AStatementThatIsNoneFailsAloneAndAtOnce) {
  Options options = Defaults();
  options.connections = 1;
  Connected(options);
  const Statement wrong("wrong", "SELEKT 1");
  for (int i = 0; i < 5; ++i) {
    Issue(read_, {"a"});
    Issue(wrong);
  }
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 5);
  EXPECT_EQ(Ended(absl::StatusCode::kInvalidArgument), 5);
  EXPECT_EQ(Outcome(wrong), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(last_status_.message()), HasSubstr("wrong: ERROR"));
  EXPECT_THAT(std::string(last_status_.message()), HasSubstr("42601"));
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk);
}

TEST_F(ClientTest, AnOperationOfSeveralStatementsIsAtomic) {
  Client& client = Connected();
  ASSERT_EQ(Outcome(add_, {"there", 0}), absl::StatusCode::kOk);
  const Param fresh[] = {"fresh", 1}, there[] = {"there", 1}, key[] = {"fresh"};
  const Step failing[] = {{add_, fresh}, {add_, there}};
  ++issued_;
  client.Transact(failing, Record());
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(last_status_.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(server_->Query("SELECT count(*) FROM counter"), "1");

  const Step whole[] = {{add_, fresh}, {raise_, key}, {read_, key}};
  ++issued_;
  texts_.clear();
  client.Transact(whole, Record());
  ASSERT_TRUE(AllEnded());
  EXPECT_THAT(texts_, ElementsAre("2"));
}

TEST_F(TransactionTest, IsSeenByOthersOnlyOnceItHasCommitted) {
  Connected();
  const auto transaction = Begun();
  ASSERT_NE(transaction, nullptr);
  EXPECT_EQ(In(*transaction, add_, {"a", 7}), absl::StatusCode::kOk);
  texts_.clear();
  ASSERT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk) << "on another connection";
  EXPECT_THAT(texts_, ElementsAre(""));
  EXPECT_TRUE(Commit(*transaction).ok());
  texts_.clear();
  ASSERT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk);
  EXPECT_THAT(texts_, ElementsAre("7"));
}

TEST_F(TransactionTest, DroppedItIsRolledBackAndItsConnectionIsFreeAgain) {
  Options options = Defaults();
  options.connections = 1;
  Connected(options);
  for (int i = 0; i < 3; ++i) {
    const auto transaction = Begun();
    ASSERT_NE(transaction, nullptr);
    EXPECT_EQ(In(*transaction, add_, {"a", 7}), absl::StatusCode::kOk);
  }
  ASSERT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk);
  EXPECT_THAT(texts_.back(), "");
  EXPECT_EQ(PoolMetric("pg_reconnects_total"), 0);
}

TEST_F(TransactionTest, AfterAFailureTheCommitSaysThatItWasNone) {
  Connected();
  const auto transaction = Begun();
  ASSERT_NE(transaction, nullptr);
  EXPECT_EQ(In(*transaction, add_, {"a", 1}), absl::StatusCode::kOk);
  EXPECT_EQ(In(*transaction, add_, {"a", 2}), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(In(*transaction, read_, {"a"}), absl::StatusCode::kInvalidArgument) << "the transaction is aborted";
  EXPECT_EQ(Commit(*transaction).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(server_->Query("SELECT count(*) FROM counter"), "0");
}

TEST_F(TransactionTest, WaitsForAConnectionThatIsIdleAndHoldsLocks) {
  Options options = Defaults();
  options.connections = 2;
  Connected(options);
  ASSERT_EQ(Outcome(add_, {"a", 0}), absl::StatusCode::kOk);
  auto first = Begun();
  auto second = Begun();
  ASSERT_TRUE(first != nullptr && second != nullptr);
  bool third = false;
  client_->Begin([&](const absl::StatusOr<std::unique_ptr<Transaction>>& transaction) { third = transaction.ok(); });
  EXPECT_EQ(In(*first, raise_, {"a"}), absl::StatusCode::kOk);
  ++issued_;
  second->Execute(raise_, {"a"}, Record());
  RunFor(Millis(50));
  EXPECT_LT(ended_, issued_) << "blocked on the row";
  EXPECT_FALSE(third);
  EXPECT_TRUE(Commit(*first).ok());
  ASSERT_TRUE(AllEnded());
  EXPECT_TRUE(last_status_.ok());
  ASSERT_TRUE(RunUntil([&] { return third; }));
  EXPECT_TRUE(Commit(*second).ok());
  EXPECT_EQ(server_->Query("SELECT n FROM counter"), "2");
}

TEST_F(TransactionTest, IsLostWithItsConnection) {
  Client& client = Connected();
  const auto transaction = Begun();
  ASSERT_NE(transaction, nullptr);
  EXPECT_EQ(In(*transaction, add_, {"a", 1}), absl::StatusCode::kOk);
  const std::string mine = "FROM pg_stat_activity WHERE pid IN (" +
                           server_->Query("SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE "
                                          "application_name = 'pg'") +
                           ")";
  server_->Query("SELECT pg_terminate_backend(pid) " + mine);
  ASSERT_TRUE(RunUntil([&] { return server_->Query("SELECT count(*) " + mine) == "0" && client.connected(); }));
  EXPECT_EQ(In(*transaction, add_, {"b", 1}), absl::StatusCode::kAborted);
  EXPECT_EQ(Commit(*transaction).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(server_->Query("SELECT count(*) FROM counter"), "0");
}

TEST_F(ClientTest, AnErrorOfTheCommitIsTheOneOfWhoCausedIt) {
  server_->Query("CREATE TABLE deferred (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
  const Statement insert("insert", "INSERT INTO deferred VALUES ($1::int)");
  Options options = Defaults();
  options.connections = 1;
  Connected(options);
  ASSERT_EQ(Outcome(insert, {3}), absl::StatusCode::kOk);
  for (int i = 0; i < 6; ++i) Issue(insert, {i});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 6);
  EXPECT_EQ(Ended(absl::StatusCode::kAlreadyExists), 1);
  EXPECT_EQ(server_->Query("SELECT count(*) FROM deferred"), "6");
  server_->Query("DROP TABLE deferred");
}

TEST_F(ClientTest, LargeParametersAndResultsPass) {
  Connected();
  const Statement twice("twice", "SELECT $1::text || $1::text");
  const std::string large(8 << 20, 'x');
  ASSERT_EQ(Outcome(twice, {large}), absl::StatusCode::kOk);
  EXPECT_EQ(texts_.back().size(), 2 * large.size());
}

TEST_F(ClientTest, ARowPerElementOfAnArray) {
  Connected();
  const Statement many(
      "many", "INSERT INTO counter SELECT * FROM unnest($1::text[], $2::bigint[]) ON CONFLICT (key) DO NOTHING");
  ArrayText keys, numbers;
  for (int64_t i = 0; i < 1000; ++i) {
    keys.Add("key " + std::to_string(i));
    numbers.Add(i);
  }
  int64_t affected = 0;
  ++issued_;
  const Param params[] = {keys.text(), numbers.text()};
  client_->Execute(many, params, [&](absl::StatusOr<Results> results) {
    ++ended_;
    ASSERT_TRUE(results.ok()) << results.status();
    affected = (*results)[0].affected();
  });
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(affected, 1000);
}

TEST_F(ClientTest, AReadOnlyPoolRefusesToWrite) {
  Options options = Defaults();
  options.read_only = true;
  Connected(options);
  EXPECT_EQ(Outcome(add_, {"a", 1}), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(last_status_.message()), HasSubstr("25006"));
}

TEST_F(ClientTest, OperationsFailAtOnceWithoutAConnection) {
  Options options = Defaults();
  options.host = "127.0.0.1";
  options.port = 1;
  client_.emplace(loop_, options, metrics_);
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(OutcomeUnknown(last_status_));
}

TEST_F(ClientTest, AnUnknownDatabaseIsRefusedInPlainWords) {
  Options options = Defaults();
  options.port = server_->port();
  options.user = server_->user();
  options.database = "nowhere";
  Client& client = client_.emplace(loop_, options, metrics_);
  absl::Status ready;
  bool told = false;
  client.WhenReady([&](absl::Status status) {
    ready = std::move(status);
    told = true;
  });
  ASSERT_TRUE(RunUntil([&] { return told; }));
  EXPECT_EQ(ready.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(ready.message()), HasSubstr("nowhere"));
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, ACopyEndsTheConnectionAndNotTheLoop) {
  Client& client = Connected();
  const Statement copy("copy", "COPY counter TO STDOUT");
  const absl::StatusCode code = Outcome(copy);
  EXPECT_TRUE(code == absl::StatusCode::kAborted || code == absl::StatusCode::kInvalidArgument) << last_status_;
  ASSERT_TRUE(RunUntil([&] { return client.connected(); }));
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace lab::pg
