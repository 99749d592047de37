#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <functional>
#include <thread>

#include "bench/fault/failpoint_options.h"
#include "bench/fault/fault.h"
#include "bench/fault/target.h"
#include "bench/observe/http_get.h"
#include "bench/observe/process_figures.h"
#include "services/runtime/app/failpoints.h"
#include "services/runtime/failpoint/controller.h"
#include "services/runtime/http/server.h"
#include "services/runtime/redis/client.h"
#include "services/runtime/redis/test_server.h"

namespace lab::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr char kPoints[] = R"([
 {"name":"redis.script.after","actions":["crash","delay","apply-then-timeout"],"armed":null,
  "evidence":{"error":"e","timeout":"t","duration":"d"}},
 {"name":"redis.script.before","actions":["crash","delay","error"],"armed":"error times=3"}])";

TEST(FailpointOptionsTest, DefaultsAreFilledIn) {
  EXPECT_THAT(FailpointOptions({}), UnorderedElementsAre(Pair("point", "redis.script.before"), Pair("action", "error"),
                                                         Pair("share", "1"), Pair("every", "1"), Pair("times", "0")));
  EXPECT_EQ(FailpointOptions({{"action", "delay"}})["delay"], "20ms");
  EXPECT_EQ(FailpointOptions({{"action", "crash"}, {"delay", "1s"}})["delay"], "1s") << "given: not dropped in silence";
}

TEST(FailpointOptionsTest, AreCheckedAgainstThePointsOfTheService) {
  const auto error = [](const std::map<std::string, std::string>& given) { return FailpointError(kPoints, given); };
  EXPECT_EQ(error({}), "");
  EXPECT_EQ(error({{"point", "redis.script.after"}, {"action", "apply-then-timeout"}, {"times", "3"}}), "");
  EXPECT_EQ(error({{"action", "delay"}, {"delay", "50ms"}, {"share", "0.1"}}), "");
  EXPECT_THAT(error({{"point", "redis.scirpt.after"}}), HasSubstr("did you mean \"redis.script.after\"?"));
  EXPECT_THAT(error({{"point", "redis.script.after"}}), HasSubstr("redis.script.after takes no error"));
  EXPECT_THAT(error({{"share", "2"}}), HasSubstr("share must be"));
  EXPECT_THAT(error({{"action", "crash"}, {"delay", "1s"}}), HasSubstr("goes with the action delay only"));
  EXPECT_THAT(FailpointError("no json", {}), HasSubstr("not a list of failpoints"));
}

TEST(FailpointOptionsTest, APointIsReadWithItsState) {
  const absl::StatusOr<FailpointOfService> after = FindFailpoint(kPoints, "redis.script.after");
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->armed, "");
  EXPECT_EQ(after->timeout, "t");
  EXPECT_EQ(FindFailpoint(kPoints, "redis.script.before")->armed, "error times=3");
  EXPECT_TRUE(absl::IsNotFound(FindFailpoint(kPoints, "redis").status()));
  for (const char* wrong : {"{}", "[1]", "[", "null"}) {
    EXPECT_TRUE(absl::IsDataLoss(FindFailpoint(wrong, "x").status())) << wrong;
  }
}

TEST(FailpointKindTest, IsOneOfTheServicesFaults) {
  ASSERT_NE(FindFault("ratelimit", "failpoint"), nullptr);
  EXPECT_EQ(FindFault("redis", "failpoint"), nullptr);
}

