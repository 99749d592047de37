#include "services/runtime/rpc/server.h"

#include <arpa/inet.h>
#include <grpc/support/log.h>
#include <grpcpp/support/byte_buffer.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <nlohmann/json.hpp>

#include "grpc/health/v1/health.pb.h"
#include "services/runtime/rpc/test_support.h"

namespace lab::rpc {
namespace {

using testing::EchoServer;
using testing::kEcho;
using testing::kHold;
using testing::PlainClient;
using testing::StringValue;
using testing::WaitUntil;

grpc::ByteBuffer Bytes(std::string_view text) {
  const grpc::Slice slice(text.data(), text.size());
  return {&slice, 1};
}

TEST(ServerTest, EchoesMessagesOfAllSizes) {
  EchoServer echo;
  ASSERT_TRUE(echo.status.ok()) << echo.status;
  PlainClient client(echo.target());
  // Across the slices of a read, and across HTTP/2 frames of 16 KiB.
  for (size_t size : {0, 1, 100, 4'000, 20'000, 60'000}) {
    std::string answer;
    const std::string text(size, 'x');
    ASSERT_TRUE(client.Echo(text, &answer).ok());
    EXPECT_EQ(answer, text);
  }
}

TEST(ServerTest, PassesCodeAndTextOfAFailure) {
  EchoServer echo;
  const grpc::Status status = PlainClient(echo.target()).Echo("fail");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(status.error_message(), "told to fail");
}

TEST(ServerTest, CountsCallsByCode) {
  EchoServer echo;
  PlainClient client(echo.target());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.Echo("four").ok());
  client.Echo("fail");
  // An answer may be here before the turn that sent it has counted it.
  EXPECT_TRUE(WaitUntil([&] {
    return echo.MetricsShow("rpc_server_duration_seconds_count 4") && echo.MetricsShow("rpc_server_in_flight 0") &&
           echo.MetricsShow("rpc_server_received_bytes_total 24");
  }));
  EXPECT_TRUE(echo.MetricsShow("rpc_server_calls_total{code=\"OK\"} 3")) << echo.metrics.Text();
  EXPECT_TRUE(echo.MetricsShow("rpc_server_calls_total{code=\"ABORTED\"} 1"));
  EXPECT_TRUE(echo.MetricsShow("rpc_server_duration_seconds_count 4"));
  EXPECT_TRUE(echo.MetricsShow("rpc_server_received_bytes_total 24"));
  EXPECT_TRUE(echo.MetricsShow("rpc_server_sent_bytes_total 18"));
  EXPECT_TRUE(echo.MetricsShow("rpc_server_connections 1"));
}

TEST(ServerTest, TellsWhatIsWrongWithABadMessage) {
  EchoServer echo;
  grpc::ByteBuffer response;
  const grpc::Status status = PlainClient(echo.target()).Call(kEcho, Bytes("\xff\xff\xff"), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "the request's 3 bytes are not a google.protobuf.StringValue");
}

TEST(ServerTest, RefusesMessagesAboveItsBound) {
  EchoServer echo({.max_message_bytes = 1000});
  PlainClient client(echo.target());
  EXPECT_EQ(client.Echo(std::string(2'000, 'x')).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(client.Echo(std::string(900, 'x')).ok()) << "the connection goes on";
}

TEST(ServerTest, RefusesUnknownMethods) {
  EchoServer echo;
  StringValue message;
  PlainClient client(echo.target());
  for (const char* method : {"/lab.test.Echo/Other", "/lab.test.Nothing/Echo", "/grpc.health.v1.Health/Watch"}) {
    EXPECT_EQ(client.Call(method, message, &message).error_code(), grpc::StatusCode::UNIMPLEMENTED) << method;
  }
}

TEST(ServerTest, RefusesAtOnceWhatIsTooMuchInFlight) {
  EchoServer echo({.max_in_flight = 2});
  std::vector<std::thread> holders;
  for (int i = 0; i < 2; ++i) {
    holders.emplace_back([&] {
      StringValue message;
      EXPECT_TRUE(PlainClient(echo.target()).Call(kHold, message, &message).ok());
    });
  }
  ASSERT_TRUE(WaitUntil([&] { return echo.held_count() == 2; }));
  PlainClient client(echo.target());
  EXPECT_EQ(client.Echo("one too many").error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  echo.Release();
  for (auto& holder : holders) holder.join();
  ASSERT_TRUE(WaitUntil([&] { return echo.in_flight() == 0; }));
  EXPECT_TRUE(client.Echo("now it fits").ok());
}

TEST(ServerTest, ClosesAConnectionBeyondTheBound) {
  EchoServer echo({.max_connections = 2});
  PlainClient first(echo.target());
  auto second = std::make_unique<PlainClient>(echo.target());
  ASSERT_TRUE(first.Echo("one").ok());
  ASSERT_TRUE(second->Echo("two").ok());
  const grpc::Status refused = PlainClient(echo.target()).Echo("three");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE) << refused.error_message();
  EXPECT_FALSE(echo.MetricsShow("rpc_server_refused_connections_total 0"));
  EXPECT_TRUE(first.Echo("still here").ok());
  second.reset();
  PlainClient third(echo.target());
  EXPECT_TRUE(WaitUntil([&] { return third.Echo("now there is room").ok(); }));
}

TEST(ServerTest, NamesThePortThatIsTaken) {
  EchoServer first;
  EchoServer second({.port = first.port});
  EXPECT_EQ(second.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(second.status.message(), "cannot listen on 127.0.0.1:" + std::to_string(first.port) +
                                         ": Address already in use; choose a free port, or 0 for any");
  EchoServer third({.host = "nowhere"});
  EXPECT_EQ(third.status.code(), absl::StatusCode::kInvalidArgument);
}

TEST(ServerTest, KnowsTheClientsDeadline) {
  EchoServer echo;
  PlainClient client(echo.target());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + Millis(100));
  StringValue message;
  const auto before = Clock::now();
  EXPECT_EQ(client.Call(kHold, message, &message, &context).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  ASSERT_EQ(echo.held_count(), 1);
  const auto deadline = echo.thread.Do([&] { return echo.held[0].deadline(); });
  EXPECT_GT(deadline, before + Millis(50));
  EXPECT_LT(deadline, before + Millis(200));
  echo.Release();  // too late, and harmless
  EXPECT_TRUE(WaitUntil([&] { return echo.in_flight() == 0; }));

  std::thread patient([&] {
    grpc::ClientContext none;
    StringValue answer;
    EXPECT_TRUE(client.Call(kHold, message, &answer, &none).ok());
  });
  ASSERT_TRUE(WaitUntil([&] { return echo.held_count() == 1; }));
  EXPECT_EQ(echo.thread.Do([&] { return echo.held[0].deadline(); }), Clock::time_point::max());
  echo.Release();
  patient.join();
}

TEST(ServerTest, AnswersAfterACancelAreHarmless) {
  EchoServer echo;
  PlainClient client(echo.target());
  grpc::ClientContext context;
  std::thread caller([&] {
    StringValue message;
    EXPECT_EQ(client.Call(kHold, message, &message, &context).error_code(), grpc::StatusCode::CANCELLED);
  });
  ASSERT_TRUE(WaitUntil([&] { return echo.held_count() == 1; }));
  context.TryCancel();
  caller.join();
  echo.Release();
  EXPECT_TRUE(WaitUntil([&] { return echo.in_flight() == 0; }));
  EXPECT_TRUE(client.Echo("still here").ok());
}

TEST(ServerTest, ASecondAnswerIsDropped) {
  EchoServer echo;
  PlainClient client(echo.target());
  std::thread caller([&] {
    StringValue message;
    EXPECT_TRUE(client.Call(kHold, message, &message).ok());
  });
  ASSERT_TRUE(WaitUntil([&] { return echo.held_count() == 1; }));
  Call call = echo.thread.Do([&] { return echo.held[0]; });
  echo.Release();
  caller.join();
  ASSERT_TRUE(WaitUntil([&] { return echo.in_flight() == 0; }));
  echo.thread.Do([&] { call.Reply(StringValue()); });
  EXPECT_TRUE(client.Echo("still in step").ok());
  EXPECT_TRUE(echo.MetricsShow("rpc_server_calls_total{code=\"OK\"} 2")) << echo.metrics.Text();
}

// A client by hand, to break the connection in the middle of a call.
class RawConnection {
 public:
  explicit RawConnection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~RawConnection() { close(fd_); }

  void Send(const std::string& bytes) { EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), bytes.size()); }
  using Header = std::pair<std::string, std::string>;
  // HTTP/2: preface, SETTINGS, and one request with an empty message on stream 1.
  void SendRequest(const std::string& path, const std::vector<Header>& more = {}, const std::string& settings = "") {
    std::vector<Header> all = {{":method", "POST"},    {":scheme", "http"}, {":path", path},
                               {":authority", "test"}, {"te", "trailers"},  {"content-type", "application/grpc"}};
    all.insert(all.end(), more.begin(), more.end());
    std::string headers;
    for (const auto& [name, value] : all) {
      headers += '\0';  // HPACK: a literal that is not indexed
      headers += static_cast<char>(name.size()) + name;
      headers += static_cast<char>(value.size()) + value;
    }
    Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, settings) + Frame(1, 4, 1, headers) +
         Frame(0, 1, 1, std::string(5, '\0')));
  }
  // With a RST instead of a FIN.
  void Reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(std::exchange(fd_, -1));
  }

