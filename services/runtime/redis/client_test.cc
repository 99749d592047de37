#include "services/runtime/redis/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <sstream>

#include <boost/asio/steady_timer.hpp>

#include "services/runtime/redis/test_server.h"

namespace lab::redis {
namespace {

using async::Breaker;
using ::testing::HasSubstr;

constexpr Nanos kPatience = std::chrono::seconds(10);  // of a wait for something that must happen

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() : tick_(loop_.io()) {
    loop_.AtTurnEnd(async::Loop::Phase::kReply, [this] {
      if (done_ && done_()) {
        done_ = nullptr;
        loop_.Stop();
      }
    });
  }
  ~ClientTest() override {
    if (client_) client_->Close();
    RunFor(Millis(1));  // what was posted
  }

  TestServer& StartServer(std::vector<std::string> arguments = {}) { return server_.emplace(std::move(arguments)); }

  static Options Defaults() {
    Options options;
    options.deadline = Millis(1000);  // a loaded test machine is not what these tests are about
    return options;
  }

  Client& MakeClient(Options options) {
    options.port = server_ ? server_->port() : options.port;
    return client_.emplace(loop_, std::move(options), metrics_);
  }

  Client& Connected(Options options = Defaults()) {
    Client& client = MakeClient(std::move(options));
    EXPECT_TRUE(RunUntil([&] { return client.connected(); }));
    return client;
  }

  // Runs the loop until `done`, which is asked at the end of each turn and at least each millisecond.
  bool RunUntil(std::function<bool()> done, Nanos patience = kPatience) {
    const auto give_up = Clock::now() + patience;
    bool reached = false;
    done_ = [&reached, done = std::move(done), give_up] {
      reached = done();
      return reached || Clock::now() > give_up;
    };
    Tick();
    loop_.Run();
    return reached;
  }
  void RunFor(Nanos time) {
    const auto end = Clock::now() + time;
    RunUntil([end] { return Clock::now() >= end; });
  }
  void Tick() {
    tick_.expires_after(Millis(1));
    tick_.async_wait([this](const boost::system::error_code& error) {
      if (!error && done_) Tick();
    });
  }

  // Issues a command; its outcome is counted by status code, and the text of its reply or status kept.
  void Issue(std::vector<std::string_view> arguments) {
    ++issued_;
    client_->Command(arguments, Record());
  }
  void IssueEval(const Script& script, std::string_view key, std::string_view argument) {
    ++issued_;
    const std::string_view keys[] = {key};
    const std::string_view arguments[] = {argument};
    client_->Eval(script, keys, arguments, Record());
  }
  Client::Callback Record() {
    return [this, called = false](absl::StatusOr<Reply> reply) mutable {
      EXPECT_FALSE(called) << "a second callback";
      called = true;
      ++ended_;
      ++outcomes_[reply.status().code()];
      last_status_ = reply.status();
      texts_.push_back(!reply.ok() ? std::string(reply.status().message())
                       : reply->integer() != 0 ? std::to_string(reply->integer())
                                               : std::string(reply->text()));
    };
  }
  bool AllEnded() { return RunUntil([this] { return ended_ == issued_; }); }
  absl::StatusCode Outcome(std::vector<std::string_view> arguments) {
    Issue(std::move(arguments));
    EXPECT_TRUE(AllEnded());
    return last_status_.code();
  }
  int Ended(absl::StatusCode code) { return outcomes_[code]; }

  double Metric(const std::string& series) {
    std::istringstream lines(metrics_.Text());
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind(series + " ", 0) == 0) return std::stod(line.substr(series.size() + 1));
    }
    ADD_FAILURE() << "no series " << series;
    return -1;
  }

  std::optional<TestServer> server_;
  async::Loop loop_;
  obs::Metrics metrics_;
  boost::asio::steady_timer tick_;
  std::function<bool()> done_;
  std::optional<Client> client_;
  int issued_ = 0;
  int ended_ = 0;
  std::map<absl::StatusCode, int> outcomes_;
  absl::Status last_status_;
  std::vector<std::string> texts_;
};

