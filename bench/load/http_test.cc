#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "bench/load/generator.h"
#include "bench/load/testing/http_test_server.h"
#include "bench/load/testing/load_options.h"

namespace lab::bench {
namespace {

using testing::HasSubstr;

constexpr char kTarget[] = "ratelimit.http";
constexpr char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

std::vector<Op> RunAll(Generator& generator) {
  const absl::Status connected = generator.Connect();
  EXPECT_TRUE(connected.ok()) << connected;
  EXPECT_TRUE(generator.Run().ok());
  return generator.TakeOps();
}

size_t KeyOf(const std::string& request) {
  const size_t place = request.find("\"value\":\"k");
  return place == std::string::npos ? 0 : std::stoul(request.substr(place + 10));
}

TEST(HttpLoadTest, PostsTheScheduleOverKeptConnections) {
  std::atomic<int> wrong{0};
  HttpTestServer server([&](const std::string& request) {
    wrong += request.rfind("POST /json HTTP/1.1\r\n", 0) != 0;
    return std::string(kOk);
  });
  Generator generator(TestOptions(kTarget, server.endpoint(), 300, 0.5));
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(ops.size(), 150u);
  EXPECT_EQ(Outcomes(ops)[Outcome::kOk], 150u);
  EXPECT_EQ(ops[0].answer, Answer::kAdmitted);
  EXPECT_EQ(ops[0].code, 200);
  EXPECT_EQ(wrong, 0);
}

TEST(HttpLoadTest, FewClientsNeedNoMoreConnectionsThanAtFirst) {
  HttpTestServer server([](const std::string&) { return std::string(kOk); });
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 0, 0.3);
  options.loads[0].arrivals = Arrivals::kClosed;
  options.loads[0].closed_clients = 4;
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  EXPECT_GT(ops.size(), 8u);
  EXPECT_EQ(Outcomes(ops)[Outcome::kOk], ops.size());
  EXPECT_EQ(server.connections(), 8u);
}

TEST(HttpLoadTest, EachAnswerHasItsOutcome) {
  struct Case {
    std::string answer;
    Outcome outcome;
    Answer admitted;
    uint16_t code;
  };
  const std::string body(100'000, 'x');
  const std::vector<Case> cases = {
      {kOk, Outcome::kOk, Answer::kAdmitted, 200},
      {"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n", Outcome::kOk, Answer::kLimited, 429},
      {"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + body, Outcome::kOk, Answer::kAdmitted, 200},
      {"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", Outcome::kFailed,
       Answer::kNone, 503},
      {"HTTP/1.1 429 Too Many\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", Outcome::kOk,
       Answer::kLimited, 429},
      {"", Outcome::kUnknown, Answer::kNone, 14},
      {"SSH-2.0-nonsense\r\n\r\n", Outcome::kUnknown, Answer::kNone, 14},
      {"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n", Outcome::kUnknown, Answer::kNone, 14},
      {std::string(100'000, 'y'), Outcome::kUnknown, Answer::kNone, 14},
  };
  HttpTestServer server([&](const std::string& request) { return cases.at(KeyOf(request)).answer; });
  Generator generator(TestOptions(kTarget, server.endpoint(), 100, 0.01 * static_cast<double>(cases.size())));
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(ops.size(), cases.size());
  for (const Op& op : ops) {
    EXPECT_EQ(op.outcome, cases[op.key].outcome) << op.key;
    EXPECT_EQ(op.answer, cases[op.key].admitted) << op.key;
    EXPECT_EQ(op.code, cases[op.key].code) << op.key;
  }
}

TEST(HttpLoadTest, ThePoolGrowsUpToItsBoundAndDropsBeyond) {
  HttpTestServer server([](const std::string&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    return std::string(kOk);
  });
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 1000, 0.4);
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  EXPECT_EQ(ops.size(), 400u);
  EXPECT_LE(MostInFlight(ops), 200);
  auto outcomes = Outcomes(ops);
  EXPECT_GT(outcomes[Outcome::kDropped], 0u);
  EXPECT_EQ(outcomes[Outcome::kDropped] + outcomes[Outcome::kOk], 400u);
  EXPECT_EQ(server.connections(), 200u);
}

// A server that has no room for more is not asked for it but by calls: what it closed is not opened again by itself.
TEST(HttpLoadTest, WhatTheServerClosesIsOpenedOnlyForACall) {
  std::atomic<int> calls{0};
  HttpTestServer server(
      [&](const std::string&) {
        if (++calls <= 20) std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return std::string(kOk);
      },
      20);
  Generator generator(TestOptions(kTarget, server.endpoint(), 200, 0.8));
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(ops.size(), 160u);
  EXPECT_GT(server.connections(), 20u) << "it grew beyond what the server takes";
  EXPECT_LE(server.connections(), 8 + ops.size()) << "one a call at most, beside the first ones";
  EXPECT_GT(Outcomes(ops)[Outcome::kOk], 100u);
}

TEST(HttpLoadTest, TimeoutsAreUnknownAndTheConnectionIsReplaced) {
  HttpTestServer server([](const std::string& request) {
    if (KeyOf(request) % 2 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    return std::string(kOk);
  });
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 100, 0.3);
  options.loads[0].timeout = std::chrono::milliseconds(150);
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  EXPECT_EQ(ops.size(), 30u);
  auto outcomes = Outcomes(ops);
  EXPECT_EQ(outcomes[Outcome::kFailed], 0u);
  EXPECT_GE(outcomes[Outcome::kUnknown], 1u);
  EXPECT_GT(server.connections(), 8u);
}

TEST(HttpLoadTest, ServerThatIsNotThereFailsToConnect) {
  std::string endpoint;
  {
    HttpTestServer server([](const std::string&) { return std::string(kOk); });
    endpoint = server.endpoint();
  }
  Generator generator(TestOptions(kTarget, endpoint, 100, 0.3));
  EXPECT_THAT(std::string(generator.Connect().message()), HasSubstr("refused"));
}

}  // namespace
}  // namespace lab::bench
