#include "services/runtime/app/span_export.h"

#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/app/otlp_client.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"
#include "services/runtime/http/server.h"

namespace lab::app {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

TEST(OtlpEndpointTest, TakesPlainHttpOnly) {
  const auto endpoint = OtlpClient::ParseEndpoint("http://collector:4319/base/");
  ASSERT_TRUE(endpoint.ok());
  EXPECT_EQ(endpoint->host, "collector");
  EXPECT_EQ(endpoint->port, 4319);
  EXPECT_EQ(endpoint->path, "/base/v1/traces");
  EXPECT_EQ(OtlpClient::ParseEndpoint("http://c")->port, 4318);
  EXPECT_EQ(OtlpClient::ParseEndpoint("http://[::1]:5")->host, "::1");
  EXPECT_EQ(OtlpClient::ParseEndpoint("http://[::1]")->port, 4318);
  for (const char* bad : {"", "c:4318", "https://c", "grpc://c", "http://", "http://:4318", "http://c:0", "http://c:x",
                          "http://c:99999", "http://a b", "http://user@c", "http://c/\r\nX: y"}) {
    EXPECT_FALSE(OtlpClient::ParseEndpoint(bad).ok()) << bad;
  }
}

class SpanExportTest : public testing::Test {
 protected:
  // A collector on the same loop that answers with `status`.
  void StartSink() {
    http::Server::Options options;
    options.max_body_bytes = 4 << 20;
    sink_ = std::make_unique<http::Server>(loop_, options);
    sink_->Handle("POST", "/v1/traces", [this](const http::Request& request, http::Server::Respond respond) {
      EXPECT_EQ(request.Header("content-type"), "application/json");
      bodies_.push_back(json::parse(request.body));
      if (hang_) {
        hanging_.push_back(std::move(respond));
      } else {
        respond({status_, "application/json", "{}", {}});
      }
    });
    ASSERT_TRUE(sink_->Start().ok());
  }

  std::string SinkUrl() const { return Concat("http://127.0.0.1:", sink_->port()); }

  std::unique_ptr<OtlpClient> Client(const std::string& url, OtlpClient::Options options = {}) {
    options.endpoint = url;
    options.service = "test";
    return std::make_unique<OtlpClient>(loop_, options, *OtlpClient::ParseEndpoint(url), metrics_);
  }

  std::vector<obs::SpanRecord> Spans(size_t count) {
    std::vector<obs::SpanRecord> spans(count);
    for (obs::SpanRecord& span : spans) {
      span.context = tracer_.StartSpan({});
      span.name = "test.span";
    }
    return spans;
  }

  bool RunUntil(const std::function<bool()>& condition) {
    const Clock::time_point end = Clock::now() + std::chrono::seconds(20);
    bool met = false;
    std::function<void()> look = [&] {
      met = condition();
      if (met || Clock::now() > end) {
        loop_.Stop();
      } else {
        timer_.expires_after(Millis(1));
        timer_.async_wait([&](const boost::system::error_code&) { look(); });
      }
    };
    loop_.Post([&] { look(); });
    loop_.Run();
    return met;
  }

  double Metric(const std::string& name) {
    const std::string text = metrics_.Text();
    const size_t at = text.find(Concat("\n", name, " "));
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }
  double Outcome(const std::string& outcome) { return Metric(Concat("trace_spans_total{outcome=\"", outcome, "\"}")); }

  size_t Received() const {
    size_t spans = 0;
    for (const json& body : bodies_) spans += body["resourceSpans"][0]["scopeSpans"][0]["spans"].size();
    return spans;
  }

