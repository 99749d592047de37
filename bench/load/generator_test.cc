#include "bench/load/generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "bench/load/testing/grpc_test_server.h"
#include "bench/load/testing/load_options.h"

namespace lab::bench {
namespace {

using Answer_ = GrpcTestServer::Answer;
using Kind = GrpcTestServer::Answer::Kind;
using testing::HasSubstr;

constexpr char kTarget[] = "ratelimit.grpc";

Answer_ Admit() { return {Kind::kMessage, 0, std::string("\x08\x01", 2)}; }
Answer_ Limit() { return {Kind::kMessage, 0, std::string("\x08\x02", 2)}; }
GrpcTestServer::Handler Always(Answer_ answer) {
  return [answer](const std::string&, const std::string&) { return answer; };
}

std::vector<Op> RunAll(Generator& generator) {
  const absl::Status connected = generator.Connect();
  EXPECT_TRUE(connected.ok()) << connected;
  const absl::Status ran = generator.Run();
  EXPECT_TRUE(ran.ok()) << ran;
  return generator.TakeOps();
}

void WaitUntil(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_TRUE(condition());
}

TEST(GeneratorTest, SendsExactlyTheScheduleAndKeepsTheTimes) {
  GrpcTestServer server(Always(Admit()));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 2000, 1.3);
  double offered = 0, admitted = 0;
  int seconds = 0;
  options.on_second = [&](const LiveLoad& live) {
    ++seconds;
    offered += live.offered_per_s;
    admitted += live.admitted_per_s;
  };
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(generator.streams().size(), 1u);
  const StreamInfo& stream = generator.streams()[0];
  EXPECT_EQ(stream.name, "main");
  EXPECT_EQ(stream.load, "main");
  EXPECT_EQ(stream.target, kTarget);
  EXPECT_EQ(stream.keys, 1000u);
  EXPECT_EQ(stream.offered_per_s, 2000);
  ASSERT_NE(stream.schedule, nullptr);
  ASSERT_EQ(ops.size(), 2600u);
  ASSERT_EQ(stream.schedule->size(), 2600u);
  for (size_t i = 0; i < ops.size(); ++i) {
    ASSERT_EQ(ops[i].intended_ns, (*stream.schedule)[i].intended_ns);
    ASSERT_EQ(ops[i].key, (*stream.schedule)[i].key);
    ASSERT_EQ(ops[i].outcome, Outcome::kOk);
    ASSERT_EQ(ops[i].answer, Answer::kAdmitted);
    ASSERT_GE(ops[i].sent_ns, ops[i].intended_ns);
    ASSERT_GE(ops[i].done_ns, ops[i].sent_ns);
  }
  EXPECT_EQ(server.received(), 2600u);
  EXPECT_EQ(server.connections(), 4u);
  EXPECT_EQ(generator.lag().count(), 2600u);
  EXPECT_EQ(generator.dropped(), 0u);
  EXPECT_GT(generator.cpu_s(), 0);
  EXPECT_GE(seconds, 1);
  EXPECT_GT(offered, 0);
  EXPECT_GT(admitted, 0);
}

TEST(GeneratorTest, SpeaksGrpcAsAnyClientDoes) {
  std::mutex mutex;
  std::set<std::string> headers, messages;
  GrpcTestServer server([&](const std::string& message, const std::string& header) {
    std::lock_guard lock(mutex);
    headers.insert(header);
    messages.insert(message);
    return Limit();
  });
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 100, 0.1);
  Generator generator(options);
  for (const Op& op : RunAll(generator)) EXPECT_EQ(op.answer, Answer::kLimited);
  ASSERT_EQ(headers.size(), 1u);
  for (const char* field : {":method: POST\n", ":scheme: http\n", "te: trailers\n", "content-type: application/grpc\n",
                            ":path: /envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit\n"}) {
    EXPECT_THAT(*headers.begin(), HasSubstr(field));
  }
  EXPECT_EQ(messages.size(), 10u);
  EXPECT_TRUE(messages.contains("\n\x04test\x12\x0e\n\x0c\n\x06tenant\x12\x02k0"));
}

