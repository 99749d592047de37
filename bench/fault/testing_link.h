#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "bench/fault/target.h"
#include "bench/observe/http_get.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

// The link to a part that is a `Base` (testing.h, testing_postgres.h): its port leads through a fault_proxy of its own,
// which dies with the test.
template <typename Base>
class LinkTarget : public Base {
 public:
  // `answers`: whether what is behind this port answers a question within the time.
  using Answers = bool (*)(int port, Nanos timeout);
  LinkTarget(std::string port_name, Answers answers) : port_name_(std::move(port_name)), answers_(answers) {
    config_ = (std::filesystem::temp_directory_path() / Concat("lab-link-test-", getpid(), ".json")).string();
    std::ofstream(config_) << R"([{"name": ")" << port_name_ << R"(", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:)"
                           << this->server().port() << "\"}]\n";
    int output[2];
    if (pipe(output) != 0) throw std::runtime_error("no pipe");
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(output[1], STDERR_FILENO);
      execl(FAULT_PROXY, "fault_proxy", "--port", "0", "--seed", "1", "--config", config_.c_str(), nullptr);
      _exit(127);
    }
    close(output[1]);
    output_ = output[0];
    api_ = NumberBehind(ReadLine(), "\"http_port\":");
    const absl::StatusOr<HttpAnswer> proxies = HttpGet("127.0.0.1", api_, "/proxies", std::chrono::seconds(10));
    if (!proxies.ok()) throw std::runtime_error(proxies.status().ToString());
    behind_ = NumberBehind(proxies->body, "\"listen\":\"127.0.0.1:");
  }
  ~LinkTarget() override {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(output_);
    std::filesystem::remove(config_);
  }
  const std::string& kind() const override { return kind_; }
  int port(const std::string& name) const override { return name == "api" ? api_ : name == port_name_ ? behind_ : 0; }
  Look Ask(Nanos timeout) override { return answers_(behind_, timeout) ? Look::kAnswers : Look::kRefused; }

 private:
  static int NumberBehind(const std::string& text, const std::string& name) {
    const size_t at = text.find(name);
    if (at == std::string::npos) throw std::runtime_error(Concat("no ", name, " in: ", text));
    return std::atoi(text.c_str() + at + name.size());
  }
  std::string ReadLine() const {
    std::string line;
    for (char c = 0; read(output_, &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }

  const std::string kind_ = "link", port_name_;
  const Answers answers_;
  std::string config_;
  pid_t pid_ = -1;
  int output_ = -1, api_ = 0, behind_ = 0;
};

}  // namespace lab::bench
