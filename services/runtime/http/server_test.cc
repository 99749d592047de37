#include <nlohmann/json.hpp>

#include "services/runtime/http/server_fixture.h"

namespace lab::http {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  Start();
  RawClient client(server_->port());
  client.Send(kGet);
  const std::string first = client.ReadUntil("hello");
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(first, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(first, HasSubstr("Connection: keep-alive\r\n"));
  client.Send("GET /hello?name=a+b%26c&name=x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), HasSubstr("hello a b&c"));
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(Metric("http_requests_total{code=\"2xx\"}"), 2);
}

TEST_F(ServerTest, Http10ClosesUnlessAsked) {
  Start();
  RawClient client(server_->port());
  client.Send("GET /hello HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), HasSubstr("Connection: close"));
  RawClient kept(server_->port());
  kept.Send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(kept.ReadUntil("hello"), HasSubstr("Connection: keep-alive"));
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  Start();
  RawClient client(server_->port());
  std::string requests, expected;
  for (int i = 0; i < 2000; ++i) requests += Concat("GET /hello?name=", i, " HTTP/1.1\r\nHost: a\r\n\r\n");
  std::thread sender([&] { client.Send(requests); });
  client.ReadUntil("hello ", 2000);
  sender.join();
  const std::string received = client.ReadUntil("hello 1999");
  size_t at = 0;
  for (int i = 0; i < 2000; ++i) {
    at = received.find(Concat("\r\n\r\nhello ", i), at);
    ASSERT_NE(at, std::string::npos) << i;
    ++at;
  }
}

TEST_F(ServerTest, ALaterAnswerHoldsBackTheNextOne) {
  Start();
  RawClient client(server_->port());
  client.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  client.Send(kGet);
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 1; }));
  AnswerWaiting();
  const std::string received = client.ReadUntil("hello");
  EXPECT_LT(received.find("finally"), received.find("hello"));
}

TEST_F(ServerTest, Routes) {
  Start();
  EXPECT_THAT(Ask("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 404"));
  const std::string wrong = Ask("DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(wrong, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_THAT(Ask("GET /tree/a%2fb HTTP/1.1\r\nHost: a\r\n\r\n"), HasSubstr("tree:/tree/a/b"));
  EXPECT_THAT(Ask("GET /tree/leaf/x HTTP/1.1\r\nHost: a\r\n\r\n"), HasSubstr("leaf"));
  EXPECT_THAT(Ask("GET /tree HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask("GET http://a.b:1/hello?name=x HTTP/1.1\r\nHost: a\r\n\r\n"), HasSubstr("hello x"));
  EXPECT_THAT(Ask("GET /hello%zz HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("GET /hello%00 HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("GET /hello HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400"));  // no Host
}

TEST_F(ServerTest, HeadHasTheHeadersOfGetAndNoBody) {
  Start();
  const std::string received = Ask("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(received, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_TRUE(received.ends_with("\r\n\r\n")) << received;
}

TEST_F(ServerTest, HandsOverHeadersAndTrace) {
  Start();
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_THAT(Ask(Concat("GET /headers HTTP/1.1\r\nHost: a\r\nX-ONE:  two \r\ntraceparent: ", trace, "\r\n\r\n")),
              HasSubstr(Concat("two|", trace)));
}

TEST_F(ServerTest, ReadsBodies) {
  Start();
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"), HasSubstr("\r\n\r\nabc!"));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
              HasSubstr("\r\n\r\nabc!"));
  const std::string forged = Ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(forged, Not(HasSubstr("\r\nX-Evil")));
}

TEST_F(ServerTest, SaysContinue) {
  Start();
  RawClient client(server_->port());
  client.Send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue\r\n\r\n"));
  client.Send("abc");
  EXPECT_THAT(client.ReadUntil("abc!"), HasSubstr("HTTP/1.1 200 OK"));
}

TEST_F(ServerTest, DroppedAndThrownRequestsAre500) {
  Start();
  EXPECT_THAT(Ask("GET /drop HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(Ask("GET /throw HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 500"));
  EXPECT_EQ(Metric("http_requests_total{code=\"5xx\"}"), 2);
}

TEST_F(ServerTest, DrainLetsRequestsEnd) {
  Start();
  RawClient busy(server_->port()), idle(server_->port());
  idle.Send(kGet);
  idle.ReadUntil("hello");
  busy.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 1; }));
  const int port = server_->port();
  std::promise<void> drained;
  std::future<void> done = drained.get_future();
  OnLoop([&] { server_->Drain(Clock::now() + seconds(20), [&] { drained.set_value(); }); });
  idle.ReadAll();
  EXPECT_TRUE(idle.closed());
  EXPECT_FALSE(RawClient(port).connected());
  EXPECT_EQ(done.wait_for(seconds(0)), std::future_status::timeout);
  AnswerWaiting();
  const std::string received = busy.ReadAll();
  EXPECT_THAT(received, HasSubstr("finally"));
  EXPECT_THAT(received, HasSubstr("Connection: close"));
  EXPECT_EQ(done.wait_for(seconds(20)), std::future_status::ready);
}

TEST_F(ServerTest, DrainEndsAtItsDeadline) {
  Start();
  RawClient busy(server_->port());
  busy.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 1; }));
  std::promise<void> drained;
  OnLoop([&] { server_->Drain(Clock::now() + Millis(50), [&] { drained.set_value(); }); });
  EXPECT_EQ(drained.get_future().wait_for(seconds(20)), std::future_status::ready);
  busy.ReadAll();
  EXPECT_TRUE(busy.closed());
  AnswerWaiting();  // too late, and harmless
}

TEST_F(ServerTest, RespondMayOutliveTheServer) {
  Start();
  RawClient client(server_->port());
  client.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 1; }));
  OnLoop([this] { server_.reset(); });
  client.ReadAll();
  EXPECT_TRUE(client.closed());
  AnswerWaiting();
}

TEST_F(ServerTest, ATakenPortIsAnError) {
  Start();
  Server second(loop_, {.port = server_->port()});
  const absl::Status status = second.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(Concat("127.0.0.1:", server_->port())));
  EXPECT_EQ(Server(loop_, {.host = "not-an-address"}).Start().code(), absl::StatusCode::kInvalidArgument);
}

TEST(FromStatusTest, MapsCodesToProblems) {
  EXPECT_EQ(FromStatus(absl::OkStatus()).status, 200);
  EXPECT_EQ(FromStatus(absl::NotFoundError("x")).status, 404);
  EXPECT_EQ(FromStatus(absl::UnavailableError("x")).status, 503);
  EXPECT_EQ(FromStatus(absl::ResourceExhaustedError("x")).status, 429);
  EXPECT_EQ(FromStatus(absl::InternalError("x")).status, 500);
  const Response response = FromStatus(absl::InvalidArgumentError("a \"b\""));
  EXPECT_EQ(response.content_type, "application/problem+json");
  const json body = json::parse(response.body);
  EXPECT_EQ(body["status"], 400);
  EXPECT_EQ(body["title"], "INVALID_ARGUMENT");
  EXPECT_EQ(body["detail"], "a \"b\"");
}

}  // namespace
}  // namespace lab::http