  async::Loop loop_;
  obs::Metrics metrics_;
  obs::Tracer tracer_{{.sample_ratio = 1}};
  boost::asio::steady_timer timer_{loop_.io()};
  std::unique_ptr<http::Server> sink_;
  std::vector<json> bodies_;
  std::vector<http::Server::Respond> hanging_;
  int status_ = 200;
  bool hang_ = false;
};

TEST_F(SpanExportTest, PostsBatchesAsOtlp) {
  StartSink();
  const auto client = Client(SinkUrl());
  client->Add(Spans(1200));
  EXPECT_TRUE(RunUntil([&] { return client->queued() == 0; }));
  EXPECT_EQ(Received(), 1200u);
  EXPECT_EQ(bodies_.size(), 3u);  // of at most 512
  EXPECT_EQ(bodies_[0]["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"], "test");
  EXPECT_EQ(Outcome("exported"), 1200);
  EXPECT_EQ(Metric("trace_export_failures_total"), 0);
}

TEST_F(SpanExportTest, ResolvesNames) {
  StartSink();
  const auto client = Client(Concat("http://localhost:", sink_->port()));
  client->Add(Spans(3));
  EXPECT_TRUE(RunUntil([&] { return client->queued() == 0; }));
  EXPECT_EQ(Received(), 3u);
}

TEST_F(SpanExportTest, TriesAgainAfterFailuresThatMayPass) {
  StartSink();
  status_ = 503;
  const auto client = Client(SinkUrl(), {.first_pause = Millis(5), .longest_pause = Millis(20)});
  client->Add(Spans(3));
  EXPECT_TRUE(RunUntil([&] { return bodies_.size() == 1; }));
  EXPECT_TRUE(RunUntil([&] { return Metric("trace_export_failures_total") == 1; }));
  status_ = 200;
  EXPECT_TRUE(RunUntil([&] {
    client->Add({});  // as the export does once a second
    return client->queued() == 0;
  }));
  EXPECT_EQ(Outcome("exported"), 3);
}

TEST_F(SpanExportTest, DropsWhatTheCollectorRefuses) {
  StartSink();
  status_ = 400;
  const auto client = Client(SinkUrl());
  client->Add(Spans(3));
  EXPECT_TRUE(RunUntil([&] { return Outcome("rejected") == 3; }));
  EXPECT_EQ(client->queued(), 0u);
}

TEST_F(SpanExportTest, WithoutACollectorTheQueueIsBounded) {
  StartSink();
  const std::string url = SinkUrl();
  sink_.reset();  // a port where nobody listens
  const auto client = Client(url, {.max_queue = 100, .max_batch = 10});
  for (int i = 0; i < 50; ++i) client->Add(Spans(10));
  EXPECT_LE(client->queued(), 110u);
  EXPECT_TRUE(RunUntil([&] { return Metric("trace_export_failures_total") == 1; }));
  EXPECT_GE(Outcome("dropped"), 390);
  const auto nameless = Client("http://no-such-host.invalid:4318");
  nameless->Add(Spans(1));
  EXPECT_TRUE(RunUntil([&] { return Metric("trace_export_failures_total") == 2; }));
}

TEST_F(SpanExportTest, AHangingCollectorTimesOut) {
  StartSink();
  hang_ = true;
  const auto client = Client(SinkUrl(), {.timeout = Millis(30)});
  client->Add(Spans(3));
  EXPECT_TRUE(RunUntil([&] { return Metric("trace_export_failures_total") == 1; }));
  EXPECT_EQ(client->queued(), 3u);
}

TEST_F(SpanExportTest, FlushIsBounded) {
  StartSink();
  hang_ = true;
  const auto client = Client(SinkUrl());
  client->Add(Spans(3));
  bool flushed = false;
  client->Flush(Clock::now() + Millis(30), [&] { flushed = true; });
  EXPECT_TRUE(RunUntil([&] { return flushed; }));
  EXPECT_EQ(Outcome("dropped"), 3);
  flushed = false;
  client->Flush(Clock::now() + Millis(30), [&] { flushed = true; });
  EXPECT_TRUE(flushed);  // nothing to send
}

TEST_F(SpanExportTest, MayGoWhileAPostIsInFlight) {
  StartSink();
  hang_ = true;
  auto client = Client(SinkUrl());
  client->Add(Spans(3));
  EXPECT_TRUE(RunUntil([&] { return !hanging_.empty(); }));
  client.reset();
  hanging_.clear();
  EXPECT_TRUE(RunUntil([] { return true; }));
}

TEST_F(SpanExportTest, WritesJsonLinesUpToTheBound) {
  const std::string file = Concat(testing::TempDir(), "lab_spans_", getpid(), ".jsonl");
  unlink(file.c_str());
  SpanExport::Options options;
  options.service = "test";
  options.file = file;
  options.every = Millis(1);
  options.max_file_bytes = 2000;
  SpanExport spans(loop_, tracer_, metrics_, options);
  ASSERT_TRUE(spans.Start().ok());
  for (const obs::SpanRecord& span : Spans(3)) tracer_.Finish(span);
  EXPECT_TRUE(RunUntil([&] { return Outcome("written") == 3; }));
  for (const obs::SpanRecord& span : Spans(100)) tracer_.Finish(span);
  bool stopped = false;
  spans.Stop(Clock::now() + std::chrono::seconds(1), [&] { stopped = true; });
  EXPECT_TRUE(stopped);
  const std::string text = *ReadFile(file);
  unlink(file.c_str());
  EXPECT_LE(text.size(), 2000u);
  std::istringstream lines(text);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_EQ(json::parse(line)["name"], "test.span");
  EXPECT_EQ(Outcome("written"), count);
  EXPECT_EQ(Outcome("written") + Outcome("dropped"), 103);
}

TEST_F(SpanExportTest, CountsWhatTheTracerDropped) {
  obs::Tracer small({.sample_ratio = 1, .capacity = 2});
  SpanExport spans(loop_, small, metrics_, {.service = "test", .every = Millis(1)});
  ASSERT_TRUE(spans.Start().ok());
  for (const obs::SpanRecord& span : Spans(10)) small.Finish(span);
  EXPECT_TRUE(RunUntil([&] { return Outcome("dropped") == 8; }));
}

TEST_F(SpanExportTest, AFileThatCannotBeOpenedIsAnError) {
  SpanExport spans(loop_, tracer_, metrics_, {.service = "test", .file = "/nonexistent/spans.jsonl"});
  EXPECT_THAT(std::string(spans.Start().message()), HasSubstr("trace.file /nonexistent/spans.jsonl"));
}

TEST_F(SpanExportTest, AFullDiskIsCountedAndSurvived) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  SpanExport spans(loop_, tracer_, metrics_, {.service = "test", .file = "/dev/full", .every = Millis(1)});
  ASSERT_TRUE(spans.Start().ok());
  for (const obs::SpanRecord& span : Spans(10)) tracer_.Finish(span);
  EXPECT_TRUE(RunUntil([&] { return Outcome("dropped") == 10; }));
  EXPECT_EQ(Outcome("written"), 0);
}

}  // namespace
}  // namespace lab::app