TEST_F(ClientTest, OneWriteForAllThatATurnIssues) {
  StartServer();
  Connected();
  const double writes = Metric("redis_writes_total");
  const double commands = Metric("redis_commands_total");
  loop_.Post([this] {
    for (int i = 0; i < 100; ++i) Issue({"INCR", "counter"});
  });
  ASSERT_TRUE(RunUntil([this] { return ended_ == 100; }));
  EXPECT_EQ(Metric("redis_writes_total"), writes + 1);
  EXPECT_EQ(Metric("redis_commands_total"), commands + 100);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(texts_[i], std::to_string(i + 1));
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"ok\"}"), 100);
}

TEST_F(ClientTest, EachConnectionWritesOnceATurn) {
  StartServer();
  Options options = Defaults();
  options.connections = 3;
  Client& client = MakeClient(options);
  ASSERT_TRUE(RunUntil([&] { return client.connected() && Metric("redis_commands_total") == 3; }));
  RunFor(Millis(50));  // all three shake hands
  const double writes = Metric("redis_writes_total");
  loop_.Post([this] {
    for (int i = 0; i < 99; ++i) Issue({"INCR", "counter"});
  });
  ASSERT_TRUE(RunUntil([this] { return ended_ == 99; }));
  EXPECT_EQ(Metric("redis_writes_total"), writes + 3);
  EXPECT_EQ(server_->Command({"GET", "counter"}), "99");
}

// A later hook of the same turn issues after the write: it must not wait for some other event.
TEST_F(ClientTest, IssuedAfterTheWriteOfATurnLeavesAtOnce) {
  StartServer();
  Connected();
  const auto issue = std::make_shared<bool>(false);  // the hook lives as long as the loop
  loop_.AtTurnEnd(async::Loop::Phase::kReply, [this, issue] {
    if (std::exchange(*issue, false)) Issue({"PING"});
  });
  loop_.Post([issue] { *issue = true; });
  loop_.Post([this] { done_ = [this] { return ended_ == 1; }; });  // without the tick of RunUntil
  loop_.Run();
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 1);
}

TEST_F(ClientTest, ACallbackNeverRunsInsideItsCall) {
  Options options = Defaults();
  options.port = 1;  // nobody listens
  MakeClient(options);
  loop_.Post([this] {
    Issue({"PING"});
    EXPECT_EQ(ended_, 0);
  });
  ASSERT_TRUE(RunUntil([this] { return ended_ == 1; }));
  EXPECT_EQ(Ended(absl::StatusCode::kUnavailable), 1);
  client_->Close();
  Issue({"PING"});
  EXPECT_EQ(ended_, 1);
  ASSERT_TRUE(RunUntil([this] { return ended_ == 2; }));
  EXPECT_EQ(Ended(absl::StatusCode::kUnavailable), 2);
}

TEST_F(ClientTest, RepliesKeepTheirTypes) {
  StartServer();
  Connected();
  server_->Command({"SET", "a", "text"});
  bool called = false;
  const std::string_view arguments[] = {"MGET", "a", "missing"};
  client_->Command(arguments, [&](absl::StatusOr<Reply> reply) {
    called = true;
    ASSERT_TRUE(reply.ok()) << reply.status();
    ASSERT_EQ(reply->size(), 2u);
    EXPECT_EQ((*reply)[0].text(), "text");
    EXPECT_EQ((*reply)[0].integer(), 0);
    EXPECT_TRUE((*reply)[1].is_nil());
    EXPECT_FALSE((*reply)[0].is_nil());
  });
  ASSERT_TRUE(RunUntil([&] { return called; }));
}

TEST_F(ClientTest, DeadlinePassesAndTheStreamStaysInStep) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(30);
  options.breaker.failures = 1000;
  options.breaker.ratio = 1;
  Connected(options);
  server_->Pause();
  const auto start = Clock::now();
  for (int i = 0; i < 10; ++i) Issue({"INCR", "counter"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kDeadlineExceeded), 10);
  EXPECT_TRUE(OutcomeUnknown(last_status_));
  EXPECT_GE(Clock::now() - start, Millis(30));
  EXPECT_LT(Clock::now() - start, Millis(1000)) << "generous: the server stays paused far longer";
  EXPECT_EQ(Metric("redis_outstanding"), 10) << "expired operations count until their answer";
  server_->Continue();
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_late_replies_total") == 10; }));
  texts_.clear();
  ASSERT_EQ(Outcome({"INCR", "counter"}), absl::StatusCode::kOk);
  EXPECT_THAT(texts_, ::testing::ElementsAre("11")) << "its own answer, not one of the ten late ones";
  EXPECT_EQ(Metric("redis_outstanding"), 0);
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"timeout\"}"), 10);
}

