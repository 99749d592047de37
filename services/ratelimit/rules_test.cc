#include "services/ratelimit/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "services/ratelimit/rules_file.h"
#include "services/ratelimit/rules_watcher.h"

namespace lab::ratelimit {
namespace {

using testing::HasSubstr;

std::shared_ptr<const RuleSet> Parse(const std::string& text, const RuleDefaults& defaults = {}) {
  auto rules = ParseRules({{"rules.yaml", text}}, defaults);
  EXPECT_TRUE(rules.ok()) << rules.status();
  return rules.ok() ? *rules : std::make_shared<RuleSet>();
}

std::string Errors(const std::string& text) {
  return std::string(ParseRules({{"rules.yaml", text}}, {}).status().message());
}

const Rule* Match(const RuleSet& rules, const std::vector<Entry>& entries, std::string_view domain = "shop") {
  const RuleNode* node = rules.Domain(domain);
  return node == nullptr ? nullptr : rules.Match(*node, entries);
}

// The path of the rule that matches, or "-".
std::string Path(const RuleSet& rules, const std::vector<Entry>& entries) {
  const Rule* rule = Match(rules, entries);
  return rule == nullptr ? "-" : rule->path;
}

constexpr char kNested[] = R"(
domain: shop
descriptors:
  - key: tenant
    value: acme
    rate_limit: {unit: second, requests_per_unit: 100, name: acme}
    descriptors:
      - key: path
        value: /v1/*
        rate_limit: {unit: minute, requests_per_unit: 50}
      - key: path
        value: /v1/pay
        rate_limit: {unit: minute, requests_per_unit: 5}
      - key: path
        rate_limit: {unit: minute, requests_per_unit: 1000}
  - key: tenant
    rate_limit: {unit: second, requests_per_unit: 10}
  - key: ip
    value: "10.*.0.*"
    rate_limit: {unlimited: true}
)";

TEST(RulesTest, TheMostSpecificWinsThenTheWildcardThenTheKeyAlone) {
  const auto rules = Parse(kNested);
  EXPECT_EQ(Path(*rules, {{"tenant", "acme"}}), "tenant=acme");
  EXPECT_EQ(Path(*rules, {{"tenant", "other"}}), "tenant");
  EXPECT_EQ(Path(*rules, {{"tenant", "acme"}, {"path", "/v1/pay"}}), "tenant=acme|path=/v1/pay");
  EXPECT_EQ(Path(*rules, {{"tenant", "acme"}, {"path", "/v1/x"}}), "tenant=acme|path=/v1/*");
  EXPECT_EQ(Path(*rules, {{"tenant", "acme"}, {"path", "/v2"}}), "tenant=acme|path");
  EXPECT_EQ(Path(*rules, {{"ip", "10.1.0.9"}}), "ip=10.*.0.*");
  EXPECT_EQ(Path(*rules, {{"ip", "10.1.2.9"}}), "-");
}

TEST(RulesTest, TheNumberOfLevelsMustMatch) {
  const auto rules = Parse(kNested);
  EXPECT_EQ(Path(*rules, {{"tenant", "other"}, {"path", "/v1"}}), "-") << "no way back from tenant to tenant=acme";
  EXPECT_EQ(Path(*rules, {{"tenant", "acme"}, {"path", "/v1/x"}, {"more", ""}}), "-");
  EXPECT_EQ(Path(*rules, {{"path", "/v1/x"}}), "-");
  EXPECT_EQ(Path(*rules, {}), "-");
  EXPECT_EQ(Match(*rules, {{"tenant", "acme"}}, "elsewhere"), nullptr);
}

TEST(RulesTest, KeyAndValueAreNotJoined) {
  const auto rules = Parse(
      "domain: shop\ndescriptors:\n  - {key: a, value: b_c, rate_limit: {unit: day, "
      "requests_per_unit: 1}}\n");
  EXPECT_EQ(Path(*rules, {{"a", "b_c"}}), "a=b_c");
  EXPECT_EQ(Path(*rules, {{"a_b", "c"}}), "-");
}

TEST(RulesTest, ReadsEveryKeyOfARule) {
  const auto rules = Parse(R"(
domain: shop
descriptors:
  - key: user
    shadow_mode: true
    detailed_metric: true
    value_to_metric: true
    metadata: {team: checkout, anything: [1, 2]}
    rate_limit:
      name: per "user"
      every: 10s
      requests_per_unit: 30
      algorithm: gcra
      burst: 5
      on_store_failure: local
  - key: block
    rate_limit: {unit: SECOND, requests_per_unit: 0}
  - key: leased
    rate_limit: {unit: second, requests_per_unit: 50, lease: 5, lease_ttl: 200ms}
  - key: quota
    quota_mode: true
    rate_limit: {unit: week, requests_per_unit: 7, replaces: [{name: 'per "user"'}]}
)",
                           {.on_store_failure = FailurePolicy::kDeny, .replicas = 4});
  const Rule* user = Match(*rules, {{"user", "u"}});
  ASSERT_NE(user, nullptr);
  EXPECT_TRUE(user->shadow);
  EXPECT_EQ(user->limit.algorithm, Algorithm::kGcra);
  EXPECT_EQ(user->limit.requests, 30u);
  EXPECT_EQ(user->limit.burst, 5u);
  EXPECT_EQ(user->limit.window_us, 10 * kSecondUs);
  EXPECT_EQ(user->local.requests, 7u);
  EXPECT_EQ(user->unit, Unit::kUnknown) << "10 s is no unit of the API";
  EXPECT_EQ(user->on_store_failure, FailurePolicy::kLocal);
  EXPECT_EQ(user->policy_field, "\"per \\\"user\\\"\";q=30;w=10");
  const Rule* leased = Match(*rules, {{"leased", "x"}});
  ASSERT_NE(leased, nullptr);
  EXPECT_EQ(leased->lease, (LeaseTerms{5, Millis(200)}));
  EXPECT_EQ(user->lease.hits, 0u);
  const Rule* block = Match(*rules, {{"block", "x"}});
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(block->limit.requests, 0u) << "0 is a rule that denies everything";
  EXPECT_EQ(block->on_store_failure, FailurePolicy::kDeny) << "of the process";
  const Rule* quota = Match(*rules, {{"quota", "x"}});
  ASSERT_NE(quota, nullptr);
  EXPECT_TRUE(quota->shadow);
  EXPECT_EQ(quota->unit, Unit::kWeek);
  EXPECT_EQ(quota->replaces, std::vector<std::string>{"per \"user\""});
  EXPECT_THAT(rules->ToText(), HasSubstr("shop  user  gcra  30 / 10 s  burst 5  on_store_failure local  shadow"));
}

TEST(RulesTest, AShareIsTheLimitOfAReplica) {
  const auto rules = ParseRules({{"r",
                                  "domain: shop\ndescriptors:\n  - {key: k, rate_limit: {unit: day, "
                                  "requests_per_unit: 10}}\n"}},
                                {.replicas = 4, .share = true})
                         .value();
  EXPECT_EQ(Match(*rules, {{"k", "1"}})->limit.requests, 2u);
}

TEST(RulesTest, UnitsAreThoseOfTheReference) {
  const std::vector<std::pair<std::string, int64_t>> units = {
      {"second", 1},       {"minute", 60},        {"hour", 3600},       {"day", 86400},
      {"week", 7 * 86400}, {"month", 30 * 86400}, {"year", 365 * 86400}};
  for (const auto& [name, seconds] : units) {
    const auto rules =
        Parse("domain: shop\ndescriptors: [{key: k, rate_limit: {requests_per_unit: 3, unit: " + name + "}}]");
    const Rule* rule = Match(*rules, {{"k", "v"}});
    ASSERT_NE(rule, nullptr);
    EXPECT_EQ(rule->limit.window_us, seconds * kSecondUs) << name;
    EXPECT_EQ(UnitOf(rule->limit.window_us), rule->unit) << name;
    EXPECT_NE(rule->unit, Unit::kUnknown) << name;
  }
}

struct BadRules {
  const char* name;
  const char* text;
  const char* error;  // what must be in the message, with its line
};

class BadRulesTest : public testing::TestWithParam<BadRules> {};

TEST_P(BadRulesTest, IsRefusedWithLineAndRemedy) { EXPECT_THAT(Errors(GetParam().text), HasSubstr(GetParam().error)); }

INSTANTIATE_TEST_SUITE_P(
    All, BadRulesTest,
    testing::Values(
        BadRules{"NoDomain", "descriptors: []\n", "rules.yaml:1"},
        BadRules{"EmptyDomain", "domain: \"\"\n", "rules.yaml:1: domain: must not be empty"},
        BadRules{"UnknownKey", "domain: d\ndescriptors:\n  - key: k\n    rate_limits: {}\n",
                 "did you mean \"rate_limit\""},
        BadRules{
            "UnknownKeyInLimit",
            "domain: d\ndescriptors:\n  - key: k\n    rate_limit:\n      unit: second\n      request_per_unit: 1\n",
            "rules.yaml:6"},
        BadRules{"NoKey", "domain: d\ndescriptors:\n  - value: v\n", "rules.yaml:3"},
        BadRules{"EmptyKey", "domain: d\ndescriptors:\n  - key: ''\n", "must not be empty"},
        BadRules{"Duplicate", "domain: d\ndescriptors:\n  - {key: k, value: v}\n  - {key: j}\n  - {key: k, value: v}\n",
                 "rules.yaml:5"},
        BadRules{"DuplicateWildcard", "domain: d\ndescriptors:\n  - {key: k, value: v*}\n  - {key: k, value: v*}\n",
                 "duplicate descriptor k=v*"},
        BadRules{"UnknownUnit",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: minutes, requests_per_unit: 1}\n",
                 "unknown unit \"minutes\"; did you mean \"minute\""},
        BadRules{"NoUnit", "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {requests_per_unit: 1}\n",
                 "needs unit"},
        BadRules{"UnitAndEvery",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: day, every: 1s, requests_per_unit: 1}\n",
                 "keep one"},
        BadRules{"EveryZero",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {every: 0s, requests_per_unit: 1}\n", "every"},
        BadRules{"NoRequests", "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: second}\n",
                 "requests_per_unit"},
        BadRules{"NegativeRequests",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: second, requests_per_unit: -1}\n",
                 "requests_per_unit"},
        BadRules{"HugeRequests",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: second, requests_per_unit: 4294967296}\n",
                 "4294967295"},
        BadRules{
            "HugeLog",
            "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: day, requests_per_unit: 100001, algorithm: "
            "sliding_log}\n",
            "use sliding_counter"},
        BadRules{"FastGcra",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: second, requests_per_unit: 1000001, "
                 "algorithm: gcra}\n",
                 "use token_bucket"},
        BadRules{
            "BurstOfAWindow",
            "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: second, requests_per_unit: 10, burst: 5}\n",
            "a fixed_window has none"},
        BadRules{"BurstZero",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: second, requests_per_unit: 10, burst: 0, "
                 "algorithm: gcra}\n",
                 "burst"},
        BadRules{"UnknownAlgorithm",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: second, requests_per_unit: 1, algorithm: "
                 "tokenbucket}\n",
                 "token_bucket"},
        BadRules{"LeaseOfAnotherAlgorithm",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: second, requests_per_unit: 10, lease: 5, "
                 "algorithm: gcra}\n",
                 "rules.yaml:4: descriptors[0].rate_limit.lease: a gcra cannot be leased"},
        BadRules{
            "LeaseAboveTheLimit",
            "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: second, requests_per_unit: 10, lease: 11}\n",
            "more than the limit of 10"},
        BadRules{
            "LeaseTtlAlone",
            "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: second, requests_per_unit: 10, lease_ttl: "
            "1s}\n",
            "say how many hits"},
        BadRules{"UnknownPolicy",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: second, requests_per_unit: 1, "
                 "on_store_failure: alow}\n",
                 "did you mean \"allow\""},
        BadRules{"UnlimitedWithUnit",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unlimited: true, unit: second}\n",
                 "rules.yaml:4"},
        BadRules{"ReplacesItself",
                 "domain: d\ndescriptors:\n  - key: k\n    rate_limit: {unit: day, requests_per_unit: 1, name: n, "
                 "replaces: [{name: n}]}\n",
                 "cannot replace itself"},
        BadRules{"ReplacesNothing",
                 "domain: d\ndescriptors:\n  - {key: j, rate_limit: {unit: day, requests_per_unit: 1, name: basic}}\n"
                 "  - {key: k, rate_limit: {unit: day, requests_per_unit: 1, replaces: [{name: basik}]}}\n",
                 "did you mean \"basic\""},
        BadRules{"SharedWithoutWildcard", "domain: d\ndescriptors:\n  - {key: k, value: v, share_threshold: true}\n",
                 "wildcard"},
        BadRules{"NotYaml", "domain: [\n", "rules.yaml"}, BadRules{"List", "- a\n- b\n", "rules.yaml:1"},
        BadRules{"Empty", "", "rules.yaml"}),
    [](const auto& test) { return test.param.name; });

TEST(RulesTest, ReportsEverythingAtOnceOverAllFiles) {
  const auto result = ParseRules({{"a.yaml", "domain: d\ndescriptors:\n  - {kee: k}\n  - {key: k, value: [1]}\n"},
                                  {"b.yaml", "domain: d\n"},
                                  {"c.yaml", "domian: e\n"}},
                                 {});
  const std::string text(result.status().message());
  EXPECT_THAT(text, HasSubstr("a.yaml:3"));
  EXPECT_THAT(text, HasSubstr("a.yaml:4"));
  EXPECT_THAT(text, HasSubstr("b.yaml:1"));
  EXPECT_THAT(text, HasSubstr("another file"));
  EXPECT_THAT(text, HasSubstr("c.yaml:1"));
}

TEST(RulesTest, AYamlBombIsRefused) {
  std::string bomb = "domain: d\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + below;
    for (int n = 0; n < 9; ++n) bomb += ", " + below;
    bomb += "]\n";
  }
  EXPECT_FALSE(ParseRules({{"bomb.yaml", bomb}}, {}).ok());
}

TEST(WildcardTest, MatchesAnywhere) {
  EXPECT_TRUE(WildcardMatch("*", ""));
  EXPECT_TRUE(WildcardMatch("a*", "a"));
  EXPECT_TRUE(WildcardMatch("*b*d", "abcbd"));
  EXPECT_TRUE(WildcardMatch("a*c*", "abcd"));
  EXPECT_FALSE(WildcardMatch("a*c", "abcd"));
  EXPECT_FALSE(WildcardMatch("a", "ab"));
  EXPECT_FALSE(WildcardMatch("*a*a*a*a*a*a*a*b", std::string(200, 'a')));
}

class Folder {
 public:
  Folder() {
    std::string path = (std::filesystem::temp_directory_path() / "rules-XXXXXX").string();
    path_ = mkdtemp(path.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  void Write(const std::string& name, const std::string& text) const { std::ofstream(path_ / name) << text; }
  std::string path(const std::string& name = "") const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

TEST(ReadRulesFilesTest, TakesAFileOrAFolder) {
  const Folder folder;
  EXPECT_FALSE(ReadRulesFiles(folder.path()).ok()) << "an empty folder";
  EXPECT_FALSE(ReadRulesFiles(folder.path("none.yaml")).ok());
  folder.Write("b.yaml", "domain: b\n");
  folder.Write("a.yml", "domain: a\n");
  folder.Write("notes.txt", "not rules\n");
  const auto files = ReadRulesFiles(folder.path());
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].text, "domain: a\n");
  EXPECT_EQ(ReadRulesFiles(folder.path("b.yaml"))->size(), 1u);
  ASSERT_EQ(mkfifo(folder.path("c.yaml").c_str(), 0600), 0);
  EXPECT_EQ(ReadRulesFiles(folder.path()).status().message(), folder.path("c.yaml") + " is not a regular file");
}

TEST(RulesWatcherTest, ReportsEachChangeOnceGoodOrBad) {
  const Folder folder;
  const std::string good = "domain: a\ndescriptors: [{key: k, rate_limit: {unit: day, requests_per_unit: 1}}]\n";
  folder.Write("a.yaml", "domain: a\n");
  std::mutex mutex;
  std::vector<RulesWatcher::Result> results;
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return results.size();
  };
  const auto wait_for = [&](size_t n) {
    const auto end = Clock::now() + std::chrono::seconds(20);
    while (count() < n && Clock::now() < end) std::this_thread::sleep_for(Millis(2));
    return count() == n;
  };
  RulesWatcher watcher(folder.path("a.yaml"), {}, Millis(5), *ReadRulesFiles(folder.path("a.yaml")),
                       [&](RulesWatcher::Result result) {
                         const std::lock_guard lock(mutex);
                         results.push_back(std::move(result));
                       });
  folder.Write("next", good);
  std::filesystem::rename(folder.path("next"), folder.path("a.yaml"));
  ASSERT_TRUE(wait_for(1));
  EXPECT_EQ((*results[0])->size(), 1u);
  folder.Write("next", "domain: a\ndescriptor: []\n");
  std::filesystem::rename(folder.path("next"), folder.path("a.yaml"));
  ASSERT_TRUE(wait_for(2));
  EXPECT_THAT(std::string(results[1].status().message()), HasSubstr("a.yaml:2"));
  std::filesystem::remove(folder.path("a.yaml"));
  ASSERT_TRUE(wait_for(3));
  EXPECT_FALSE(results[2].ok());
  folder.Write("next", good);
  std::filesystem::rename(folder.path("next"), folder.path("a.yaml"));
  ASSERT_TRUE(wait_for(4));
  EXPECT_TRUE(results[3].ok());
  // Nobody writes to it: reading it would hold up the watcher, and with it the stop of the service.
  ASSERT_EQ(mkfifo(folder.path("fifo").c_str(), 0600), 0);
  std::filesystem::rename(folder.path("fifo"), folder.path("a.yaml"));
  ASSERT_TRUE(wait_for(5));
  EXPECT_THAT(std::string(results[4].status().message()), HasSubstr("a.yaml is not a regular file"));
  folder.Write("next", good);
  std::filesystem::rename(folder.path("next"), folder.path("a.yaml"));
  ASSERT_TRUE(wait_for(6));
  EXPECT_TRUE(results[5].ok());
}

}  // namespace
}  // namespace lab::ratelimit
