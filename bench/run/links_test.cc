// Whether connections go where a link says: each through the proxy of its own.
#include <algorithm>

#include "bench/run/part_kind.h"
#include "bench/run/runner.h"
#include "bench/run/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

using testing::HasSubstr;

class LinksTest : public testing::Test {
 protected:
  LinksTest() {
    lab_.phases = {{"steady", Millis(2500)}};
    options_.root = state_.path();
    options_.variants = {"first"};
  }
  void SetUp() override { setenv("LAB_STATE", state_.path().c_str(), 1); }
  void TearDown() override { unsetenv("LAB_STATE"); }

  void RunIt() {
    Progress silent;
    absl::StatusOr<bench::Run> run = RunLab(lab_, options_, silent);
    ASSERT_TRUE(run.ok()) << run.status();
    run_ = *std::move(run);
    ASSERT_EQ(run_.trials.size(), 1u);
  }
  const PartInfo* Find(const std::string& name) const {
    for (const PartInfo& part : run_.trials[0].parts) {
      if (part.name == name) return &part;
    }
    return nullptr;
  }
  // Of the last sample of the proxy before the port, over both directions.
  double Carried(const std::string& link, const std::string& port) const {
    double bytes = 0;
    for (const Series& series : run_.trials[0].series) {
      if (series.part != link || series.name != "toxiproxy_proxy_sent_bytes_total" || series.samples.empty()) continue;
      const auto proxy = series.labels.find("proxy");
      if (proxy != series.labels.end() && proxy->second == port) bytes += series.samples.back().second;
    }
    return bytes;
  }

  TemporaryFolder state_;
  Lab lab_ = TinyLab();
  RunOptions options_;
  bench::Run run_;
};

TEST_F(LinksTest, APartConnectsThroughItsLink) {
  lab_.links = {{"ratelimit", "redis"}};
  RunIt();
  const PartInfo* link = Find("ratelimit->redis");
  ASSERT_NE(link, nullptr);
  EXPECT_EQ(link->kind, "link");
  const std::string address = link->ports.at("redis");
  EXPECT_NE(address, Find("redis")->ports.at("redis"));
  std::ifstream config(Concat(run_.folder, "/trials/first-1/config/ratelimit.yaml"));
  const std::string text{std::istreambuf_iterator<char>(config), {}};
  EXPECT_THAT(text, HasSubstr(Concat("redis.port: ", address.substr(address.find(':') + 1), "\n")));
}

TEST_F(LinksTest, WithoutALinkNothingStandsBetween) {
  RunIt();
  EXPECT_EQ(Find("ratelimit->redis"), nullptr);
  const std::string address = Find("redis")->ports.at("redis");
  std::ifstream config(Concat(run_.folder, "/trials/first-1/config/ratelimit.yaml"));
  const std::string text{std::istreambuf_iterator<char>(config), {}};
  EXPECT_THAT(text, HasSubstr(Concat("redis.port: ", address.substr(address.find(':') + 1), "\n")));
}

TEST_F(LinksTest, TheLoadGoesThroughItsLink) {
  lab_.links = {{"load", "ratelimit"}};
  RunIt();
  EXPECT_GT(Carried("load->ratelimit", "http"), 100 * 60);

  EXPECT_TRUE(std::any_of(run_.trials[0].ops.begin(), run_.trials[0].ops.end(),
                          [](const Op& op) { return op.outcome == Outcome::kOk; }));
}

}  // namespace
}  // namespace lab::bench