TEST_F(ClientTest, WithoutADeadlineItWaits) {
  StartServer();
  Options options = Defaults();
  options.deadline = Nanos(0);
  Connected(options);
  server_->Pause();
  Issue({"PING"});
  RunFor(Millis(100));
  EXPECT_EQ(ended_, 0);
  server_->Continue();
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 1);
}

TEST_F(ClientTest, OutstandingIsBoundedWhileTheServerIsStopped) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(20);
  options.max_outstanding = 64;
  options.breaker.failures = 1'000'000;
  options.breaker.ratio = 1;
  Connected(options);
  server_->Pause();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) Issue({"PING"});
    ASSERT_TRUE(AllEnded());
  }
  EXPECT_EQ(Ended(absl::StatusCode::kDeadlineExceeded), 64);
  EXPECT_EQ(Ended(absl::StatusCode::kResourceExhausted), 236);
  EXPECT_EQ(Metric("redis_outstanding"), 64);
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"rejected\"}"), 236);
  server_->Continue();
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_outstanding") == 0; }));
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
}

TEST_F(ClientTest, BreakerOpensRejectsAtOnceAndClosesByItsOwnProbe) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(20);
  options.breaker.failures = 5;
  options.breaker.open_for = Millis(50);
  Client& client = Connected(options);
  server_->Pause();
  for (int i = 0; i < 5; ++i) Issue({"PING"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(client.breaker_state(), Breaker::State::kOpen);
  EXPECT_EQ(Metric("redis_breaker_state"), 1);
  const double commands = Metric("redis_commands_total");
  Issue({"PING"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kUnavailable), 1);
  EXPECT_FALSE(OutcomeUnknown(last_status_));
  EXPECT_EQ(Metric("redis_commands_total"), commands) << "nothing was sent for it";
  RunFor(Millis(200));
  EXPECT_NE(client.breaker_state(), Breaker::State::kClosed);
  EXPECT_GT(Metric("redis_commands_total"), commands) << "probes";
  server_->Continue();
  // No call of a user is needed.
  ASSERT_TRUE(RunUntil([&] { return client.breaker_state() == Breaker::State::kClosed; }));
  EXPECT_EQ(Metric("redis_breaker_state"), 0);
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
}

TEST_F(ClientTest, KillAbortsWhatIsOutstandingAndARestartReconnects) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(5000);
  Client& client = Connected(options);
  server_->Pause();
  for (int i = 0; i < 50; ++i) Issue({"INCR", "counter"});
  RunFor(Millis(20));  // sent
  server_->Kill();
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kAborted), 50);
  EXPECT_TRUE(OutcomeUnknown(last_status_));
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Metric("redis_outstanding"), 0);
  RunFor(Millis(100));  // attempts that fail
  server_->Start();
  ASSERT_TRUE(RunUntil([&] { return client.connected(); }));
  EXPECT_EQ(client.breaker_state(), Breaker::State::kClosed) << "the handshake was the probe";
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
  EXPECT_EQ(Metric("redis_reconnects_total"), 1);
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"lost\"}"), 50);
}

TEST_F(ClientTest, AConnectionThatOwesAnswersForTooLongIsReplaced) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(20);
  options.breaker.failures = 5;
  Client& client = Connected(options);
  server_->Pause();
  for (int i = 0; i < 20; ++i) Issue({"INCR", "counter"});
  ASSERT_TRUE(AllEnded());
  ASSERT_TRUE(RunUntil([&] { return !client.connected(); })) << "noticed by the probes";
  EXPECT_EQ(Metric("redis_outstanding"), 0);
  server_->Continue();
  ASSERT_TRUE(RunUntil([&] { return client.connected(); }));
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
  EXPECT_EQ(server_->Command({"GET", "counter"}), "20") << "what was sent before is still executed";
}

