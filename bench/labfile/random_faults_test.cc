#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "bench/labfile/lab.h"

namespace lab::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const char kLab[] = R"yaml(lab: soak
title: Killed now and then
budget: {run: 20m, quick: 2m}
system:
  redis: {}
  ratelimit: {replicas: 3}
reference: a
variants: {a: {}}
load: [{target: ratelimit.grpc, rate: 10/s}]
phases: {warmup: 5s, soak: 10m, rest: 5s}
quick: {warmup: 1s, soak: 60s, rest: 1s}
faults:
  - {at: soak+2s, random: [redis.kill, ratelimit.kill], every: 5s..20s, for: 1s..3s}
  - {at: rest, do: redis.flush}
invariants: [kept]
)yaml";

absl::StatusOr<Lab> Parse(const std::string& text) {
  Catalogue catalogue;
  catalogue.knobs["redis"] = {};
  catalogue.knobs["ratelimit"] = {{"replicas", "int", "1", "1 … 16", "", {}}};
  catalogue.faults = {{"redis.kill", {}}, {"redis.flush", {}}, {"ratelimit.kill", {}}, {"process.kill", {}}};
  catalogue.check_fault = [](const Lab&, const FaultSpec& fault) {
    return fault.fault == "redis.flush" && fault.random ? std::string("not by chance") : std::string();
  };
  catalogue.targets = {{"ratelimit.grpc", {}}};
  catalogue.invariants = {"kept"};
  return ParseLab(text, "labs/soak/lab.yaml", catalogue);
}

std::string ErrorsWith(const std::string& from, const std::string& to) {
  EXPECT_THAT(kLab, HasSubstr(from));
  const absl::StatusOr<Lab> lab = Parse(absl::StrReplaceAll(kLab, {{from, to}}));
  return lab.ok() ? "no error" : std::string(lab.status().message());
}

std::vector<FaultSpec> Drawn(const Lab& lab, bool quick, uint64_t seed) {
  std::vector<FaultSpec> drawn = FaultsOf(lab, quick, seed);
  EXPECT_FALSE(drawn.empty());
  EXPECT_EQ(drawn.back().fault, "redis.flush");
  drawn.pop_back();
  return drawn;
}

TEST(RandomFaultsTest, KeepTheirBounds) {
  const absl::StatusOr<Lab> lab = Parse(kLab);
  ASSERT_TRUE(lab.ok()) << lab.status();
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    for (const bool quick : {false, true}) {
      const Nanos end = quick ? std::chrono::seconds(60) : std::chrono::seconds(600);
      const std::vector<FaultSpec> drawn = Drawn(*lab, quick, seed);
      ASSERT_GE(drawn.size(), quick ? 1u : 28u) << seed;
      EXPECT_LE(drawn.size(), quick ? 12u : 120u);
      Nanos before = std::chrono::seconds(2);
      for (const FaultSpec& fault : drawn) {
        EXPECT_EQ(fault.phase, "soak");
        EXPECT_FALSE(fault.random.has_value()) << "it is planned now";
        EXPECT_GE(fault.offset - before, std::chrono::seconds(5));
        EXPECT_LE(fault.offset - before, std::chrono::seconds(20));
        ASSERT_TRUE(fault.length.has_value());
        EXPECT_GE(*fault.length, std::chrono::seconds(1));
        EXPECT_LE(*fault.length, std::chrono::seconds(3));
        EXPECT_LE(fault.offset + *fault.length, end);
        EXPECT_EQ(fault.part, fault.fault == "redis.kill" ? "redis" : "ratelimit");
        EXPECT_LT(fault.replica, fault.fault == "redis.kill" ? 1 : 3);
        before = fault.offset;
      }
    }
  }
}

std::string TextOf(const std::vector<FaultSpec>& faults) {
  std::string text;
  for (const FaultSpec& fault : faults) {
    text += fault.fault + std::to_string(fault.replica) + "@" + std::to_string(fault.offset.count()) + "+" +
            std::to_string(fault.length->count()) + " ";
  }
  return text;
}

