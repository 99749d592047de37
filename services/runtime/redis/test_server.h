#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace lab::redis {

// A real redis-server for tests: on a free loopback port, in a temporary folder, without persistence unless asked for.
// It dies with the thread that started it (PR_SET_PDEATHSIG): call from the main thread. The constructor returns when
// it answers PING, or throws with what it printed.
class TestServer {
 public:
  explicit TestServer(std::vector<std::string> extra_arguments = {});
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  int port() const { return port_; }
  pid_t pid() const { return pid_; }
  void Pause();     // SIGSTOP
  void Continue();  // SIGCONT
  void Kill();      // SIGKILL, waits for the end
  void Start();     // again, on the same port, after Kill; waits for PING
  // One command by a blocking connection of its own; the reply as text (for assertions and for arranging states): an
  // error as the server says it, nil as "(nil)", an array as one line an element. Throws when there is no reply in 5 s.
  std::string Command(const std::vector<std::string>& arguments);

 private:
  std::vector<std::string> arguments_;
  std::string folder_;
  int port_ = 0;
  pid_t pid_ = -1;
  bool paused_ = false;
};

}  // namespace lab::redis
