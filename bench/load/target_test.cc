#include "bench/load/target.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "bench/load/check.h"
#include "envoy/service/ratelimit/v3/rls.pb.h"

namespace lab::bench {
namespace {

using envoy::service::ratelimit::v3::RateLimitRequest;
using envoy::service::ratelimit::v3::RateLimitResponse;

std::string Body(const std::string& target, const RequestFields& fields, uint32_t key) {
  const auto writer = PrepareRequests(*FindTarget(target), fields);
  EXPECT_TRUE(writer.ok()) << writer.status();
  return writer.ok() ? (*writer)(key) : "";
}

TEST(RateLimitGrpcTest, GeneratedCodeReadsTheRequest) {
  RateLimitRequest request;
  ASSERT_TRUE(
      request.ParseFromString(Body("ratelimit.grpc", {{"domain", "outage"}, {"key", "tenant"}, {"hits", "300"}}, 42)));
  EXPECT_EQ(request.domain(), "outage");
  ASSERT_EQ(request.descriptors_size(), 1);
  ASSERT_EQ(request.descriptors(0).entries_size(), 1);
  EXPECT_EQ(request.descriptors(0).entries(0).key(), "tenant");
  EXPECT_EQ(request.descriptors(0).entries(0).value(), "k42");
  EXPECT_EQ(request.hits_addend(), 300u);
}

TEST(RateLimitGrpcTest, DescriptorsAreWrittenAsGiven) {
  RateLimitRequest request;
  ASSERT_TRUE(request.ParseFromString(Body(
      "ratelimit.grpc",
      {{"domain", "d"}, {"descriptors", "tenant={key}, path=/v1/{key}; plan"}, {"value_prefix", std::string(200, 'x')}},
      7)));
  ASSERT_EQ(request.descriptors_size(), 2);
  EXPECT_EQ(request.descriptors(0).entries(0).value(), std::string(200, 'x') + "7");
  EXPECT_EQ(request.descriptors(0).entries(1).key(), "path");
  EXPECT_EQ(request.descriptors(0).entries(1).value(), "/v1/" + std::string(200, 'x') + "7");
  EXPECT_EQ(request.descriptors(1).entries(0).key(), "plan");
  EXPECT_EQ(request.descriptors(1).entries(0).value(), "");
  EXPECT_EQ(request.hits_addend(), 0u);
}

TEST(RateLimitGrpcTest, ReadsWhatGeneratedCodeWrites) {
  const Target& target = *FindTarget("ratelimit.grpc");
  RateLimitResponse response;
  response.mutable_statuses()->Add()->set_limit_remaining(7);
  response.set_overall_code(RateLimitResponse::OK);
  EXPECT_EQ(target.read({0, response.SerializeAsString()}).answer, Answer::kAdmitted);
  response.set_overall_code(RateLimitResponse::OVER_LIMIT);
  EXPECT_EQ(target.read({0, response.SerializeAsString()}).answer, Answer::kLimited);
  EXPECT_EQ(target.read({0, response.SerializeAsString()}).outcome, Outcome::kOk);
  // The code behind other fields.
  EXPECT_EQ(target.read({0, std::string("\x12\x02\x08\x01\x08\x02", 6)}).answer, Answer::kLimited);
}

TEST(RateLimitGrpcTest, WhatIsNoDecisionHasFailed) {
  const Target& target = *FindTarget("ratelimit.grpc");
  for (const std::string& body :
       {std::string(), std::string("\x08\x00", 2), std::string("\x08", 1), std::string("\x12\x7f", 2),
        std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11), std::string("\x0b", 1)}) {
    EXPECT_EQ(target.read({0, body}).outcome, Outcome::kFailed);
    EXPECT_EQ(target.read({0, body}).answer, Answer::kNone);
  }
  EXPECT_EQ(target.read({14, ""}).outcome, Outcome::kFailed);
}

TEST(RateLimitHttpTest, WritesTheJsonForm) {
  EXPECT_EQ(Body("ratelimit.http", {{"domain", "a\"b"}, {"key", "t\n"}, {"hits", "2"}}, 3),
            R"({"domain":"a\"b","descriptors":[{"entries":[{"key":"t\u000a","value":"k3"}]}],"hitsAddend":2})");
  EXPECT_EQ(Body("ratelimit.http", {{"domain", "d"}, {"descriptors", "a=1,b={key};c=2"}}, 3),
            R"({"domain":"d","descriptors":[{"entries":[{"key":"a","value":"1"},{"key":"b","value":"k3"}]},)"
            R"({"entries":[{"key":"c","value":"2"}]}]})");
}