TEST(GeneratorTest, EachLaneSeesTheSameArrivals) {
  GrpcTestServer server(Always(Admit()));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 500, 0.3);
  options.loads[0].arrivals = Arrivals::kPoisson;
  options.loads[0].lanes = {{"fixed", {{"key", "a"}}}, {"gcra", {{"key", "b"}}}};
  LoadSpec second = options.loads[0];
  second.name = "second";
  second.lanes.clear();
  options.loads.push_back(second);
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(generator.streams().size(), 3u);
  EXPECT_EQ(generator.streams()[0].name, "fixed");
  EXPECT_EQ(generator.streams()[1].name, "gcra");
  EXPECT_EQ(generator.streams()[1].load, "main");
  EXPECT_EQ(generator.streams()[2].name, "second");
  EXPECT_EQ(generator.streams()[0].schedule, generator.streams()[1].schedule);
  std::vector<std::vector<std::pair<int64_t, uint32_t>>> arrivals(3);
  for (const Op& op : ops) arrivals.at(op.stream).emplace_back(op.intended_ns, op.key);
  EXPECT_EQ(arrivals[0].size(), generator.streams()[0].schedule->size());
  EXPECT_EQ(arrivals[0], arrivals[1]);
  EXPECT_NE(arrivals[0], arrivals[2]);
  EXPECT_TRUE(
      std::is_sorted(ops.begin(), ops.end(), [](const Op& a, const Op& b) { return a.intended_ns < b.intended_ns; }));
}

TEST(GeneratorTest, ALoadThatIsThroughDoesNotHoldUpAnother) {
  GrpcTestServer server(Always(Admit()));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 1000, 0.2);
  options.phases = {{"both", 0, 0.2}, {"second", 0.2, 0.4}};
  options.loads.push_back(options.loads[0]);
  options.loads[0].rate.by_phase = {{"second", 0}};
  options.loads[1].name = "second";
  Generator generator(options);
  EXPECT_EQ(Outcomes(RunAll(generator))[Outcome::kOk], 600u);
}

TEST(GeneratorTest, VariantsSeeTheSameScheduleAndSeedsDiffer) {
  GrpcTestServer server(Always(Admit()));
  const auto schedule_of = [&](uint64_t seed, const std::string& domain) {
    Generator::Options options = TestOptions(kTarget, server.endpoint(), 1000, 1);
    options.loads[0].arrivals = Arrivals::kPoisson;
    options.loads[0].request["domain"] = domain;
    options.seed = seed;
    Generator generator(options);
    EXPECT_TRUE(generator.Connect().ok());
    std::vector<std::pair<int64_t, uint32_t>> arrivals;
    for (const Arrival& arrival : *generator.streams()[0].schedule)
      arrivals.emplace_back(arrival.intended_ns, arrival.key);
    return arrivals;
  };
  EXPECT_EQ(schedule_of(3, "deny"), schedule_of(3, "allow"));
  EXPECT_NE(schedule_of(3, "deny"), schedule_of(4, "deny"));
}

TEST(GeneratorTest, NoAnswerInTimeIsUnknownAndCancelled) {
  GrpcTestServer server(Always({Kind::kSilence, 0, ""}));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 500, 0.2);
  options.loads[0].timeout = std::chrono::milliseconds(50);
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(ops.size(), 100u);
  size_t sent = 0;
  for (const Op& op : ops) {
    if (op.outcome == Outcome::kDropped) continue;  // a very late test machine
    ++sent;
    EXPECT_EQ(op.outcome, Outcome::kUnknown);
    EXPECT_EQ(op.code, 4);
    EXPECT_GE(op.latency_ns(), 50'000'000);
  }
  WaitUntil([&] { return server.received() == sent; });
  EXPECT_GT(server.reset_by_client(), 0u);
}