 private:
  static std::string Frame(char type, char flags, char stream, const std::string& payload) {
    std::string frame{'\0', static_cast<char>(payload.size() >> 8), static_cast<char>(payload.size()), type, flags};
    frame += std::string(3, '\0') + stream;
    return frame + payload;
  }

  int fd_;
};

TEST(ServerTest, SurvivesAConnectionThatBreaksInACall) {
  EchoServer echo;
  for (int i = 0; i < 3; ++i) {
    RawConnection raw(echo.port);
    raw.SendRequest(kHold);
    ASSERT_TRUE(WaitUntil([&] { return echo.held_count() == 1; }));
    EXPECT_TRUE(WaitUntil([&] { return echo.MetricsShow("rpc_server_connections 1"); }));
    i == 1 ? raw.SendRequest("garbage") : raw.Reset();
    EXPECT_TRUE(WaitUntil([&] { return echo.MetricsShow("rpc_server_connections 0"); }));
    echo.Release();
    EXPECT_TRUE(WaitUntil([&] { return echo.in_flight() == 0; }));
  }
  EXPECT_TRUE(PlainClient(echo.target()).Echo("still here").ok());
}

// A call is over once its reply has been sent, and a client may shut the window that it is sent through.
TEST(ServerTest, GivesUpACallWhoseReplyIsNotTaken) {
  EchoServer echo({.reply_timeout = Millis(50)});
  RawConnection raw(echo.port);
  const std::string no_window("\0\4\0\0\0\0", 6);  // SETTINGS_INITIAL_WINDOW_SIZE: 0
  raw.SendRequest(kEcho, {}, no_window);
  EXPECT_TRUE(WaitUntil([&] { return echo.MetricsShow("rpc_server_unread_replies_total 1"); }));
  EXPECT_TRUE(WaitUntil([&] { return echo.in_flight() == 0; }));
  EXPECT_TRUE(PlainClient(echo.target()).Echo("still here").ok());
  EXPECT_TRUE(echo.MetricsShow("rpc_server_unread_replies_total 1"));
}

// A handler that charged for it would charge for nothing: its caller is gone.
TEST(ServerTest, ACallWhoseDeadlineIsOverOnArrivalReachesNoHandler) {
  EchoServer echo;
  RawConnection raw(echo.port);
  raw.SendRequest(kHold, {{"grpc-timeout", "0n"}});
  EXPECT_TRUE(WaitUntil([&] { return echo.MetricsShow("rpc_server_calls_total{code=\"DEADLINE_EXCEEDED\"} 1"); }));
  EXPECT_EQ(echo.held_count(), 0);
  EXPECT_TRUE(WaitUntil([&] { return echo.in_flight() == 0; }));
}

// A log collector reads one JSON object a line; gRPC logs what clients send as it came.
TEST(ServerTest, WhatGrpcLogsIsOneOfOurLines) {
  EchoServer echo;
  ::testing::internal::CaptureStderr();
  gpr_log(GPR_ERROR, "bad header \"%s\"", "x\n{\"event\":\"forged\"}\xff");
  for (int i = 0; i < 100; ++i) gpr_log(GPR_ERROR, "again");
  const std::string text = ::testing::internal::GetCapturedStderr();
  ASSERT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  const auto line = nlohmann::json::parse(text, nullptr, false);
  ASSERT_TRUE(line.is_object()) << text;
  EXPECT_EQ(line["event"], "grpc_log");
  EXPECT_EQ(line["level"], "error");
  EXPECT_EQ(line["message"], "bad header \"x\n{\"event\":\"forged\"}\ufffd\"");
}

TEST(ServerTest, AnswersHealthChecks) {
  EchoServer echo;
  PlainClient client(echo.target());
  using grpc::health::v1::HealthCheckRequest;
  using grpc::health::v1::HealthCheckResponse;
  const auto check = [&](const std::string& service) {
    HealthCheckRequest request;
    HealthCheckResponse response;
    request.set_service(service);
    const grpc::Status status = client.Call("/grpc.health.v1.Health/Check", request, &response);
    return std::pair(status.error_code(), response.status());
  };
  EXPECT_EQ(check(""), std::pair(grpc::StatusCode::OK, HealthCheckResponse::SERVING));
  EXPECT_EQ(check("lab.test.Echo"), std::pair(grpc::StatusCode::OK, HealthCheckResponse::SERVING));
  EXPECT_EQ(check("lab.test.Other").first, grpc::StatusCode::NOT_FOUND);
  echo.thread.Do([&] { echo.server->SetServing(false); });
  EXPECT_EQ(check("lab.test.Echo"), std::pair(grpc::StatusCode::OK, HealthCheckResponse::NOT_SERVING));
  EXPECT_TRUE(echo.MetricsShow("rpc_server_calls_total{code=\"OK\"} 0")) << "probes are not counted";
}

TEST(ServerTest, FollowsTheTraceOfTheCaller) {
  EchoServer echo({}, {.sample_ratio = 0});
  PlainClient client(echo.target());
  grpc::ClientContext context;
  context.AddMetadata("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  ASSERT_TRUE(client.Echo("traced", nullptr, &context).ok());
  ASSERT_TRUE(client.Echo("not traced").ok());
  grpc::ClientContext malformed;
  malformed.AddMetadata("traceparent", "00-nonsense");
  ASSERT_TRUE(client.Echo("not traced", nullptr, &malformed).ok());
  const auto spans = echo.tracer.Drain();
  ASSERT_EQ(spans.size(), 1);
  EXPECT_EQ(spans[0].name, "test.echo");
  EXPECT_EQ(spans[0].kind, obs::SpanKind::kServer);
  EXPECT_FALSE(spans[0].error);
  EXPECT_GE(spans[0].end_unix_ns, spans[0].start_unix_ns);
  const auto parent = obs::ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_EQ(spans[0].context.trace_id, parent.trace_id);
  EXPECT_EQ(spans[0].parent_span_id, parent.span_id);
  EXPECT_NE(spans[0].context.span_id, parent.span_id);
}

TEST(ServerTest, ReadsMetadataAndSendsTrailers) {
  testing::LoopThread thread;
  obs::Metrics metrics;
  obs::Tracer tracer;
  Server server(thread.loop, {}, metrics, tracer);
  server.Register(kEcho, "test.echo", [](Call call) {
    const std::string tenant(call.Metadata("x-tenant"));
    call.AddTrailer("x-known", tenant.empty() ? "nobody" : tenant);
    for (const char* name : {"", "Upper", "two words", "grpc-status", "x-bytes-bin"}) call.AddTrailer(name, "left out");
    call.AddTrailer("x-bad", "line\nend");
    if (tenant == "fail") return call.Fail(absl::ResourceExhaustedError("over the limit"));
    call.Reply(StringValue());
  });
  ASSERT_TRUE(server.Start().ok());
  thread.Start();
  PlainClient client("127.0.0.1:" + std::to_string(server.port()));
  for (const char* tenant : {"", "acme", "fail"}) {
    grpc::ClientContext context;
    if (*tenant != '\0') context.AddMetadata("x-tenant", tenant);
    const grpc::Status status = client.Echo("hello", nullptr, &context);
    EXPECT_EQ(status.ok(), std::string(tenant) != "fail");
    const auto& trailers = context.GetServerTrailingMetadata();
    ASSERT_EQ(trailers.size(), 1u);
    EXPECT_EQ(std::string(trailers.begin()->first.data(), trailers.begin()->first.size()), "x-known");
    EXPECT_EQ(std::string(trailers.begin()->second.data(), trailers.begin()->second.size()),
              *tenant == '\0' ? "nobody" : tenant);
  }
  thread.Stop();
}

// Timers are Asio's: they must be able to end the sleep in gRPC's queue.
TEST(ServerTest, AnAsioTimerCanAnswerACall) {
  EchoServer echo;
  PlainClient client(echo.target());
  boost::asio::steady_timer timer(echo.thread.loop.io());
  std::function<void()> arm = [&] {
    timer.expires_after(Millis(2));
    timer.async_wait([&](boost::system::error_code error) {
      if (error) return;
      for (Call& call : echo.held) call.Reply(StringValue());
      echo.held.clear();
      arm();
    });
  };
  echo.thread.loop.Post([&] { arm(); });
  for (int i = 0; i < 200; ++i) {
    StringValue message;
    ASSERT_TRUE(client.Call(kHold, message, &message).ok());
  }
  echo.thread.Do([&] { timer.cancel(); });
}

}  // namespace
}  // namespace lab::rpc
