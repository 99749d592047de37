#include <signal.h>
#include <unistd.h>

#include <cmath>
#include <string>
#include <thread>

#include "bench/observe/metrics_text.h"
#include "bench/observe/observer.h"
#include "bench/observe/process_figures.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/random.h"
#include "services/runtime/redis/test_server.h"

namespace lab::bench {
namespace {

TEST(MetricsTextTest, ReadsNamesLabelsAndValues) {
  const MetricsText text = ParseMetricsText(
      "# HELP a_total what\n# TYPE a_total counter\na_total 3\n"
      "b{x=\"1\",y=\"a\\\"b\\\\c\"} 2.5e-3 1700000000\nc{} +Inf\n\n");
  ASSERT_EQ(text.samples.size(), 3u);
  EXPECT_EQ(text.malformed, 0u);
  EXPECT_EQ(text.samples[0].name, "a_total");
  EXPECT_EQ(text.samples[0].value, 3);
  EXPECT_EQ(text.samples[1].labels.at("y"), "a\"b\\c");
  EXPECT_DOUBLE_EQ(text.samples[1].value, 0.0025);
  EXPECT_TRUE(std::isinf(text.samples[2].value));
}

TEST(MetricsTextTest, CountsMalformedLinesAndGoesOn) {
  const MetricsText text = ParseMetricsText("1a 2\na{x=1} 2\na{x=\"1\" 2\na\na b\nd{x=\"1\"} 7\na{x=\"\\\n");
  ASSERT_EQ(text.samples.size(), 1u);
  EXPECT_EQ(text.samples[0].value, 7);
  EXPECT_EQ(text.malformed, 6u);
}

TEST(MetricsTextTest, LeavesOutBucketsAndKeepsWithinTheBound) {
  EXPECT_EQ(ParseMetricsText("h_bucket{le=\"1\"} 3\nh_sum 2\nh_count 3\n").samples.size(), 2u);
  std::string many;
  for (int i = 0; i < 100; ++i) many += "a 1\n";
  EXPECT_EQ(ParseMetricsText(many, 10).samples.size(), 10u);
  EXPECT_TRUE(ParseMetricsText(many, 10).cut);
  EXPECT_EQ(ParseMetricsText(many, 100).samples.size(), 100u);
  EXPECT_FALSE(ParseMetricsText(many, 100).cut);
  EXPECT_EQ(ParseMetricsText("a{x=\"" + std::string(5000, 'x') + "\"} 1\n").malformed, 1u);
}

TEST(MetricsTextTest, SurvivesRandomBytes) {
  Random random(7);
  const std::string alphabet = "ab_{}=\"\\, \n\t01.e+-#\xff";
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (uint64_t i = random.Below(60); i > 0; --i) text.push_back(alphabet[random.Below(alphabet.size())]);
    const MetricsText read = ParseMetricsText(text);
    EXPECT_LE(read.samples.size() + read.malformed, 60u);
  }
}

TEST(ProcessFiguresTest, KnowsThisProcessAndNoOther) {
  const std::optional<ProcessFigures> mine = ReadProcess(getpid());
  ASSERT_TRUE(mine);
  EXPECT_GT(mine->memory_bytes, 1e5);
  EXPECT_GE(mine->threads, 1);
  EXPECT_FALSE(ReadProcess(0x3fffffff));
  ASSERT_TRUE(ReadHost());
  EXPECT_GT(ReadHost()->cpu_s, 0);
}

const Series* Find(const std::vector<Series>& all, const std::string& name) {
  for (const Series& series : all) {
    if (series.name == name) return &series;
  }
  return nullptr;
}

TEST(ObserverTest, SeesRedisAndCountsAPauseAsGaps) {
  redis::TestServer server;
  Observed part{.part = "redis", .pid = [&] { return server.pid(); }, .redis_port = server.port()};
  Observer observer({part}, Millis(20));
  const Clock::time_point zero = Clock::now();
  observer.Start();
  std::this_thread::sleep_for(Millis(100));
  server.Pause();
  std::this_thread::sleep_for(Millis(400));
  server.Continue();
  observer.Stop();
  const std::vector<Series> all = observer.Take(zero);
  const Series* memory = Find(all, "redis_used_memory");
  ASSERT_NE(memory, nullptr);
  EXPECT_GT(memory->samples.size(), 1u);
  EXPECT_GT(memory->samples[0].second, 1e5);
  EXPECT_GE(memory->samples[0].first, 0);
  ASSERT_NE(Find(all, "process_cpu_seconds_total"), nullptr);
  EXPECT_NE(Find(all, "host_cpu_seconds_total"), nullptr);
  EXPECT_GE(observer.Gaps(zero)["redis"].size(), 1u);
}

}  // namespace
}  // namespace lab::bench
