#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "bench/load/generator.h"
#include "bench/load/testing/load_options.h"

namespace lab::bench {
namespace {

using testing::HasSubstr;

constexpr char kTarget[] = "ratelimit.grpc";

class ConnectTest : public testing::Test {
 protected:
  // A port that is bound, and listened on or not.
  explicit ConnectTest(bool listens = false) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    if (listens) {
      EXPECT_EQ(listen(fd_, 16), 0);
    }
    endpoint_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~ConnectTest() override { close(fd_); }

  absl::Status Connect(const Generator::Options& options) { return Generator(options).Connect(); }
  Generator::Options Options() { return TestOptions(kTarget, endpoint_, 100, 1); }

  int fd_;
  std::string endpoint_;
};

TEST_F(ConnectTest, NamesTheEndpointThatIsNotThere) {
  const absl::Status status = Connect(Options());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(endpoint_ + ": Connection refused"));
}

TEST_F(ConnectTest, RefusesLoadsThatCannotBe) {
  Generator::Options options = Options();
  options.endpoints.clear();
  EXPECT_THAT(std::string(Connect(options).message()), HasSubstr("no endpoint for target ratelimit.grpc"));
  options = Options();
  options.endpoints[kTarget] = {"127.0.0.1"};
  EXPECT_THAT(std::string(Connect(options).message()), HasSubstr("is no endpoint"));
  options = Options();
  options.loads[0].target = "ratelimit.gprc";
  EXPECT_THAT(std::string(Connect(options).message()), HasSubstr("did you mean"));
  options = Options();
  options.loads[0].request.clear();
  EXPECT_THAT(std::string(Connect(options).message()), HasSubstr("load \"main\": domain: is needed"));
  options = Options();
  options.max_ops = 99;
  EXPECT_EQ(Connect(options).code(), absl::StatusCode::kResourceExhausted);
}

class SilentPortTest : public ConnectTest {
 protected:
  SilentPortTest() : ConnectTest(true) {}
};

TEST_F(SilentPortTest, SaysThatNobodySpeaksHttp2) {
  const absl::Status status = Connect(Options());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no HTTP/2 answer"));
}

}  // namespace
}  // namespace lab::bench