// A process with the runtime's own adapter, controller and pages, which writes to Redis all the time if it has a load.
class Service : public FaultTarget {
 public:
  Service(int redis_port, bool failpoints, bool load) : redis_port_(redis_port), failpoints_(failpoints), load_(load) {
    EXPECT_TRUE(Restart(true).ok());
  }
  ~Service() override {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  const std::string& name() const override { return name_; }
  const std::string& kind() const override { return name_; }
  pid_t pid() const override { return Ended() ? -1 : pid_; }
  int port(const std::string&) const override { return port_; }
  Look Ask(Nanos timeout) override {
    const absl::Status status = HttpGet("127.0.0.1", port_, "/metrics", timeout).status();
    return status.ok() ? Look::kAnswers : absl::IsDeadlineExceeded(status) ? Look::kSilent : Look::kRefused;
  }
  void ExpectEnd() override { end_expected_ = true; }
  absl::Status Signal(int signal) override {
    return kill(pid_, signal) == 0 ? absl::OkStatus() : absl::UnavailableError("kill failed");
  }
  bool WaitEnd(Nanos) override { return Ended(); }
  absl::Status Restart(bool) override {
    if (!Ended()) return absl::OkStatus();
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
    int ready[2];
    if (pipe(ready) != 0) return absl::UnavailableError("no pipe");
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() == parent) Serve(ready[1]);
      _exit(1);
    }
    close(ready[1]);
    const bool told = read(ready[0], &port_, sizeof(port_)) == sizeof(port_);
    close(ready[0]);
    return told ? absl::OkStatus() : absl::UnavailableError("it did not start");
  }
  bool end_expected() const { return end_expected_; }

 private:
  bool Ended() const {
    const auto figures = pid_ > 0 ? ReadProcess(pid_) : std::nullopt;
    return !figures || figures->state == 'Z';
  }
  // In the child; does not return.
  void Serve(int ready) const {
    async::Loop loop;
    obs::Metrics metrics;
    failpoint::Controller controller(loop, metrics, 1);
    http::Server::Options at;
    at.port = port_;
    http::Server http(loop, at);
    if (failpoints_) app::AddFailpointPages(http, controller);
    http.Handle("GET", "/metrics", [&](const http::Request&, http::Server::Respond respond) {
      respond({200, "text/plain", metrics.Text(), {}});
    });
    redis::Options options;
    options.port = redis_port_;
    options.deadline = Millis(30);
    redis::Client client(loop, options, metrics, &controller);
    boost::asio::steady_timer timer(loop.io());
    std::function<void(const boost::system::error_code&)> tick = [&](const boost::system::error_code&) {
      const std::string_view command[] = {"INCR", "counter"};
      if (load_) client.Command(command, [](const absl::StatusOr<redis::Reply>&) {});
      timer.expires_after(Millis(2));
      timer.async_wait(tick);
    };
    if (!http.Start().ok()) return;
    tick({});
    client.WhenReady([&](const absl::Status&) {
      const int port = http.port();
      if (write(ready, &port, sizeof(port)) != sizeof(port)) _exit(1);
    });
    loop.Run();
  }

  const std::string name_ = "ratelimit";
  const int redis_port_;
  const bool failpoints_, load_;
  int port_ = 0;
  pid_t pid_ = -1;
  bool end_expected_ = false;
};

using Options = std::map<std::string, std::string>;

std::unique_ptr<Fault> Failpoint(FaultTarget& target, const Options& options, Nanos length = std::chrono::minutes(1)) {
  return FindFault("ratelimit", "failpoint")->make({target, options, length});
}

bool Within(Nanos time, const std::function<bool()>& happens) {
  const Clock::time_point end = Clock::now() + time;
  do {
    if (happens()) return true;
    std::this_thread::sleep_for(Millis(3));
  } while (Clock::now() < end);
  return false;
}

constexpr Nanos kPatience = std::chrono::seconds(20);

class FailpointFaultTest : public testing::TestWithParam<Options> {
 protected:
  redis::TestServer redis_;
};

TEST_P(FailpointFaultTest, IsSeenAndHealed) {
  Service service(redis_.port(), true, true);
  const auto fault = Failpoint(service, GetParam());
  const absl::Status prepared = fault->Prepare();
  ASSERT_TRUE(prepared.ok()) << prepared;
  EXPECT_EQ(fault->Seen(), std::nullopt) << "seen before it was there";
  const absl::Status applied = fault->Apply();
  ASSERT_TRUE(applied.ok()) << applied;
  std::optional<std::string> evidence;
  EXPECT_TRUE(Within(kPatience, [&] { return (evidence = fault->Seen()).has_value(); }));
  const bool crash = GetParam().at("action") == "crash";
  EXPECT_THAT(evidence.value_or(""), HasSubstr(crash ? "its process has ended" : "operations met redis.command"));
  EXPECT_EQ(service.end_expected(), crash);
  EXPECT_TRUE(Within(kPatience, [&] { return fault->Heal().ok(); }));
  EXPECT_TRUE(Within(kPatience, [&] { return fault->Healed(); }));
  EXPECT_TRUE(fault->Heal().ok()) << "healing twice";
  EXPECT_TRUE(fault->Healed());
}