TEST(RandomFaultsTest, FollowFromTheSeed) {
  const absl::StatusOr<Lab> lab = Parse(kLab);
  ASSERT_TRUE(lab.ok()) << lab.status();
  std::set<std::string> plans;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    plans.insert(TextOf(Drawn(*lab, false, seed)));
    EXPECT_EQ(TextOf(Drawn(*lab, false, seed)), TextOf(Drawn(*lab, false, seed)));
  }
  EXPECT_EQ(plans.size(), 20u);
  const absl::StatusOr<Lab> moved = Parse("# one line more\n" + std::string(kLab));
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(TextOf(Drawn(*moved, false, 7)), TextOf(Drawn(*lab, false, 7)));
}

TEST(RandomFaultsTest, EachChoiceAndReplicaHasItsTurn) {
  const absl::StatusOr<Lab> lab = Parse(kLab);
  ASSERT_TRUE(lab.ok()) << lab.status();
  std::set<std::pair<std::string, int>> seen;
  for (const FaultSpec& fault : Drawn(*lab, false, 3)) seen.emplace(fault.fault, fault.replica);
  EXPECT_EQ(seen.size(), 4u);
}

TEST(RandomFaultsTest, TwoEntriesDrawByThemselves) {
  const absl::StatusOr<Lab> two = Parse(absl::StrReplaceAll(
      kLab, {{"  - {at: rest,", "  - {at: soak, random: [redis.kill], every: 30s, for: 2s}\n  - {at: rest,"}}));
  ASSERT_TRUE(two.ok()) << two.status();
  const absl::StatusOr<Lab> one = Parse(kLab);
  const std::string both = TextOf(Drawn(*two, false, 5)), first = TextOf(Drawn(*one, false, 5));
  EXPECT_EQ(both.rfind(first, 0), 0u);
  EXPECT_THAT(both.substr(first.size()), HasSubstr("redis.kill0@30000000000+2000000000 redis.kill0@60000000000+"));
}

TEST(RandomFaultsTest, SaysWhatIsWrong) {
  EXPECT_THAT(ErrorsWith("every: 5s..20s", "every: 3s..20s"),
              AllOf(HasSubstr("every"), HasSubstr("at least 4 s apart")));
  EXPECT_THAT(ErrorsWith("every: 5s..20s", "every: 20s..5s"), HasSubstr("ends before it begins"));
  EXPECT_THAT(ErrorsWith("every: 5s..20s", "every: often"), HasSubstr("every: 20s..60s"));
  EXPECT_THAT(ErrorsWith(", every: 5s..20s", ""), HasSubstr("every"));
  EXPECT_THAT(ErrorsWith("for: 1s..3s", "for: 0s..3s"), HasSubstr("for: 1s..3s"));
  EXPECT_THAT(ErrorsWith(", for: 1s..3s", ""), HasSubstr("for"));
  EXPECT_THAT(ErrorsWith("every: 5s..20s", "every: 5s..80s"), HasSubstr("quick phase soak"));
  EXPECT_THAT(ErrorsWith("[redis.kill, ratelimit.kill]", "[]"), HasSubstr("names no fault"));
  EXPECT_THAT(ErrorsWith("[redis.kill, ratelimit.kill]", "[redis.kil]"), HasSubstr("redis.kill"));
  EXPECT_THAT(ErrorsWith("[redis.kill, ratelimit.kill]", "[process.kill]"), HasSubstr("no part of this system"));
  EXPECT_THAT(ErrorsWith("[redis.kill, ratelimit.kill]", "[redis.flush]"), HasSubstr("not by chance"));
  EXPECT_THAT(ErrorsWith("for: 1s..3s", "for: 1s..3s, on: redis"), HasSubstr("on"));
  EXPECT_THAT(ErrorsWith("for: 1s..3s", "for: 1s..3s, replica: 1"), HasSubstr("drawn"));
  EXPECT_THAT(ErrorsWith("for: 1s..3s", "for: 1s..3s, do: redis.kill"), HasSubstr("is for one fault"));
  EXPECT_THAT(ErrorsWith("for: 1s..3s", "for: 1s..3s, repeat: every 2s"), HasSubstr("repeat"));
  EXPECT_THAT(ErrorsWith("at: soak+2s", "at: soke+2s"), HasSubstr("soak"));
}

}  // namespace
}  // namespace lab::bench