TEST(RateLimitHttpTest, ReadsTheStatus) {
  const Target& target = *FindTarget("ratelimit.http");
  EXPECT_EQ(target.read({200, ""}).answer, Answer::kAdmitted);
  EXPECT_EQ(target.read({429, ""}).answer, Answer::kLimited);
  EXPECT_EQ(target.read({429, ""}).outcome, Outcome::kOk);
  EXPECT_EQ(target.read({503, ""}).outcome, Outcome::kFailed);
}

TEST(TargetTest, RefusesFieldsThatCannotBe) {
  for (const auto& [fields, text] : std::map<RequestFields, std::string>{
           {{{"domian", "d"}, {"key", "k"}}, "did you mean \"domain\"?"},
           {{{"key", "k"}}, "domain: is needed"},
           {{{"domain", "d"}}, "either `key` or `descriptors`"},
           {{{"domain", "d"}, {"key", "k"}, {"descriptors", "a=b"}}, "either `key` or `descriptors`"},
           {{{"domain", "d"}, {"descriptors", "a=b;;c=d"}}, "descriptors: write"},
           {{{"domain", "d"}, {"key", "k"}, {"hits", "-1"}}, "hits: \"-1\""}}) {
    const auto writer = PrepareRequests(*FindTarget("ratelimit.grpc"), fields);
    ASSERT_FALSE(writer.ok()) << text;
    EXPECT_NE(writer.status().message().find(text), std::string::npos) << writer.status();
  }
}

TEST(CheckLoadTest, SaysWhatTheGeneratorWouldRefuse) {
  const std::vector<PhaseSpec> phases = {{"a", std::chrono::seconds(10)}};
  LoadSpec load;
  load.target = "edge.grpc";
  load.api = "ratelimit.grpc";
  load.request = {{"domain", "d"}, {"key", "k"}};
  EXPECT_EQ(CheckLoad(load, phases), "");
  load.request["hits"] = "99999999999";
  EXPECT_EQ(CheckLoad(load, phases), "request: hits: \"99999999999\" is not a number from 0 to 4294967295");
  load.request.erase("hits");
  load.lanes = {{"one", {}}, {"two", {{"domain", ""}}}};
  EXPECT_EQ(CheckLoad(load, phases), "request of lane two: domain: is needed");
  load.lanes.clear();
  load.arrivals = Arrivals::kReplay;
  load.replay_file = testing::TempDir() + "/check_load_" + std::to_string(getpid()) + ".csv";
  EXPECT_NE(CheckLoad(load, phases).find("replay: cannot read " + load.replay_file), std::string::npos);
  std::ofstream(load.replay_file) << "1\nsoon\n";
  EXPECT_NE(CheckLoad(load, phases).find(".csv:2: write \"seconds\""), std::string::npos);
  std::ofstream(load.replay_file) << "1\n2\n";
  EXPECT_EQ(CheckLoad(load, phases), "");
  std::remove(load.replay_file.c_str());
}

TEST(TargetTest, DescribesItself) {
  EXPECT_EQ(TargetFields().at("ratelimit.grpc"),
            (std::vector<std::string>{"domain", "key", "value_prefix", "hits", "descriptors"}));
  EXPECT_EQ(TargetEndpoint("ratelimit.http")->part, "ratelimit");
  EXPECT_EQ(TargetEndpoint("ratelimit.http")->port, "http");
  EXPECT_NE(TargetEndpoint("ratelimit.gprc").status().message().find("ratelimit.grpc"), std::string::npos);
}

}  // namespace
}  // namespace lab::bench
