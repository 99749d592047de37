// Whether connections go where a link says: each through the proxy of its own.
#include "bench/observe/http_get.h"
#include "bench/run/system.h"
#include "bench/run/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LinksTest : public testing::Test {
 protected:
  LinksTest()
      : journal_(*Journal::Open(state_.path())),
        spawner_([this](pid_t pid, const std::string& name) { return journal_->Process(pid, name); }) {}

  void Start() {
    system_ = std::make_unique<System>(
        lab_,
        System::Options{state_.path(), state_.path() + "/trial", state_.path() + "/data", {}, [] { return false; }},
        spawner_, *journal_);
    Progress silent;
    const absl::Status started = system_->Start(silent);
    ASSERT_TRUE(started.ok()) << started;
  }
  int PortOf(const std::string& part, const std::string& port, int replica = 0) const {
    const Part* found = system_->Find(part, replica);
    return found == nullptr ? 0 : found->port(port);
  }
  std::string Config() const { return state_.Read("trial/config/ratelimit.yaml"); }

  TemporaryFolder state_;
  Lab lab_ = TinyLab();
  std::unique_ptr<Journal> journal_;
  Spawner spawner_;
  std::unique_ptr<System> system_;
};

TEST_F(LinksTest, APartConnectsThroughItsLink) {
  lab_.links = {{"ratelimit", "redis"}};
  Start();
  const Part* link = system_->Find("ratelimit->redis", 0);
  ASSERT_NE(link, nullptr);
  EXPECT_EQ(link->kind(), "link");
  EXPECT_NE(link->port("redis"), PortOf("redis", "redis"));
  EXPECT_THAT(Config(), HasSubstr(Concat("redis.port: ", link->port("redis"), "\n")));
  EXPECT_EQ(system_->Find("ratelimit->redis", 0)->Ask(Millis(2000)), Look::kAnswers);
  // Its proxy stands there by the name of the port, and dies with the system.
  const absl::StatusOr<HttpAnswer> proxies = HttpGet("127.0.0.1", link->port("api"), "/proxies/redis", Millis(2000));
  ASSERT_TRUE(proxies.ok()) << proxies.status();
  EXPECT_THAT(proxies->body, HasSubstr(Concat("\"upstream\":\"127.0.0.1:", PortOf("redis", "redis"), "\"")));
  const pid_t proxy = link->pid();
  EXPECT_THAT(system_->Stop(false), ElementsAre());
  EXPECT_FALSE(Alive(proxy));
}

TEST_F(LinksTest, WithoutALinkNothingStandsBetween) {
  Start();
  EXPECT_EQ(system_->Find("ratelimit->redis", 0), nullptr);
  EXPECT_THAT(Config(), HasSubstr(Concat("redis.port: ", PortOf("redis", "redis"), "\n")));
  EXPECT_THAT(system_->Endpoints("ratelimit.http"), ElementsAre(Concat("127.0.0.1:", PortOf("ratelimit", "http"))));
}

TEST_F(LinksTest, TheLoadGoesThroughALinkToEachReplica) {
  lab_.links = {{"load", "ratelimit"}};
  lab_.system[1].replicas = 2;
  Start();
  const int first = PortOf("load->ratelimit", "http", 0), second = PortOf("load->ratelimit", "http", 1);
  EXPECT_THAT(system_->Endpoints("ratelimit.http"),
              ElementsAre(Concat("127.0.0.1:", first), Concat("127.0.0.1:", second)));
  EXPECT_NE(first, PortOf("ratelimit", "http", 0));
  for (const int port : {first, second}) {
    const absl::StatusOr<HttpAnswer> answer = HttpGet("127.0.0.1", port, "/readyz", Millis(2000));
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->status, 200);
  }
  EXPECT_THAT(system_->Describe().size(), 5u);  // redis, two limiters, a link before each
}

}  // namespace
}  // namespace lab::bench
