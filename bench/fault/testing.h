#pragma once

#include <unistd.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "bench/fault/host_access.h"
#include "bench/fault/target.h"
#include "bench/observe/process_figures.h"
#include "bench/observe/resp.h"
#include "services/runtime/redis/test_server.h"

namespace lab::bench {

// A real Redis as a fault's target, for tests. Restart only on the thread that made it: the server dies with that
// thread.
class RedisTarget : public FaultTarget, public HostAccess {
 public:
  explicit RedisTarget(std::vector<std::string> arguments = {}) : server_(std::move(arguments)) {}
  redis::TestServer& server() { return server_; }
  bool end_expected() const { return end_expected_; }
  const std::vector<std::string>& written() const { return written_; }
  uint64_t oom_kills() const { return oom_kills_; }

  const std::string& name() const override { return name_; }
  const std::string& kind() const override { return name_; }
  pid_t pid() const override { return Ended() ? -1 : server_.pid(); }
  int port(const std::string&) const override { return server_.port(); }
  Look Ask(Nanos timeout) override {
    RespConnection connection("127.0.0.1", server_.port());
    const absl::Status status = connection.Command({"PING"}, timeout).status();
    return status.ok() ? Look::kAnswers : absl::IsDeadlineExceeded(status) ? Look::kSilent : Look::kRefused;
  }
  void ExpectEnd() override { end_expected_ = true; }
  absl::Status Signal(int signal) override {
    return kill(server_.pid(), signal) == 0 ? absl::OkStatus() : absl::UnavailableError("kill failed");
  }
  bool WaitEnd(Nanos timeout) override {
    const Clock::time_point end = Clock::now() + timeout;
    while (!Ended() && Clock::now() < end) usleep(1000);
    return Ended();
  }
  absl::Status Restart(bool) override {
    if (!Ended()) return absl::OkStatus();
    server_.Kill();  // waits for what has ended
    server_.Start();
    return absl::OkStatus();
  }
  HostAccess* host() override { return this; }
  std::string OwnName() const override { return "lab-test-" + std::to_string(getpid()) + "-redis"; }
  absl::Status WriteDown(const std::string& line) override {
    written_.push_back(line);
    return absl::OkStatus();
  }
  void OwnOomKills(uint64_t count) override { oom_kills_ += count; }
  std::string OwnDisk() const override { return ""; }
  std::vector<int> ServedPorts() const override { return {server_.port()}; }
  absl::StatusOr<std::string> Capture(const std::string&, std::vector<std::string>) override {
    return absl::UnimplementedError("no programs in this test");
  }

 private:
  bool Ended() const {
    const auto figures = ReadProcess(server_.pid());
    return !figures || figures->state == 'Z';
  }

  const std::string name_ = "redis";
  redis::TestServer server_;
  bool end_expected_ = false;
  std::vector<std::string> written_;
  uint64_t oom_kills_ = 0;
};

}  // namespace lab::bench
