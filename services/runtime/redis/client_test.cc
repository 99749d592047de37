#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/runtime/redis/client_fixture.h"

namespace lab::redis {
namespace {

using ::testing::HasSubstr;

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