TEST_F(ClientTest, ScriptIsSentOnceWhenTheServerDoesNotKnowIt) {
  StartServer();
  Connected();
  const Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
  for (int i = 0; i < 20; ++i) IssueEval(script, "sum", "1");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 20);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(texts_[i], std::to_string(i + 1)) << "in the order of the calls";
  // The handshake, twenty calls that failed, one text, twenty calls again.
  EXPECT_EQ(Metric("redis_commands_total"), 1 + 20 + 1 + 20);
  EXPECT_THAT(server_->Command({"INFO", "commandstats"}), HasSubstr("cmdstat_script|load:calls=1,"));

  server_->Command({"SCRIPT", "FLUSH"});
  for (int i = 0; i < 20; ++i) IssueEval(script, "sum", "1");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 40);
  EXPECT_EQ(server_->Command({"GET", "sum"}), "40") << "each call took effect once";

  server_->Kill();
  server_->Start();
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_reconnects_total") == 1; }));
  IssueEval(script, "sum", "7");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(texts_.back(), "7");
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"ok\"}"), 41);
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"error\"}"), 0);
}

TEST_F(ClientTest, AScriptThatTheServerWillNotTakeEndsWithItsError) {
  StartServer();
  Connected();
  const Script script("this is not Lua");
  IssueEval(script, "key", "1");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kInvalidArgument), 1);
  EXPECT_THAT(texts_.back(), HasSubstr("NOSCRIPT"));
}

TEST_F(ClientTest, AnExpiredScriptCallIsNotSentAgain) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(20);
  Connected(options);
  const Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
  server_->Pause();
  IssueEval(script, "sum", "1");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kDeadlineExceeded), 1);
  server_->Continue();
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_late_replies_total") == 1; }));
  RunFor(Millis(20));
  EXPECT_EQ(server_->Command({"GET", "sum"}), "(nil)");
}

