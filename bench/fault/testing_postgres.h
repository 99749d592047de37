#pragma once

#include <unistd.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "bench/fault/host_access.h"
#include "bench/fault/target.h"
#include "bench/observe/pg_wire.h"
#include "bench/observe/process_figures.h"
#include "services/runtime/pg/test_server.h"

namespace lab::bench {

// A real PostgreSQL as a fault's target, for tests. Restart only on the thread that made it: the server dies with that
// thread.
class PostgresTarget : public FaultTarget, public HostAccess {
 public:
  explicit PostgresTarget(std::vector<std::string> settings = {}) : server_(std::move(settings)) {}
  pg::TestServer& server() { return server_; }

  const std::string& name() const override { return name_; }
  const std::string& kind() const override { return name_; }
  pid_t pid() const override { return Ended() ? -1 : server_.pid(); }
  int port(const std::string& name) const override { return name == "postgres" ? server_.port() : 0; }
  Look Ask(Nanos timeout) override {
    PgConnection connection("127.0.0.1", server_.port());
    const absl::Status status = connection.Query("SELECT 1", timeout).status();
    if (absl::IsUnavailable(status)) return Look::kRefused;
    return absl::IsDeadlineExceeded(status) ? Look::kSilent : Look::kAnswers;
  }
  void ExpectEnd() override {}
  int end_signal() const override { return SIGINT; }
  absl::Status Signal(int signal) override {
    if (signal != end_signal()) {
      server_.Signal(signal);
      return absl::OkStatus();
    }
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
  std::string OwnName() const override { return "lab-test-" + std::to_string(getpid()) + "-postgres"; }
  absl::Status WriteDown(const std::string&) override { return absl::OkStatus(); }
  void OwnOomKills(uint64_t) override {}
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

  const std::string name_ = "postgres";
  pg::TestServer server_;
};

}  // namespace lab::bench
