#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/labfile/lab.h"
#include "bench/observe/process_figures.h"
#include "bench/run/process.h"
#include "services/runtime/base/temporary_folder.h"

// Helpers of the tests of this folder.
namespace lab::bench {

inline bool Eventually(const std::function<bool()>& happens, Nanos time = std::chrono::seconds(10)) {
  const Clock::time_point end = Clock::now() + time;
  do {
    if (happens()) return true;
    std::this_thread::sleep_for(Millis(2));
  } while (Clock::now() < end);
  return false;
}

inline bool Alive(pid_t pid) {
  const auto figures = ReadProcess(pid);
  return figures && figures->state != 'Z';
}

inline Command Shell(const std::string& script, const TemporaryFolder& folder,
                     std::vector<std::string> environment = {}) {
  environment.push_back("PATH=/usr/bin:/bin");
  return {"/bin/sh", {"sh", "-c", script}, std::move(environment), folder.path(), folder.path() + "/log"};
}

// A lab of a Redis, a stand-in for the rate limiter (testing_service.py) and 100 requests a second; phases and faults
// are the test's.
inline Lab TinyLab() {
  Lab lab;
  lab.name = "tiny";
  PartSpec redis, service;
  redis.name = redis.kind = "redis";
  service.name = service.kind = "ratelimit";
  service.set = {{"binary", (std::filesystem::path(__FILE__).parent_path() / "testing_service.py").string()},
                 {"rules.path", "@rules.yaml"}};
  service.files = {{"rules.yaml", "domain: tiny\n"}};
  lab.system = {redis, service};
  VariantSpec first, second;
  first.name = "first";
  second.name = "second";
  second.set["ratelimit"]["answer"] = "429";
  lab.variants = {first, second};
  LoadSpec load;
  load.name = "main";
  load.target = "ratelimit.http";
  load.arrivals = Arrivals::kConstant;
  load.rate.per_s = 100;
  load.keys.count = 4;
  load.timeout = Millis(500);
  load.request = {{"domain", "tiny"}, {"key", "tenant"}};
  lab.load = {load};
  return lab;
}

class Listener {
 public:
  explicit Listener(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 || listen(fd_, 1) != 0) {
      throw std::runtime_error("cannot listen");
    }
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  int fd_;
};

}  // namespace lab::bench
