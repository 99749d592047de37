#include "services/runtime/redis/subscriber.h"

#include <utility>

#include "services/runtime/redis/client_fixture.h"

namespace lab::redis {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Pair;

class SubscriberTest : public ClientTest {
 protected:
  ~SubscriberTest() override {
    subscriber_.reset();
    RunFor(Millis(1));
  }

  void Open(std::vector<std::string> channels, std::vector<std::string> prefixes, const std::string& password = "") {
    Options options = Defaults();
    options.port = server_->port();
    options.password = password;
    options.connect_timeout = Millis(1000);
    options.reconnect_max = Millis(20);
    subscriber_.emplace(
        loop_, options, std::move(channels), std::move(prefixes),
        Subscriber::Listener{
            [this] { ++stood_; },
            [this](std::string_view channel, std::string_view text) { told_.emplace_back(channel, text); },
            [this](std::string_view key) { changed_.emplace_back(key); }, [this] { ++flushed_; },
            [this](const absl::Status& why) {
              ++lost_;
              why_ = std::string(why.message());
            }},
        metrics_);
  }
  void Standing(int times = 1) {
    ASSERT_TRUE(RunUntil([&] { return stood_ == times; }));
  }
  // What comes behind this has come: messages are in order.
  void Settle() {
    server_->Command({"PUBLISH", "chat", "settled"});
    ASSERT_TRUE(RunUntil([&] { return !told_.empty() && told_.back().second == "settled"; }));
    told_.pop_back();
  }

  std::optional<Subscriber> subscriber_;
  std::vector<std::pair<std::string, std::string>> told_;
  std::vector<std::string> changed_;
  int stood_ = 0, flushed_ = 0, lost_ = 0;
  std::string why_;
};

TEST_F(SubscriberTest, TellsMessages) {
  StartServer();
  Open({"chat", "news"}, {});
  Standing();
  server_->Command({"PUBLISH", "chat", "hello"});
  server_->Command({"PUBLISH", "news", std::string("\0\r\n", 3)});
  server_->Command({"PUBLISH", "other", "not for us"});
  Settle();
  EXPECT_THAT(told_, ElementsAre(Pair("chat", "hello"), Pair("news", std::string("\0\r\n", 3))));
  EXPECT_EQ(Metric("redis_subscriber_connected"), 1);
}

TEST_F(SubscriberTest, TellsOfEveryChangeUnderThePrefix) {
  StartServer();
  Open({"chat"}, {"insights:", "other:"});
  Standing();
  server_->Command({"SET", "insights:{a}", "1"});
  Settle();
  server_->Command({"EVAL", "return redis.call('SET', KEYS[1], 1)", "1", "insights:{b}"});
  Settle();
  server_->Command({"DEL", "insights:{a}"});
  Settle();
  server_->Command({"SET", "lease:insights:{a}", "1"});
  server_->Command({"DEL", "insights:{never}"});
  server_->Command({"SET", "other:c", "1"});
  Settle();
  EXPECT_THAT(changed_, ElementsAre("insights:{a}", "insights:{b}", "insights:{a}", "other:c"));
}

TEST_F(SubscriberTest, TellsOfWhatExpires) {
  StartServer();
  Open({"chat"}, {"insights:"});
  Standing();
  server_->Command({"SET", "insights:a", "1", "PX", "20"});
  ASSERT_TRUE(RunUntil([&] { return changed_.size() == 2; }));
  EXPECT_EQ(server_->Command({"EXISTS", "insights:a"}), "0");
}

TEST_F(SubscriberTest, AFlushIsToldAsOne) {
  StartServer();
  Open({"chat"}, {"insights:"});
  Standing();
  server_->Command({"FLUSHALL"});
  Settle();
  EXPECT_EQ(flushed_, 1);
  EXPECT_TRUE(changed_.empty());
}

TEST_F(SubscriberTest, ALossIsToldAndMended) {
  StartServer();
  Open({"chat"}, {"insights:"});
  Standing();
  server_->Command({"CLIENT", "KILL", "TYPE", "pubsub"});
  ASSERT_TRUE(RunUntil([&] { return lost_ == 1; }));
  Standing(2);
  server_->Command({"SET", "insights:a", "1"});
  Settle();
  EXPECT_THAT(changed_, ElementsAre("insights:a"));
  EXPECT_EQ(Metric("redis_subscriber_reconnects_total"), 1);
  server_->Kill();
  ASSERT_TRUE(RunUntil([&] { return lost_ == 2; }));
  EXPECT_FALSE(subscriber_->connected());
  RunFor(Millis(50));
  server_->Start();
  Standing(3);
  EXPECT_EQ(lost_, 2);
}

TEST_F(SubscriberTest, IsMadeAnewWhenAskedTo) {
  StartServer();
  Open({"chat"}, {"insights:"});
  Standing();
  subscriber_->Reconnect("in doubt");
  EXPECT_EQ(lost_, 1);
  EXPECT_EQ(why_, "in doubt");
  Standing(2);
  Settle();
}

TEST_F(SubscriberTest, AfterCloseNobodyIsTold) {
  StartServer();
  Open({"chat"}, {"insights:"});
  Standing();
  subscriber_->Close();
  server_->Command({"SET", "insights:a", "1"});
  RunFor(Millis(20));
  EXPECT_TRUE(changed_.empty());
  EXPECT_EQ(lost_, 0);
}

TEST_F(SubscriberTest, GivesThePassword) {
  StartServer({"--requirepass", "secret"});
  Open({"chat"}, {"insights:"}, "wrong");
  RunFor(Millis(50));
  EXPECT_EQ(stood_, 0);
  Open({"chat"}, {"insights:"}, "secret");
  Standing();
}

TEST_F(SubscriberTest, ManyKeysOfOneTurnComeAtOnce) {
  StartServer();
  Open({"chat"}, {"insights:"});
  Standing();
  server_->Command({"EVAL", "for i = 1, 20000 do redis.call('SET', 'insights:' .. i, i) end", "0"});
  Settle();
  EXPECT_EQ(changed_.size(), 20000u);
  EXPECT_THAT(changed_, Contains("insights:20000"));
}

TEST_F(SubscriberTest, TheHookOfAClientTellsBothEnds) {
  StartServer();
  std::vector<bool> told;
  Client& client = MakeClient(Defaults());
  client.OnConnection([&](bool stands) { told.push_back(stands); });
  ASSERT_TRUE(RunUntil([&] { return told.size() == 1; }));
  server_->Command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  ASSERT_TRUE(RunUntil([&] { return told.size() == 3; }));
  EXPECT_THAT(told, ElementsAre(true, false, true));
  client.Close();
  RunFor(Millis(5));
  EXPECT_EQ(told.size(), 3u);
}

}  // namespace
}  // namespace lab::redis
