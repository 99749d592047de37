#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <string>

#include "bench/load/generator.h"
#include "bench/load/target.h"
#include "bench/load/testing/http_test_server.h"
#include "bench/load/testing/load_options.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

using ::testing::HasSubstr;

const Target& Mixed() { return *FindTarget("cacheapi.mixed"); }

std::string Request(const std::string& target, const RequestFields& fields, uint32_t key) {
  const auto writer = PrepareRequests(*FindTarget(target), fields);
  EXPECT_TRUE(writer.ok()) << writer.status();
  return writer.ok() ? (*writer)(key) : "";
}

TEST(CacheApiTargetTest, ReadsAskForTheBrandOfTheKey) {
  EXPECT_EQ(Request("cacheapi.get", {{"window", "30d"}, {"tenant", "t{key}"}}, 12),
            "GET /v1/brands/brand-12/insights?window=30d HTTP/1.1\r\nhost: localhost\r\nx-tenant: t12\r\n\r\n");
  EXPECT_EQ(Request("cacheapi.get", {}, 0),
            "GET /v1/brands/brand-0/insights?window=24h HTTP/1.1\r\nhost: localhost\r\n\r\n");
}

TEST(CacheApiTargetTest, AWriteHasAKeyOfItsOwn) {
  const Mixture mixture = PrepareMixture(*FindTarget("cacheapi.put"), {});
  ASSERT_TRUE(mixture.question);
  const Question question = mixture.question(Mix(1));
  EXPECT_EQ(question.ask, Ask::kWrite);
  const std::string request = mixture.write(7, question, "lab-1-2");
  EXPECT_THAT(request, HasSubstr("PUT /v1/brands/brand-7/correction HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nidempotency-key: lab-1-2\r\n"));
  const size_t body = request.find("\r\n\r\n") + 4;
  EXPECT_THAT(request, HasSubstr(Concat("content-length: ", request.size() - body, "\r\n")));
}

TEST(CacheApiTargetTest, WhatIsMissingIsAskedForOnPurpose) {
  const Mixture same = PrepareMixture(*FindTarget("cacheapi.get"), {{"missing", "100%"}});
  EXPECT_THAT(same.write(3, {Ask::kMissing}, "u1"), HasSubstr("/v1/brands/none-3/insights?window=24h "));
  const Mixture fresh = PrepareMixture(*FindTarget("cacheapi.get"), {{"missing", "100%"}, {"missing_keys", "fresh"}});
  EXPECT_THAT(fresh.write(3, {Ask::kMissing}, "u1"), HasSubstr("/v1/brands/none-u1/insights?"));
}

