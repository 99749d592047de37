#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <string>
#include <thread>

#include "bench/observe/http_get.h"
#include "bench/observe/metrics_text.h"
#include "bench/observe/observer.h"
#include "bench/observe/process_figures.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"
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
  Observer observer({part}, {.every = Millis(20)});
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

TEST(ObserverTest, TellsEachLookAndKeepsNothingOfASystemWithoutEnd) {
  redis::TestServer server;
  Observed part{.part = "redis", .pid = [&] { return server.pid(); }, .redis_port = server.port()};
  std::atomic<int> looks{0}, with_memory{0};
  Observer observer({part}, {.every = Millis(5), .keep = false, .on_look = [&](const std::vector<ObservedValue>& all) {
                               ++looks;
                               for (const ObservedValue& value : all) {
                                 if (value.part == "redis" && value.name == "redis_used_memory" && value.value > 1e5) {
                                   ++with_memory;
                                 }
                               }
                             }});
  observer.Start();
  for (int i = 0; i < 2000 && with_memory < 3; ++i) std::this_thread::sleep_for(Millis(5));
  server.Pause();
  const int before = looks;
  for (int i = 0; i < 2000 && looks < before + 2; ++i) std::this_thread::sleep_for(Millis(5));
  server.Continue();
  observer.Stop();
  EXPECT_GE(with_memory, 3);
  EXPECT_TRUE(observer.Take(Clock::now()).empty());
  EXPECT_TRUE(observer.Gaps(Clock::now()).empty());
}

TEST(HttpCallTest, SendsMethodHeadersAndBody) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const int port = ntohs(address.sin_port);
  std::string received;
  std::thread server([&] {
    const int connection = accept(listener, nullptr, nullptr);
    char buffer[4096];
    while (received.find("{\"a\":1}") == std::string::npos) {
      const ssize_t got = read(connection, buffer, sizeof(buffer));
      if (got <= 0) break;
      received.append(buffer, static_cast<size_t>(got));
    }
    const std::string answer = "HTTP/1.0 202 Accepted\r\nContent-Length: 2\r\n\r\nok";
    EXPECT_EQ(write(connection, answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
    close(connection);
  });
  const absl::StatusOr<HttpAnswer> answer = HttpCall(
      "127.0.0.1", port, {"POST", "/api/heal", "{\"a\":1}", {{"X-Lab-Token", "secret"}}}, std::chrono::seconds(20));
  server.join();
  close(listener);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 202);
  EXPECT_EQ(answer->body, "ok");
  EXPECT_EQ(received.rfind("POST /api/heal HTTP/1.0\r\n", 0), 0u) << received;
  for (const std::string& line :
       {Concat("Host: 127.0.0.1:", port), std::string("Content-Length: 7"), std::string("X-Lab-Token: secret")}) {
    EXPECT_NE(received.find("\r\n" + line + "\r\n"), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace lab::bench
