#include "services/runtime/http/server_fixture.h"

namespace lab::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class StreamTest : public ServerTest {
 protected:
  ~StreamTest() override { Stop(); }

  void StartStreams(Server::Options options = {}) {
    Start(options);
    OnLoop([this] {
      server_->Handle("GET", "/stream", [this](const Request&, Server::Respond respond) {
        Response response{200, "text/event-stream", "begin\n", {}};
        response.stream = [this](std::shared_ptr<Stream> stream) {
          stream->OnEnd([this] { ++ended_; });
          stream->OnSent([this] { ++sent_; });
          stream_ = std::move(stream);
          ++opened_;
        };
        respond(std::move(response));
      });
    });
  }
  std::unique_ptr<RawClient> Open() {
    auto client = std::make_unique<RawClient>(server_->port());
    client->Send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    client->ReadUntil("begin\n");
    return client;
  }
  bool Write(const std::string& text) {
    bool written = false;
    OnLoop([&] { written = stream_->Write(text); });
    return written;
  }

  std::shared_ptr<Stream> stream_;  // on the loop's thread
  std::atomic<int> opened_{0}, ended_{0}, sent_{0};
};

TEST_F(StreamTest, GoesOnUntilTheServerClosesIt) {
  StartStreams();
  const auto client = Open();
  EXPECT_TRUE(Write("one\n"));
  client->ReadUntil("one\n");
  EXPECT_TRUE(Write("two\n"));
  EXPECT_TRUE(Write("three\n"));
  client->ReadUntil("three\n");
  ASSERT_TRUE(WaitUntil([this] { return sent_ >= 2; }));
  OnLoop([this] { stream_->Close(); });
  const std::string all = client->ReadAll();
  EXPECT_TRUE(client->closed());
  EXPECT_THAT(all, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(all, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(all, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(all, HasSubstr("\r\n\r\nbegin\none\ntwo\nthree\n"));
  EXPECT_EQ(ended_, 1);
  EXPECT_FALSE(Write("four\n"));
}

TEST_F(StreamTest, NoticesAClientThatWent) {
  StartStreams();
  auto client = Open();
  OnLoop([this] { EXPECT_TRUE(stream_->open()); });
  client.reset();
  ASSERT_TRUE(WaitUntil([this] { return ended_ == 1; }));
  OnLoop([this] { EXPECT_FALSE(stream_->open()); });
  EXPECT_FALSE(Write("nobody is here"));
}

TEST_F(StreamTest, AClientThatTakesTooLittleIsClosed) {
  StartStreams({.max_stream_bytes = 1 << 20});
  const auto client = Open();
  bool written = true;
  for (int i = 0; i < 100 && written; ++i) written = Write(std::string(512 << 10, 'x'));
  EXPECT_FALSE(written);
  EXPECT_EQ(ended_, 1);
  client->ReadAll();
  EXPECT_TRUE(client->closed());
}

TEST_F(StreamTest, AClientThatTakesNothingForTooLongIsClosed) {
  StartStreams({.max_stream_bytes = 64 << 20, .idle_timeout = Millis(100)});
  const auto client = Open();
  ASSERT_TRUE(Write(std::string(32 << 20, 'x')));
  ASSERT_TRUE(WaitUntil([this] { return ended_ == 1; }));
}

TEST_F(StreamTest, ASilentStreamIsNotLate) {
  StartStreams({.idle_timeout = Millis(50)});
  const auto client = Open();
  std::this_thread::sleep_for(Millis(200));
  EXPECT_TRUE(Write("still here\n"));
  EXPECT_THAT(client->ReadUntil("still here\n"), HasSubstr("still here\n"));
}

TEST_F(StreamTest, DrainEndsIt) {
  StartStreams();
  const auto client = Open();
  std::atomic<bool> drained{false};
  OnLoop([&] { server_->Drain(Clock::now() + std::chrono::seconds(20), [&] { drained = true; }); });
  client->ReadAll();
  EXPECT_TRUE(client->closed());
  EXPECT_TRUE(WaitUntil([&] { return drained.load(); }));
  EXPECT_EQ(ended_, 1);
}

TEST_F(StreamTest, AHeadRequestHasNoStream) {
  StartStreams();
  RawClient client(server_->port());
  client.Send("HEAD /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), Not(HasSubstr("begin")));
  EXPECT_EQ(opened_, 0);
}

}  // namespace
}  // namespace lab::http