TEST_F(ClientTest, RefusalsOfTheServerAreFailedPreconditions) {
  StartServer();
  Connected();
  server_->Command({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(Outcome({"SET", "a", "b"}), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(texts_.back(), HasSubstr("OOM"));
  const Script script("return redis.call('SET', KEYS[1], ARGV[1])");
  IssueEval(script, "a", "b");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(last_status_.code(), absl::StatusCode::kFailedPrecondition) << last_status_;
  server_->Command({"CONFIG", "SET", "maxmemory", "0"});

  server_->Command({"REPLICAOF", "127.0.0.1", "1"});
  EXPECT_EQ(Outcome({"SET", "a", "b"}), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(texts_.back(), HasSubstr("READONLY"));
  IssueEval(script, "a", "b");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(last_status_.code(), absl::StatusCode::kFailedPrecondition) << last_status_;
  server_->Command({"REPLICAOF", "NO", "ONE"});

  EXPECT_EQ(Outcome({"NO-SUCH-COMMAND"}), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(OutcomeUnknown(last_status_));
  EXPECT_EQ(Outcome({"SET", "a", "b"}), absl::StatusCode::kOk);
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"error\"}"), 5);
}

TEST_F(ClientTest, AServerThatOnlyRefusesOpensTheBreaker) {
  StartServer();
  Options options = Defaults();
  options.breaker.failures = 5;
  Client& client = Connected(options);
  server_->Command({"CONFIG", "SET", "maxmemory", "1"});
  for (int i = 0; i < 5; ++i) Issue({"NO-SUCH-COMMAND"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(client.breaker_state(), Breaker::State::kClosed) << "a bad command is our fault, not the store's";
  for (int i = 0; i < 5; ++i) Issue({"SET", "a", "b"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(client.breaker_state(), Breaker::State::kOpen);
}

TEST_F(ClientTest, CloseEndsEverythingOnce) {
  StartServer();
  Client& client = Connected();
  server_->Pause();
  for (int i = 0; i < 30; ++i) Issue({"PING"});
  RunFor(Millis(5));
  for (int i = 0; i < 30; ++i) Issue({"PING"});  // appended, not yet written
  client.Close();
  EXPECT_EQ(ended_, 60);
  EXPECT_EQ(Ended(absl::StatusCode::kAborted), 60);
  server_->Continue();
  RunFor(Millis(20));
  EXPECT_EQ(ended_, 60);
  EXPECT_FALSE(client.connected());
}

TEST_F(ClientTest, CloseFromACallbackEndsTheRest) {
  StartServer();
  Client& client = Connected();
  bool closed = false;
  const std::string_view arguments[] = {"PING"};
  client.Command(arguments, [&](absl::StatusOr<Reply> reply) {
    EXPECT_TRUE(reply.ok());
    client.Close();
    closed = true;
    EXPECT_EQ(ended_, 10);
  });
  for (int i = 0; i < 10; ++i) Issue({"PING"});
  ASSERT_TRUE(RunUntil([&] { return closed; }));
  EXPECT_EQ(Ended(absl::StatusCode::kAborted), 10);
}

TEST_F(ClientTest, ACallbackMayIssueTheNextOperation) {
  StartServer();
  Client& client = Connected();
  int left = 50;
  std::function<void(absl::StatusOr<Reply>)> next = [&](absl::StatusOr<Reply> reply) {
    EXPECT_TRUE(reply.ok());
    const std::string_view arguments[] = {"PING"};
    if (--left > 0) client.Command(arguments, next);
  };
  const std::string_view arguments[] = {"PING"};
  client.Command(arguments, next);
  EXPECT_TRUE(RunUntil([&] { return left == 0; }));
}

TEST_F(ClientTest, MoreThanTheSocketTakesStillArrives) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(8000);
  Connected(options);
  const std::string big(1 << 20, 'x');
  server_->Pause();
  for (int i = 0; i < 16; ++i) Issue({"SET", "big" + std::string(1, 'a'), big});
  RunFor(Millis(50));
  server_->Continue();
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 16);
  EXPECT_EQ(server_->Command({"STRLEN", "biga"}), std::to_string(1 << 20));
}

TEST_F(ClientTest, AClusterIsRefusedInPlainWords) {
  StartServer({"--cluster-enabled", "yes"});
  Client& client = MakeClient(Defaults());
  std::optional<absl::Status> ready;
  client.WhenReady([&](absl::Status status) { ready = status; });
  ASSERT_TRUE(RunUntil([&] { return ready.has_value(); }));
  EXPECT_EQ(ready->code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(ready->message()), HasSubstr("cluster mode"));
  EXPECT_EQ(client.refusal(), *ready);
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(texts_.back(), HasSubstr("cluster mode"));
}

TEST_F(ClientTest, PasswordIsAskedForAndUsed) {
  StartServer({"--requirepass", "secret"});
  Client& without = MakeClient(Defaults());
  ASSERT_TRUE(RunUntil([&] { return !without.refusal().ok(); }));
  EXPECT_THAT(std::string(without.refusal().message()), HasSubstr("wants a password"));

  Options options = Defaults();
  options.password = "wrong-guess";
  Client& wrong = MakeClient(options);
  ASSERT_TRUE(RunUntil([&] { return !wrong.refusal().ok(); }));
  EXPECT_THAT(std::string(wrong.refusal().message()), HasSubstr("refused the password"));
  EXPECT_THAT(std::string(wrong.refusal().message()), Not(HasSubstr("wrong-guess")));

  options.password = "secret";
  Connected(options);
  EXPECT_TRUE(client_->refusal().ok());
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
}

TEST_F(ClientTest, WhenReadyCallsBackOnceWhateverHappens) {
  StartServer();
  Client& client = MakeClient(Defaults());
  std::vector<absl::StatusCode> codes;
  auto record = [&](absl::Status status) { codes.push_back(status.code()); };
  client.WhenReady(record);
  EXPECT_TRUE(codes.empty());
  ASSERT_TRUE(RunUntil([&] { return codes.size() == 1; }));
  client.WhenReady(record);  // already connected
  ASSERT_TRUE(RunUntil([&] { return codes.size() == 2; }));
  EXPECT_THAT(codes, ::testing::Each(absl::StatusCode::kOk));

  server_->Kill();
  Client& nowhere = MakeClient(Defaults());
  nowhere.WhenReady(record);
  RunFor(Millis(30));
  EXPECT_EQ(codes.size(), 2u);
  nowhere.Close();
  ASSERT_EQ(codes.size(), 3u);
  EXPECT_EQ(codes[2], absl::StatusCode::kAborted);
}

TEST_F(ClientTest, AHostNameIsResolved) {
  StartServer();
  Options options = Defaults();
  options.host = "localhost";
  Connected(options);
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
}

TEST_F(ClientTest, AHostThatDoesNotExistIsJustNotConnected) {
  Options options = Defaults();
  options.host = "no-such-host.invalid";
  MakeClient(options);
  RunFor(Millis(30));
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace lab::redis
