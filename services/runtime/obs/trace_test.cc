#include "services/runtime/obs/trace.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "gtest/gtest.h"

namespace lab::obs {
namespace {

using nlohmann::json;

constexpr std::string_view kExample = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

SpanRecord ExampleSpan() {
  SpanRecord span;
  span.context = ParseTraceparent(kExample);
  span.name = "ratelimit.should_rate_limit";
  span.kind = SpanKind::kServer;
  span.start_unix_ns = 1'700'000'000'123'456'789;
  span.end_unix_ns = 1'700'000'000'123'457'000;
  return span;
}

TEST(TraceparentTest, RoundTrips) {
  const TraceContext context = ParseTraceparent(kExample);
  EXPECT_TRUE(context.valid());
  EXPECT_TRUE(context.sampled);
  EXPECT_EQ(FormatTraceparent(context), kExample);
  const std::string unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
  EXPECT_FALSE(ParseTraceparent(unsampled).sampled);
  EXPECT_EQ(FormatTraceparent(ParseTraceparent(unsampled)), unsampled);
}

TEST(TraceparentTest, AnythingElseIsInvalid) {
  const std::string good(kExample);
  for (const std::string& bad : std::vector<std::string>{
           std::string(), good.substr(1), good + "0", good + "-00", "ff" + good.substr(2), std::string(55, '-'),
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00-" + std::string(32, '0') + good.substr(35),
           good.substr(0, 36) + "0000000000000000-01", good.substr(0, 53) + "0x", "0x" + good.substr(2),
           std::string(1'000'000, 'a')}) {
    EXPECT_FALSE(ParseTraceparent(bad).valid()) << bad.substr(0, 80);
  }
}

TEST(TraceparentTest, LaterVersionsMayBeLonger) {
  const std::string rest(kExample.substr(2));
  EXPECT_TRUE(ParseTraceparent("01" + rest).valid());
  EXPECT_TRUE(ParseTraceparent("01" + rest + "-more").valid());
  EXPECT_FALSE(ParseTraceparent("01" + rest + "more").valid());
}

TEST(TracerTest, FollowsTheDecisionOfTheParent) {
  Tracer never({.sample_ratio = 0});
  const TraceContext sampled = ParseTraceparent(kExample);
  const TraceContext child = never.StartSpan(sampled);
  EXPECT_TRUE(child.sampled);
  EXPECT_EQ(child.trace_id, sampled.trace_id);
  EXPECT_NE(child.span_id, sampled.span_id);
  Tracer always({.sample_ratio = 1});
  TraceContext unsampled = sampled;
  unsampled.sampled = false;
  EXPECT_FALSE(always.StartSpan(unsampled).sampled);
}

TEST(TracerTest, SamplesRootsByRatio) {
  Tracer never({.sample_ratio = 0}), always({.sample_ratio = 1}), half({.sample_ratio = 0.5});
  int sampled = 0;
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_FALSE(never.StartSpan({}).sampled);
    EXPECT_TRUE(always.StartSpan({}).sampled);
    sampled += half.StartSpan({}).sampled;
  }
  EXPECT_NEAR(sampled, 5000, 350);  // 7 standard deviations
  EXPECT_NE(always.StartSpan({}).trace_id, always.StartSpan({}).trace_id);
}

TEST(TracerTest, KeepsTheNewestAndCountsTheRest) {
  Tracer tracer({.sample_ratio = 1, .capacity = 3});
  SpanRecord span = ExampleSpan();
  for (int i = 0; i < 5; ++i) {
    span.start_unix_ns = i;
    tracer.Finish(span);
  }
  span.context.sampled = false;
  tracer.Finish(span);
  const std::vector<SpanRecord> kept = tracer.Drain();
  ASSERT_EQ(kept.size(), 3u);
  EXPECT_EQ(kept.front().start_unix_ns, 2);
  EXPECT_EQ(kept.back().start_unix_ns, 4);
  EXPECT_EQ(tracer.dropped(), 2u);
  EXPECT_TRUE(tracer.Drain().empty());
}

TEST(TracerTest, TakesSpansFromSeveralThreads) {
  Tracer tracer({.sample_ratio = 1, .capacity = 10'000});
  const auto finish_many = [&tracer] {
    for (int i = 0; i < 1000; ++i) {
      SpanRecord span = ExampleSpan();
      span.context = tracer.StartSpan({});
      tracer.Finish(span);
    }
  };
  std::thread first(finish_many), second(finish_many);
  size_t drained = tracer.Drain().size();
  first.join();
  second.join();
  drained += tracer.Drain().size();
  EXPECT_EQ(drained, 2000u);
}

TEST(SpanJsonTest, ALineHoldsTheSpan) {
  SpanRecord span = ExampleSpan();
  const std::string line = SpanToJson(span, "ratelimit");
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const json read = json::parse(line);
  EXPECT_EQ(read["service"], "ratelimit");
  EXPECT_EQ(read["name"], "ratelimit.should_rate_limit");
  EXPECT_EQ(read["kind"], "server");
  EXPECT_EQ(read["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(read["span_id"], "00f067aa0ba902b7");
  EXPECT_FALSE(read.contains("parent_span_id"));
  EXPECT_EQ(read["start_unix_ns"], 1'700'000'000'123'456'789);
  EXPECT_EQ(read["duration_ns"], 211);
  span.parent_span_id[7] = 9;
  EXPECT_EQ(json::parse(SpanToJson(span, "x"))["parent_span_id"], "0000000000000009");
}

TEST(SpanJsonTest, OtlpHasTheShapeOfTheProtocol) {
  SpanRecord failed = ExampleSpan();
  failed.error = true;
  failed.parent_span_id[0] = 0xab;
  const json body = json::parse(SpansToOtlp({ExampleSpan(), failed}, "ratelimit"));
  const json& resource = body["resourceSpans"][0];
  EXPECT_EQ(resource["resource"]["attributes"][0]["key"], "service.name");
  EXPECT_EQ(resource["resource"]["attributes"][0]["value"]["stringValue"], "ratelimit");
  const json& spans = resource["scopeSpans"][0]["spans"];
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[0]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(spans[0]["startTimeUnixNano"], "1700000000123456789");  // a string: beyond 2^53
  EXPECT_EQ(spans[0]["kind"], 2);
  EXPECT_FALSE(spans[0].contains("parentSpanId"));
  EXPECT_FALSE(spans[0].contains("status"));
  EXPECT_EQ(spans[1]["parentSpanId"], "ab00000000000000");
  EXPECT_EQ(spans[1]["status"]["code"], 2);
  EXPECT_EQ(json::parse(SpansToOtlp({}, "x"))["resourceSpans"][0]["scopeSpans"][0]["spans"].size(), 0u);
}

}  // namespace
}  // namespace lab::obs