TEST(GeneratorTest, WhatFailsIsSentAgainUpToItsBound) {
  std::mutex mutex;
  std::map<std::string, int> seen;  // by message, one a key
  GrpcTestServer server([&](const std::string& message, const std::string&) {
    std::lock_guard lock(mutex);
    const int before = seen[message]++;
    const bool odd = (message.back() - '0') % 2 == 1;
    // Even keys are admitted at the third attempt, odd ones never.
    return odd || before < 2 ? Answer_{Kind::kTrailersOnly, 14, ""} : Admit();
  });
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 500, 0.2);
  options.loads[0].retries.attempts = 3;
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(ops.size(), 100u);
  for (const Op& op : ops) {
    EXPECT_EQ(op.attempts, 3) << op.key;
    EXPECT_EQ(op.outcome, op.key % 2 == 1 ? Outcome::kFailed : Outcome::kOk) << op.key;
    EXPECT_EQ(op.code, op.key % 2 == 1 ? 14 : 0) << op.key;
  }
  EXPECT_EQ(server.received(), 300u);
}

TEST(GeneratorTest, EachAttemptHasItsOwnPatience) {
  GrpcTestServer server(Always({Kind::kSilence, 0, ""}));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 100, 0.2);
  options.loads[0].timeout = std::chrono::milliseconds(50);
  options.loads[0].retries.attempts = 3;
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(ops.size(), 20u);
  uint64_t sent = 0;
  for (const Op& op : ops) {
    if (op.outcome == Outcome::kDropped) continue;  // a very late test machine
    EXPECT_EQ(op.outcome, Outcome::kUnknown);
    EXPECT_EQ(op.attempts, 3);
    EXPECT_GE(op.latency_ns(), 150'000'000);
    sent += op.attempts;
  }
  WaitUntil([&] { return server.received() == sent; });
}

TEST(GeneratorTest, ABudgetBoundsRetriesToAShareOfWhatIsSent) {
  GrpcTestServer server(Always({Kind::kTrailersOnly, 14, ""}));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 1000, 0.5);
  options.loads[0].retries = {.attempts = 3, .budget = 0.1};
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(ops.size(), 500u);
  uint64_t again = 0;
  for (const Op& op : ops) again += op.attempts - 1;
  EXPECT_GE(again, 50u);  // a tenth of 500
  EXPECT_LE(again, 60u);  // and the 10 that were saved up
  EXPECT_EQ(server.received(), 500 + again);
}

TEST(GeneratorTest, LateAnswersAreIgnored) {
  std::atomic<bool> stalled{false};
  GrpcTestServer server([&](const std::string&, const std::string&) {
    if (!stalled.exchange(true)) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    return Admit();
  });
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 200, 1);
  options.loads[0].timeout = std::chrono::milliseconds(100);
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(ops.size(), 200u);
  EXPECT_EQ(ops.front().outcome, Outcome::kUnknown);
  auto outcomes = Outcomes(ops);
  EXPECT_EQ(outcomes[Outcome::kFailed], 0u);
  for (const Op& op : ops) {
    if (op.outcome == Outcome::kUnknown) {
      EXPECT_EQ(op.answer, Answer::kNone);
    }
  }
}

TEST(GeneratorTest, AKilledServerFailsCallsAndIsFoundAgain) {
  GrpcTestServer server(Always(Admit()));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 500, 60);
  std::atomic<bool> failed{false};
  options.on_second = [&](const LiveLoad& live) { failed = failed || live.errors_per_s > 0; };
  Generator generator(options);
  ASSERT_TRUE(generator.Connect().ok());
  absl::Status ran;
  std::thread run([&] { ran = generator.Run(); });
  WaitUntil([&] { return server.received() >= 100; });
  server.Kill();
  const uint64_t before = server.received();
  WaitUntil([&] { return failed.load(); });
  server.Start();
  WaitUntil([&] { return server.received() >= before + 100; });
  generator.Stop();
  run.join();
  EXPECT_TRUE(ran.ok()) << ran;
  const std::vector<Op> ops = generator.TakeOps();
  auto outcomes = Outcomes(ops);
  EXPECT_GT(outcomes[Outcome::kFailed], 0u);
  EXPECT_EQ(outcomes[Outcome::kDropped], 0u);
  EXPECT_GE(outcomes[Outcome::kOk], 150u);
  EXPECT_GE(server.connections(), 5u);
  for (const Op& op : ops) {
    if (op.outcome == Outcome::kFailed) {
      EXPECT_EQ(op.code, 14);
    }
  }
}

