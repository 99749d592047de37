#include "bench/live/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace lab::bench::live {
namespace {

using Json = nlohmann::json;

TEST(DocumentsTest, APartIsUpStoppedOrDown) {
  PartNow part;
  part.info.name = "ratelimit-1";
  part.info.kind = "ratelimit";
  part.info.ports = {{"grpc", "127.0.0.1:20001"}, {"http", "127.0.0.1:20002"}};
  part.part = "ratelimit";
  part.replica = 1;
  part.pid = 4711;
  part.state = 'S';
  EXPECT_EQ(StateWordOf(part), "up");
  const Json json = Json::parse(PartsJson({part}))[0];
  EXPECT_EQ(json["label"], "ratelimit-1");
  EXPECT_EQ(json["name"], "ratelimit");
  EXPECT_EQ(json["replica"], 1);
  EXPECT_EQ(json["ports"]["grpc"], 20001);
  part.state = 'T';
  EXPECT_EQ(StateWordOf(part), "stopped");
  part.pid = -1;
  EXPECT_EQ(StateWordOf(part), "down");
  EXPECT_EQ(Json::parse(PartJson(part))["state"], "down");
}

TEST(DocumentsTest, AFaultTellsWhatHasNotComeAsNull) {
  FaultRecord fault;
  fault.id = "redis.pause#1";
  fault.fault = "redis.pause";
  fault.asked_s = 2;
  fault.seen_s = 2.021;
  fault.ends_s = 7;
  fault.evidence = "unanswered \xff";  // not UTF-8
  const Json json = Json::parse(FaultJson(fault));
  EXPECT_EQ(json["id"], "redis.pause#1");
  EXPECT_EQ(json["seen_s"], 2.021);
  EXPECT_EQ(json["ends_s"], 7);
  EXPECT_TRUE(json["healed_s"].is_null());
  EXPECT_TRUE(json["applied_s"].is_null());
  EXPECT_EQ(FaultJson(fault).find('\n'), std::string::npos);
}

TEST(DocumentsTest, LinksGoFromTheLoadToTheStores) {
  Lab lab;
  PartSpec redis, limiter, second;
  redis.name = "redis";
  limiter.name = "edge";
  limiter.kind = "ratelimit";
  second.name = "other";
  second.kind = "ratelimit";
  lab.system = {redis, limiter, second};
  LoadSpec load;
  load.target = "edge.grpc";
  lab.load = {load, load};
  const Json links = Json::parse(LinksJson(lab));
  ASSERT_EQ(links.size(), 3u);
  EXPECT_EQ(links[0], (Json{{"from", "load"}, {"to", "edge"}, {"proxied", false}}));
  EXPECT_EQ(links[1]["from"], "edge");
  EXPECT_EQ(links[1]["to"], "redis");
  EXPECT_EQ(links[2]["from"], "other");
}

TEST(DocumentsTest, WhatCanBeBrokenComesWithItsOptions) {
  const FaultKind* kill = FindFault("redis", "kill");
  ASSERT_NE(kill, nullptr);
  const Json json = Json::parse(BreakableJson({{"redis.kill", kill}}))[0];
  EXPECT_EQ(json["fault"], "redis.kill");
  EXPECT_EQ(json["instantaneous"], false);
  EXPECT_EQ(json["options"][0]["name"], "data");
  EXPECT_EQ(json["options"][0]["names"], (Json{"keep", "lost"}));
}

TEST(DocumentsTest, QueuesAreTheGaugesOfWhatWaits) {
  const std::vector<ObservedValue> look = {{"ratelimit", "redis_outstanding", {{"replica", "0"}}, 3},
                                           {"ratelimit", "redis_outstanding", {{"replica", "1"}}, 4},
                                           {"ratelimit", "rpc_server_in_flight", {}, 2},
                                           {"ratelimit", "http_queue_seconds_total", {}, 9},
                                           {"ratelimit", "ratelimit_decisions_total", {}, 100},
                                           {"redis", "redis_used_memory", {}, 1e6}};
  const Queues queues = QueuesOf(look);
  EXPECT_THAT(queues, testing::ElementsAre(testing::Pair("ratelimit.redis_outstanding", 7),
                                           testing::Pair("ratelimit.rpc_server_in_flight", 2)));
  LiveLoad load;
  load.offered_per_s = 4000;
  load.p999_s = 0.003;
  const Json second = Json::parse(SecondJson(12, load, queues));
  EXPECT_EQ(second["offered"], 4000);
  EXPECT_EQ(second["p999_s"], 0.003);
  EXPECT_EQ(second["queues"]["ratelimit.redis_outstanding"], 7);
}

}  // namespace
}  // namespace lab::bench::live
