#include "bench/labfile/lab.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lab::bench {
namespace {

using ::testing::HasSubstr;

Catalogue TestCatalogue() {
  Catalogue catalogue;
  catalogue.knobs["redis"] = {};
  catalogue.knobs["ratelimit"] = {};
  catalogue.faults = {{"redis.pause", {}}, {"link.latency", {"latency", "stream"}}, {"link.down", {}}};
  catalogue.targets = {{"ratelimit.grpc", {"key"}}};
  catalogue.invariants = {"every-arrival-accounted"};
  catalogue.check_fault_option = [](const std::string& fault, const std::string&, const std::string& value) {
    return fault == "link.latency" && value == "50" ? std::string("not a duration; write 50ms") : std::string();
  };
  return catalogue;
}

constexpr char kGood[] = R"(lab: slow
title: A slow store
system:
  redis: {replicas: 2}
  ratelimit: {}
links: [ratelimit->redis, load->ratelimit]
reference: a
variants:
  a: {}
load:
  - {target: ratelimit.grpc, rate: 10/s, keys: uniform(1), request: {key: k}}
phases: {steady: 1s, fault: 1s}
faults:
  - {at: fault, do: ratelimit->redis.latency, replica: 1, latency: 50ms, stream: upstream, for: 100%}
  - {at: fault, do: load->ratelimit.down, for: 10%}
invariants: [every-arrival-accounted]
)";

// The good file with one thing replaced.
absl::StatusOr<Lab> ParseWith(const std::string& from, const std::string& to) {
  std::string text = kGood;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  return ParseLab(text, "labs/slow/lab.yaml", TestCatalogue());
}

TEST(LinksTest, AreReadWithTheirFaults) {
  const absl::StatusOr<Lab> lab = ParseWith("", "");
  ASSERT_TRUE(lab.ok()) << lab.status();
  ASSERT_EQ(lab->links.size(), 2u);
  EXPECT_EQ(lab->links[0].from, "ratelimit");
  EXPECT_EQ(lab->links[0].to, "redis");
  EXPECT_EQ(lab->links[1].name(), "load->ratelimit");
  ASSERT_EQ(lab->faults.size(), 2u);
  EXPECT_EQ(lab->faults[0].fault, "ratelimit->redis.latency");
  EXPECT_EQ(lab->faults[0].part, "ratelimit->redis");
  EXPECT_EQ(lab->faults[0].replica, 1);
  EXPECT_EQ(lab->faults[0].options.at("stream"), "upstream");
  EXPECT_EQ(lab->faults[1].part, "load->ratelimit");
}

struct Wrong {
  std::string from, to, error;
};
void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.to; }
class LinkErrorTest : public ::testing::TestWithParam<Wrong> {};

TEST_P(LinkErrorTest, IsToldWithItsLineAndARemedy) {
  const absl::StatusOr<Lab> lab = ParseWith(GetParam().from, GetParam().to);
  ASSERT_FALSE(lab.ok());
  EXPECT_THAT(std::string(lab.status().message()), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Everything, LinkErrorTest,
    ::testing::Values(
        Wrong{"[ratelimit->redis,", "[ratelimit-redis,", "lab.yaml:6: links[0]: \"ratelimit-redis\" is no link"},
        Wrong{"[ratelimit->redis,", "[ratelimt->redis,", "did you mean \"ratelimit\"?"},
        Wrong{"[ratelimit->redis,", "[ratelimit->reddis,", "did you mean \"redis\"?"},
        Wrong{"[ratelimit->redis,", "[redis->ratelimit,", "\"redis\" is started before \"ratelimit\""},
        Wrong{"[ratelimit->redis,", "[ratelimit->ratelimit,", "is started before"},
        Wrong{", load->ratelimit]", ", ratelimit->redis]", "is there twice"},
        Wrong{", load->ratelimit]", ", load->redis]", "\"load->redis\": no load targets redis"},
        Wrong{"do: ratelimit->redis.latency", "do: ratelimit->redis.latenzy",
              "lab.yaml:14: faults[0].do: unknown fault \"ratelimit->redis.latenzy\"; did you mean "
              "\"ratelimit->redis.latency\"?"},
        Wrong{"do: ratelimit->redis.latency", "do: ratelimit->reddis.latency",
              "\"ratelimit->reddis\" is no link of this lab; did you mean \"ratelimit->redis\"?"},
        Wrong{"links: [ratelimit->redis, load->ratelimit]", "links: []", "write links: [ratelimit->redis]"},
        Wrong{"replica: 1", "replica: 2", "replica"},
        Wrong{"latency: 50ms", "latenzy: 50ms", "did you mean \"latency\"?"},
        Wrong{"latency: 50ms", "latency: 50", "lab.yaml:14: faults[0].latency: not a duration; write 50ms"},
        Wrong{"do: load->ratelimit.down", "do: load->ratelimit.down, on: redis", "says in its name"}));

}  // namespace
}  // namespace lab::bench