TEST(CacheApiTargetTest, OperationsAreMixedByTheirShares) {
  const Mixture mixture = PrepareMixture(Mixed(), {{"writes", "10%"}, {"missing", "50%"}, {"sessions", "20"}});
  constexpr int kDrawn = 100'000;
  int writes = 0, missing = 0;
  std::set<uint16_t> sessions;
  for (int i = 0; i < kDrawn; ++i) {
    const Question question = mixture.question(Mix(static_cast<uint64_t>(i)));
    writes += question.ask == Ask::kWrite ? 1 : 0;
    missing += question.ask == Ask::kMissing ? 1 : 0;
    sessions.insert(question.session);
  }
  EXPECT_NEAR(writes, 10'000, 500);
  EXPECT_NEAR(missing, 45'000, 1'000) << "half of what is no write";
  EXPECT_EQ(sessions.size(), 20u);
  EXPECT_EQ(*sessions.begin(), 1) << "0 is nobody";
  EXPECT_FALSE(PrepareMixture(*FindTarget("cacheapi.get"), {}).question) << "plain reads need no draw";
}

TEST(CacheApiTargetTest, WhatCannotBeIsRefused) {
  for (const auto& [fields, named] :
       std::vector<std::pair<RequestFields, const char*>>{{{{"window", "2h"}}, "30d"},
                                                          {{{"writes", "101%"}}, "100%"},
                                                          {{{"writes", "5"}}, "100%"},
                                                          {{{"missing", "-1%"}}, "missing"},
                                                          {{{"sessions", "16384"}}, "16383"},
                                                          {{{"sessions", "x"}}, "sessions"},
                                                          {{{"tenant", "a\r\nb"}}, "tenant"},
                                                          {{{"missing_keys", "some"}}, "fresh"},
                                                          {{{"write", "5%"}}, "writes"}}) {
    const auto writer = PrepareRequests(Mixed(), fields);
    ASSERT_FALSE(writer.ok()) << fields.begin()->first;
    EXPECT_THAT(std::string(writer.status().message()), HasSubstr(named));
  }
}

constexpr char kAsked[] = "GET /v1/brands/brand-7/insights?window=24h HTTP/1.1\r\n\r\n";
constexpr char kBody[] = R"({"brand":"brand-7","window":"24h","version":3,"posts":1})";

Reading ReadOf(int code, const std::string& fields, const std::string& body = kBody, Ask ask = Ask::kRead) {
  const std::string head = Concat("HTTP/1.1 ", code, " X\r\ncontent-length: 1", fields);
  return Mixed().read({code, body, head, kAsked, ask});
}

TEST(CacheApiTargetTest, AnAnswerSaysHowItCameAbout) {
  const struct {
    const char* fields;
    Answer answer;
  } cases[] = {{"\r\nX-Cache: hit\r\nX-Cache-Tier: l1\r\nX-Version: 3", Answer::kHitLocal},
               {"\r\nx-version: 3\r\nX-CACHE: hit\r\nx-cache-tier: l2", Answer::kHitShared},
               {"\r\nX-Cache:miss\r\nX-Version:3", Answer::kMiss},
               {"\r\nX-Cache: stale\r\nX-Version: 3", Answer::kStale},
               {"\r\nX-Cache: coalesced\r\nX-Version: 3", Answer::kCoalesced}};
  for (const auto& [fields, answer] : cases) {
    const Reading reading = ReadOf(200, fields);
    EXPECT_EQ(reading.outcome, Outcome::kOk) << fields;
    EXPECT_EQ(reading.answer, answer) << fields;
    EXPECT_EQ(reading.version, 3u) << fields;
  }
}

TEST(CacheApiTargetTest, EachStatusHasItsOutcome) {
  constexpr char kHit[] = "\r\nX-Cache: hit\r\nX-Cache-Tier: l2\r\nX-Version: 3";
  EXPECT_EQ(ReadOf(200, "").outcome, Outcome::kFailed) << "an answer without version is of something else";
  EXPECT_EQ(ReadOf(404, "\r\nX-Cache: hit").outcome, Outcome::kFailed) << "it was asked for what is there";
  EXPECT_EQ(ReadOf(404, "\r\nX-Cache: hit\r\nX-Cache-Tier: l1", "", Ask::kMissing).outcome, Outcome::kOk);
  EXPECT_EQ(ReadOf(404, "\r\nX-Cache: hit\r\nX-Cache-Tier: l1", "", Ask::kMissing).answer, Answer::kHitLocal);
  EXPECT_EQ(ReadOf(200, kHit, kBody, Ask::kMissing).outcome, Outcome::kFailed) << "there is no such brand";
  EXPECT_EQ(ReadOf(429, "\r\nRateLimit-Limit: 5").answer, Answer::kLimited);
  EXPECT_EQ(ReadOf(429, "\r\nRateLimit-Limit: 5").outcome, Outcome::kOk);
  EXPECT_EQ(ReadOf(429, "").outcome, Outcome::kFailed) << "it has more to do than it can";
  for (const int code : {400, 500, 503, 504}) {
    EXPECT_EQ(ReadOf(code, "\r\nX-Cache: error").outcome, Outcome::kFailed) << code;
    EXPECT_EQ(ReadOf(code, "\r\nX-Cache: error").answer, Answer::kNone) << code;
  }
  EXPECT_EQ(ReadOf(200, "\r\nX-Version: 9", "", Ask::kWrite).answer, Answer::kWritten);
  EXPECT_EQ(ReadOf(200, "\r\nX-Version: 9", "", Ask::kWrite).version, 9u);
  EXPECT_EQ(ReadOf(202, "", R"({"brand":"brand-7","applied":false})", Ask::kWrite).outcome, Outcome::kOk);
  EXPECT_EQ(ReadOf(202, "", "", Ask::kWrite).answer, Answer::kQueued);
  EXPECT_EQ(ReadOf(202, "", "", Ask::kWrite).version, 0u);
  EXPECT_EQ(ReadOf(202, "", "", Ask::kRead).outcome, Outcome::kFailed) << "nobody asks to be read later";
  EXPECT_EQ(ReadOf(503, "", "", Ask::kWrite).outcome, Outcome::kUnknown) << "it may have been committed";
  EXPECT_EQ(ReadOf(404, "", "", Ask::kWrite).outcome, Outcome::kFailed);
}

TEST(CacheApiTargetTest, AnAnswerToAnotherQuestionIsNone) {
  constexpr char kHit[] = "\r\nX-Cache: hit\r\nX-Cache-Tier: l2\r\nX-Version: 3";
  EXPECT_EQ(ReadOf(200, kHit, R"({"brand":"brand-7","window":"30d","version":3})").outcome, Outcome::kFailed);
  EXPECT_EQ(ReadOf(200, kHit, R"({"brand":"brand-8","window":"24h","version":3})").outcome, Outcome::kFailed);
  EXPECT_EQ(ReadOf(200, kHit, "{}").outcome, Outcome::kFailed);
}

// A service that writes what it is told to: each brand one version more, once for each idempotency key.
TEST(CacheApiTargetTest, ALoadKeepsWhatWasAskedAndAnswered) {
  std::mutex mutex;
  std::set<std::string> keys;
  std::atomic<int> wrong{0};
  HttpTestServer server([&](const std::string& request) {
    const size_t brand = request.find("/v1/brands/") + 11;
    const std::string name = request.substr(brand, request.find('/', brand) - brand);
    if (request.rfind("PUT ", 0) == 0) {
      const size_t at = request.find("idempotency-key: ") + 17;
      const std::lock_guard lock(mutex);
      wrong += keys.insert(request.substr(at, request.find("\r\n", at) - at)).second ? 0 : 1;
      return Concat("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Version: ", 1 + keys.size(), "\r\n\r\n{}");
    }
    const std::string body = Concat(R"({"brand":")", name, R"(","window":"24h"})");
    return Concat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(),
                  "\r\nX-Cache: hit\r\nX-Cache-Tier: l2\r\nX-Version: 1\r\n\r\n", body);
  });
  const auto run = [&] {
    Generator::Options options = TestOptions("cacheapi.mixed", server.endpoint(), 500, 0.8);
    options.loads[0].request = {{"writes", "20%"}, {"sessions", "5"}};
    options.loads[0].keys.count = 10;
    Generator generator(options);
    EXPECT_TRUE(generator.Connect().ok());
    EXPECT_TRUE(generator.Run().ok());
    return generator.TakeOps();
  };
  const std::vector<Op> first = run(), second = run();
  ASSERT_EQ(first.size(), 400u);
  ASSERT_EQ(second.size(), first.size());
  size_t writes = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    const Op& op = first[i];
    ASSERT_EQ(op.outcome, Outcome::kOk);
    EXPECT_EQ(op.answer, op.ask == Ask::kWrite ? Answer::kWritten : Answer::kHitShared);
    EXPECT_GT(op.version, 0u);
    EXPECT_GE(op.session, 1);
    EXPECT_LE(op.session, 5);
    EXPECT_EQ(op.ask, second[i].ask) << "the same seed asks the same";
    EXPECT_EQ(op.session, second[i].session);
    writes += op.ask == Ask::kWrite ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(writes), 80, 40);
  EXPECT_EQ(wrong, 0) << "a key was used twice, be it by another run";
  EXPECT_EQ(keys.size(), 2 * writes);
}

}  // namespace
}  // namespace lab::bench