TEST_P(FailpointFaultTest, IsNotSeenWhenApplyDoesNothing) {
  Service service(redis_.port(), true, true);
  const auto fault = Failpoint(service, GetParam());
  ASSERT_TRUE(fault->Prepare().ok());
  EXPECT_FALSE(Within(Millis(250), [&] { return fault->Seen().has_value(); }));
  EXPECT_TRUE(fault->Heal().ok());
  EXPECT_TRUE(fault->Healed());
}

TEST_P(FailpointFaultTest, IsNotSeenWhenNobodyComesBy) {
  Service service(redis_.port(), true, false);
  const auto fault = Failpoint(service, GetParam());
  ASSERT_TRUE(fault->Prepare().ok());
  ASSERT_TRUE(fault->Apply().ok());
  EXPECT_FALSE(fault->Healed()) << "it is armed";
  EXPECT_FALSE(Within(Millis(250), [&] { return fault->Seen().has_value(); }));
  EXPECT_TRUE(fault->Heal().ok());
  EXPECT_TRUE(fault->Healed());
}

INSTANTIATE_TEST_SUITE_P(
    Every, FailpointFaultTest,
    testing::Values(Options{{"point", "redis.command.before"}, {"action", "error"}, {"share", "0.5"}},
                    Options{{"point", "redis.command.before"}, {"action", "delay"}, {"delay", "10ms"}},
                    Options{{"point", "redis.command.before"}, {"action", "delay"}, {"delay", "100ms"}},
                    Options{{"point", "redis.command.before"}, {"action", "crash"}},
                    Options{{"point", "redis.command.after"}, {"action", "apply-then-timeout"}, {"times", "30"}},
                    Options{{"point", "redis.command.after"}, {"action", "crash"}, {"operation", "INCR"}}));

TEST(FailpointFaultDeadlineTest, TheServiceEndsItByItself) {
  redis::TestServer redis;
  Service service(redis.port(), true, true);
  const auto fault = Failpoint(service, {{"point", "redis.command.before"}}, Millis(50));
  ASSERT_TRUE(fault->Prepare().ok());
  ASSERT_TRUE(fault->Apply().ok());
  EXPECT_TRUE(Within(kPatience, [&] { return fault->Healed(); })) << "nobody has healed it";
}

TEST(FailpointFaultErrorTest, SaysWhatIsMissing) {
  redis::TestServer redis;
  Service without(redis.port(), false, false);
  const auto off = Failpoint(without, {});
  EXPECT_THAT(std::string(off->Prepare().message()), HasSubstr("set failpoints.enabled: true"));
  Service with(redis.port(), true, false);
  const auto unknown = Failpoint(with, {{"point", "redis.comand.before"}});
  EXPECT_THAT(std::string(unknown->Prepare().message()), HasSubstr("did you mean \"redis.command.before\"?"));
  const auto first = Failpoint(with, {{"point", "redis.command.before"}});
  ASSERT_TRUE(first->Prepare().ok() && first->Apply().ok());
  const auto second = Failpoint(with, {{"point", "redis.command.before"}});
  EXPECT_THAT(std::string(second->Prepare().message()), HasSubstr("is armed already, as \"error"));
  const auto wrong = Failpoint(with, {{"point", "redis.command.after"}});
  ASSERT_TRUE(wrong->Prepare().ok());
  EXPECT_THAT(std::string(wrong->Apply().message()), HasSubstr("takes no error"));
}

}  // namespace
}  // namespace lab::bench
