#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/runtime/async/loop_fixture.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/pg/test_server.h"

namespace lab::pg {

// A client, a loop and a real server for the tests of this folder. One server for all tests of a binary (it takes a
// second to make); each test has a table of its own.
class ClientTest : public async::LoopTest {
 protected:
  static void SetUpTestSuite() {
    if (server_ == nullptr && TestServer::WhyNone().empty()) {
      server_ = new TestServer({"wal_level=logical"});  // ends with the process
    }
  }
  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << TestServer::WhyNone();
    server_->Query("DROP TABLE IF EXISTS counter");
    server_->Query("CREATE TABLE counter (key text PRIMARY KEY, n bigint NOT NULL)");
  }
  ~ClientTest() override {
    if (client_) client_->Close();
    RunFor(Millis(1));  // what was posted
  }

  static Options Defaults() {
    Options options;
    options.deadline = Millis(2000);  // a loaded test machine is not what these tests are about
    return options;
  }
  Client& MakeClient(Options options) {
    options.port = server_->port();
    options.user = server_->user();
    options.database = server_->database();
    return client_.emplace(loop_, std::move(options), metrics_);
  }
  Client& Connected(Options options = Defaults()) {
    Client& client = MakeClient(std::move(options));
    EXPECT_TRUE(RunUntil([&] { return client.connected(); }));
    return client;
  }

  void Issue(const Statement& statement, std::vector<Param> params = {}) {
    ++issued_;
    client_->Execute(statement, params, Record());
  }
  Client::Callback Record() {
    return [this, called = false](absl::StatusOr<Results> results) mutable {
      EXPECT_FALSE(called) << "a second callback";
      called = true;
      ++ended_;
      ++outcomes_[results.status().code()];
      last_status_ = results.status();
      if (!results.ok()) return;
      const Result last = (*results)[results->size() - 1];
      texts_.push_back(last.rows() == 0 ? "" : last.is_null(0, 0) ? "NULL" : std::string(last.text(0, 0)));
    };
  }
  bool AllEnded() {
    return RunUntil([this] { return ended_ == issued_; });
  }
  absl::StatusCode Outcome(const Statement& statement, std::vector<Param> params = {}) {
    Issue(statement, std::move(params));
    EXPECT_TRUE(AllEnded());
    return last_status_.code();
  }
  int Ended(absl::StatusCode code) { return outcomes_[code]; }
  double PoolMetric(const std::string& name) { return Metric(name + "{pool=\"pg\"}"); }

  static inline TestServer* server_ = nullptr;
  std::optional<Client> client_;
  int issued_ = 0;
  int ended_ = 0;
  std::map<absl::StatusCode, int> outcomes_;
  absl::Status last_status_;
  std::vector<std::string> texts_;

  const Statement add_{"add", "INSERT INTO counter VALUES ($1, $2::bigint)"};
  const Statement raise_{"raise", "UPDATE counter SET n = n + 1 WHERE key = $1"};
  const Statement read_{"read", "SELECT n FROM counter WHERE key = $1"};
};

// The same with transactions over several turns.
class TransactionTest : public ClientTest {
 protected:
  std::unique_ptr<Transaction> Begun() {
    absl::StatusOr<std::unique_ptr<Transaction>> begun = absl::UnknownError("not yet");
    bool told = false;
    client_->Begin([&](absl::StatusOr<std::unique_ptr<Transaction>> transaction) {
      begun = std::move(transaction);
      told = true;
    });
    EXPECT_TRUE(RunUntil([&] { return told; }));
    EXPECT_TRUE(begun.ok()) << begun.status();
    return begun.ok() ? *std::move(begun) : nullptr;
  }
  absl::StatusCode In(Transaction& transaction, const Statement& statement, std::vector<Param> params) {
    ++issued_;
    transaction.Execute(statement, params, Record());
    EXPECT_TRUE(AllEnded());
    return last_status_.code();
  }
  absl::Status Commit(Transaction& transaction) {
    std::optional<absl::Status> ended;
    transaction.Commit([&](absl::Status status) { ended = std::move(status); });
    EXPECT_TRUE(RunUntil([&] { return ended.has_value(); }));
    return ended.value_or(absl::UnknownError("never told"));
  }
};

}  // namespace lab::pg