TEST(GeneratorTest, CallsOnALostConnectionAreUnknown) {
  GrpcTestServer server(Always({Kind::kSilence, 0, ""}));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 1000, 0.3);
  Generator generator(options);
  ASSERT_TRUE(generator.Connect().ok());
  std::thread run([&] { EXPECT_TRUE(generator.Run().ok()); });
  WaitUntil([&] { return server.received() >= 100; });
  server.Kill();
  run.join();
  auto outcomes = Outcomes(generator.TakeOps());
  EXPECT_GE(outcomes[Outcome::kUnknown], 100u);
  EXPECT_EQ(outcomes[Outcome::kOk], 0u);
  EXPECT_EQ(outcomes[Outcome::kFailed] + outcomes[Outcome::kUnknown], 300u);
}

TEST(GeneratorTest, EachKindOfAnswerHasItsOutcome) {
  struct Case {
    Answer_ answer;
    Outcome outcome;
    Answer admitted;
    uint16_t code;
  };
  const std::vector<Case> cases = {
      {Admit(), Outcome::kOk, Answer::kAdmitted, 0},
      {Limit(), Outcome::kOk, Answer::kLimited, 0},
      {{Kind::kMessage, 0, "\x08\x01" + std::string(100'000, 'x')}, Outcome::kOk, Answer::kAdmitted, 0},
      {{Kind::kMessage, 0, ""}, Outcome::kFailed, Answer::kNone, 0},
      {{Kind::kMessage, 13, ""}, Outcome::kFailed, Answer::kNone, 13},
      {{Kind::kTrailersOnly, 3, ""}, Outcome::kFailed, Answer::kNone, 3},
      {{Kind::kTrailersOnly, 14, ""}, Outcome::kFailed, Answer::kNone, 14},
      {{Kind::kTrailersOnly, 4, ""}, Outcome::kUnknown, Answer::kNone, 4},
      {{Kind::kTrailersOnly, 0, ""}, Outcome::kFailed, Answer::kNone, 13},  // OK without a message
      {{Kind::kRefuseStream, 0, ""}, Outcome::kFailed, Answer::kNone, 14},
      {{Kind::kBreakStream, 0, ""}, Outcome::kUnknown, Answer::kNone, 14},
      {{Kind::kHttpStatus, 503, ""}, Outcome::kFailed, Answer::kNone, 14},
      {{Kind::kHttpStatus, 404, ""}, Outcome::kFailed, Answer::kNone, 12},
      {{Kind::kHttpStatus, 200, ""}, Outcome::kUnknown, Answer::kNone, 2},
  };
  GrpcTestServer server([&](const std::string& message, const std::string&) {
    return cases.at(static_cast<size_t>(std::stoi(message.substr(message.rfind('k') + 1)))).answer;
  });
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 1000, 0.001 * static_cast<double>(cases.size()));
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(ops.size(), cases.size());
  for (const Op& op : ops) {
    const Case& expected = cases[op.key];
    EXPECT_EQ(op.outcome, expected.outcome) << op.key;
    EXPECT_EQ(op.answer, expected.admitted) << op.key;
    EXPECT_EQ(op.code, expected.code) << op.key;
  }
}

TEST(GeneratorTest, AServerThatGoesAwayInOrderLosesNothing) {
  std::atomic<int> calls{0};
  GrpcTestServer server([&](const std::string&, const std::string&) {
    Answer_ answer = Admit();
    if (++calls % 100 == 0) answer.kind = Kind::kGoAway;
    return answer;
  });
  Generator generator(TestOptions(kTarget, server.endpoint(), 1000, 1));
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(ops.size(), 1000u);
  // A call that crosses the GOAWAY is refused, certainly; none is lost.
  auto outcomes = Outcomes(ops);
  EXPECT_EQ(outcomes[Outcome::kOk] + outcomes[Outcome::kFailed], 1000u);
  EXPECT_GT(outcomes[Outcome::kOk], 100u);
  EXPECT_GT(server.connections(), 4u);
}

TEST(GeneratorTest, DropsBeyondTheBoundInFlight) {
  GrpcTestServer server(Always({Kind::kSilence, 0, ""}));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 1000, 0.5);
  options.loads[0].timeout = std::chrono::milliseconds(200);
  options.loads[0].max_in_flight = 10;
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  ASSERT_EQ(ops.size(), 500u);
  EXPECT_GE(Outcomes(ops)[Outcome::kDropped], 400u);
  EXPECT_EQ(generator.dropped(), Outcomes(ops)[Outcome::kDropped]);
  EXPECT_LE(MostInFlight(ops), 10);
  for (const Op& op : ops) {
    if (op.outcome != Outcome::kDropped) continue;
    EXPECT_EQ(op.sent_ns, 0);
    EXPECT_EQ(op.done_ns, 0);
  }
}

TEST(GeneratorTest, AStarvedGeneratorShowsItsLag) {
  GrpcTestServer server(Always(Admit()));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 1000, 0.6);
  options.starve = 0.8;
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  EXPECT_EQ(ops.size(), 600u);
  EXPECT_GE(generator.lag().Quantile(0.5), 10'000'000);
  EXPECT_GE(generator.lag().max(), 60'000'000);
}

