#include "services/runtime/http/traced.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

namespace lab::http {
namespace {

constexpr char kSampled[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class TracedTest : public testing::Test {
 protected:
  // Asks a handler that answers with this status; what it saw is in `seen_`.
  int Ask(obs::Tracer& tracer, const std::string& traceparent, int status) {
    int answered = 0;
    const Server::Handler handler = Traced(tracer, "example.get", [&](const Request& request, Server::Respond respond) {
      seen_ = request.trace;
      respond({status, "text/plain", "", {}});
    });
    Request request;
    request.trace = obs::ParseTraceparent(traceparent);
    handler(request, [&](const Response& response) { answered = response.status; });
    return answered;
  }
  obs::TraceContext seen_;
};

TEST_F(TracedTest, ASampledRequestHasASpanWhoseContextTheHandlerSees) {
  obs::Tracer tracer({.sample_ratio = 0});
  EXPECT_EQ(Ask(tracer, kSampled, 200), 200);
  const auto spans = tracer.Drain();
  ASSERT_EQ(spans.size(), 1u);
  const obs::TraceContext parent = obs::ParseTraceparent(kSampled);
  EXPECT_EQ(spans[0].name, "example.get");
  EXPECT_EQ(spans[0].kind, obs::SpanKind::kServer);
  EXPECT_EQ(spans[0].context.trace_id, parent.trace_id);
  EXPECT_EQ(spans[0].parent_span_id, parent.span_id);
  EXPECT_EQ(spans[0].context.span_id, seen_.span_id);
  EXPECT_NE(seen_.span_id, parent.span_id);
  EXPECT_GE(spans[0].end_unix_ns, spans[0].start_unix_ns);
  EXPECT_FALSE(spans[0].error);
}

TEST_F(TracedTest, AFailureOfTheServerIsAnError) {
  obs::Tracer tracer({.sample_ratio = 0});
  Ask(tracer, kSampled, 404);
  Ask(tracer, kSampled, 503);
  const auto spans = tracer.Drain();
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_FALSE(spans[0].error);
  EXPECT_TRUE(spans[1].error);
}

TEST_F(TracedTest, RootsAreSampledByRatio) {
  obs::Tracer all({.sample_ratio = 1}), none({.sample_ratio = 0});
  EXPECT_EQ(Ask(all, "", 200), 200);
  EXPECT_EQ(Ask(none, "", 200), 200);
  const auto spans = all.Drain();
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(spans[0].parent_span_id, (std::array<uint8_t, 8>{}));
  EXPECT_TRUE(none.Drain().empty());
}

}  // namespace
}  // namespace lab::http
