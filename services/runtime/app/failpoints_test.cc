#include "services/runtime/app/failpoints.h"

#include <boost/asio/ip/tcp.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::app {
namespace {

using failpoint::Point;
using failpoint::Side;
using nlohmann::json;
using ::testing::HasSubstr;

const Point kBefore("app_test.act.before", "app_test", Side::kBefore, "a test would act");
const Point kAfter("app_test.act.after", "app_test", Side::kAfter, "a test has acted");

class FailpointFieldsTest : public ::testing::Test {
 protected:
  FailpointFieldsTest() { settings_.Declare(schema_); }
  FailpointSettings settings_;
  Schema schema_;
};

TEST_F(FailpointFieldsTest, EveryPointIsAFieldReadStrictly) {
  const absl::Status status = schema_.Parse(
      "failpoints:\n"
      "  enabled: true\n"
      "  app_test.act.before: error share=2\n"
      "  app_test.act.aftr: crash\n"
      "  app_test.act.after: error\n",
      "x.yaml");
  const std::string errors(status.message());
  EXPECT_THAT(errors, HasSubstr("x.yaml:3: failpoints.app_test.act.before: share must be above 0"));
  EXPECT_THAT(errors, HasSubstr("x.yaml:4: failpoints.app_test.act.aftr: unknown field; did you mean"));
  EXPECT_THAT(errors, HasSubstr("x.yaml:5: failpoints.app_test.act.after: app_test.act.after takes no error"));
}

TEST_F(FailpointFieldsTest, WhatIsSetIsArmedAndPrintedBack) {
  ASSERT_TRUE(schema_.Parse("failpoints.enabled: true\nfailpoints.app_test.act.before: error  times=2\n", "x").ok());
  EXPECT_TRUE(settings_.Check("127.0.0.1").ok());
  EXPECT_THAT(schema_.CurrentYaml(), HasSubstr("before: \"error times=2\"\n"));
  async::Loop loop;
  obs::Metrics metrics;
  failpoint::Controller controller(loop, metrics, 1);
  settings_.Arm(controller);
  EXPECT_TRUE(controller.armed(kBefore));
  EXPECT_FALSE(controller.armed(kAfter));
}

TEST_F(FailpointFieldsTest, NotOffAndNotBeyondLoopback) {
  ASSERT_TRUE(schema_.Set("failpoints.app_test.act.before", "crash").ok());
  EXPECT_THAT(std::string(settings_.Check("127.0.0.1").message()), HasSubstr("but failpoints.enabled is false"));
  ASSERT_TRUE(schema_.Set("failpoints.enabled", "true").ok());
  EXPECT_TRUE(settings_.Check("localhost").ok());
  EXPECT_THAT(std::string(settings_.Check("0.0.0.0").message()), HasSubstr("set http.host to 127.0.0.1"));
  EXPECT_FALSE(settings_.Check("192.168.1.1").ok());
}

// The pages, on a server of their own.
class FailpointPagesTest : public ::testing::Test {
 protected:
  FailpointPagesTest() {
    AddFailpointPages(http_, controller_);
    EXPECT_TRUE(http_.Start().ok());
    thread_ = std::thread([this] { loop_.Run(); });
  }
  ~FailpointPagesTest() override {
    loop_.Stop();
    thread_.join();
  }
  std::string Ask(std::string_view method, std::string_view target, std::string_view header = "") {
    namespace asio = boost::asio;
    asio::io_context io;
    asio::ip::tcp::socket socket(io);
    socket.connect({asio::ip::address_v4::loopback(), static_cast<uint16_t>(http_.port())});
    const std::string request =
        Concat(method, " ", target, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", header, "\r\n");
    socket.send(asio::buffer(request));
    std::string answer;
    boost::system::error_code error;
    for (char buffer[4096]; !error;) {
      answer.append(buffer, socket.receive(asio::buffer(buffer), 0, error));
    }
    return answer;
  }
  static json Body(const std::string& answer) { return json::parse(answer.substr(answer.find("\r\n\r\n") + 4)); }

  async::Loop loop_;
  obs::Metrics metrics_;
  http::Server http_{loop_, {}};
  failpoint::Controller controller_{loop_, metrics_, 1};
  std::thread thread_;
};

TEST_F(FailpointPagesTest, ArmShowDisarm) {
  EXPECT_EQ(Body(Ask("GET", "/failpoints")).size(), failpoint::AllPoints().size());
  const json armed = Body(Ask("PUT", "/failpoints/app_test.act.before?action=delay&delay=20ms&for=1m"));
  EXPECT_EQ(armed["armed"], "delay delay=20ms for=1m");
  EXPECT_EQ(armed["name"], "app_test.act.before");
  EXPECT_EQ(armed["hits"], 0);
  EXPECT_EQ(Body(Ask("GET", "/failpoints/app_test.act.before")), armed);
  EXPECT_TRUE(Body(Ask("DELETE", "/failpoints/app_test.act.before"))["armed"].is_null());
  EXPECT_THAT(Ask("DELETE", "/failpoints/app_test.act.before"), HasSubstr("200 OK")) << "twice";
}

TEST_F(FailpointPagesTest, SaysWhatIsWrong) {
  EXPECT_THAT(Ask("PUT", "/failpoints/app_test.act.befor?action=crash"),
              AllOf(HasSubstr("404"), HasSubstr("did you mean")));
  EXPECT_THAT(Ask("PUT", "/failpoints/app_test.act.before?action=crush"),
              AllOf(HasSubstr("400"), HasSubstr("did you mean")));
  EXPECT_THAT(Ask("PUT", "/failpoints/app_test.act.before"), HasSubstr("400"));
  EXPECT_THAT(Ask("POST", "/failpoints/app_test.act.before"), HasSubstr("405"));
  EXPECT_THAT(Ask("PUT", "/failpoints/app_test.act.before?action=crash", "Origin: http://evil.example\r\n"),
              HasSubstr("403"));
  EXPECT_TRUE(Body(Ask("GET", "/failpoints/app_test.act.before"))["armed"].is_null());
}

}  // namespace
}  // namespace lab::app