TEST(GeneratorTest, WhatIsLateByMoreThanTheTimeoutIsDropped) {
  GrpcTestServer server(Always(Admit()));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 1000, 0.5);
  options.starve = 0.9;
  options.loads[0].timeout = std::chrono::milliseconds(20);
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  EXPECT_EQ(ops.size(), 500u);
  EXPECT_GE(generator.dropped(), 100u);
}

TEST(GeneratorTest, AClosedLoopNeverHasMoreInFlightThanClients) {
  GrpcTestServer server(Always(Admit()));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 0, 0.5);
  options.loads[0].arrivals = Arrivals::kClosed;
  options.loads[0].closed_clients = 3;
  options.loads[0].think = std::chrono::milliseconds(2);
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  EXPECT_GT(ops.size(), 9u);
  EXPECT_LE(ops.size(), 3u * 251u);
  EXPECT_LE(MostInFlight(ops), 3);
  EXPECT_EQ(Outcomes(ops)[Outcome::kOk], ops.size());
  EXPECT_EQ(generator.streams()[0].schedule, nullptr);
}

TEST(GeneratorTest, StopEndsALongRunWithWhatThereIs) {
  GrpcTestServer server(Always({Kind::kSilence, 0, ""}));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 1000, 600);
  options.loads[0].timeout = std::chrono::minutes(5);
  Generator generator(options);
  ASSERT_TRUE(generator.Connect().ok());
  std::thread run([&] { EXPECT_TRUE(generator.Run().ok()); });
  WaitUntil([&] { return server.received() >= 50; });
  generator.Stop();
  run.join();
  const std::vector<Op> ops = generator.TakeOps();
  EXPECT_GE(ops.size(), 50u);
  EXPECT_LT(ops.size(), 600'000u);
  EXPECT_EQ(Outcomes(ops)[Outcome::kUnknown], ops.size());
}

TEST(GeneratorTest, WaitsForTheWallClockOfItsStart) {
  GrpcTestServer server(Always(Admit()));
  Generator::Options options = TestOptions(kTarget, server.endpoint(), 100, 0.2);
  const auto start = std::chrono::system_clock::now() + std::chrono::milliseconds(300);
  options.start_unix_ns = std::chrono::duration_cast<Nanos>(start.time_since_epoch()).count();
  Generator generator(options);
  const std::vector<Op> ops = RunAll(generator);
  EXPECT_GE(std::chrono::system_clock::now(), start + std::chrono::milliseconds(190));
  EXPECT_EQ(generator.started_unix_ns(), options.start_unix_ns);
  ASSERT_EQ(ops.size(), 20u);
  for (const Op& op : ops) EXPECT_GE(op.sent_ns, op.intended_ns);
}

TEST(GeneratorTest, SpreadsOverAllReplicas) {
  GrpcTestServer first(Always(Admit())), second(Always(Admit()));
  Generator::Options options = TestOptions(kTarget, first.endpoint(), 2000, 0.5);
  options.endpoints[kTarget].push_back(second.endpoint());
  Generator generator(options);
  EXPECT_EQ(RunAll(generator).size(), 1000u);
  EXPECT_EQ(first.received() + second.received(), 1000u);
  EXPECT_GT(first.received(), 300u);
  EXPECT_GT(second.received(), 300u);
}

}  // namespace
}  // namespace lab::bench
