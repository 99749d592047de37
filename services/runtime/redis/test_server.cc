#include "services/runtime/redis/test_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

namespace lab::redis {
namespace {

using std::chrono::milliseconds;

constexpr int kPortAttempts = 20;
constexpr milliseconds kStartTimeout{10'000};
constexpr milliseconds kPoll{2};
// A server in cluster mode also listens on its port + 10000.
constexpr int kHighestPort = 55'000;

using ContextPtr = std::unique_ptr<redisContext, decltype(&redisFree)>;
using ReplyPtr = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;

// Debian's redis-server is a link to redis-check-rdb, which looks at argv[0] to know what it is. The package with that
// file alone (redis-tools) starts no service when it is installed.
const char* Binary() {
  return access("/usr/bin/redis-server", X_OK) == 0 ? "/usr/bin/redis-server" : "/usr/bin/redis-check-rdb";
}

int FreePort() {
  for (int attempt = 0; attempt < kPortAttempts * 10; ++attempt) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    const bool bound = fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    if (fd >= 0) close(fd);
    if (!bound) break;
    if (ntohs(address.sin_port) < kHighestPort) return ntohs(address.sin_port);
  }
  throw std::runtime_error("no free loopback port below " + std::to_string(kHighestPort));
}

std::string LogText(const std::string& folder) {
  std::ifstream file(folder + "/redis.log");
  return {std::istreambuf_iterator<char>(file), {}};
}

pid_t Spawn(const std::string& folder, std::vector<std::string> arguments) {
  // Everything is made before the fork: between fork and exec only async-signal-safe calls are allowed.
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const char* binary = Binary();
  const int log = open((folder + "/redis.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(126);  // the parent died before the line above
    if (log >= 0) {
      dup2(log, STDOUT_FILENO);
      dup2(log, STDERR_FILENO);
    }
    execv(binary, argv.data());
    _exit(127);
  }
  if (log >= 0) close(log);
  if (pid < 0) throw std::runtime_error("fork failed");
  return pid;
}

bool Exited(pid_t pid) {
  int status = 0;
  return waitpid(pid, &status, WNOHANG) == pid;
}

std::string Text(const redisReply* reply) {
  switch (reply->type) {
    case REDIS_REPLY_NIL:
      return "(nil)";
    case REDIS_REPLY_INTEGER:
      return std::to_string(reply->integer);
    case REDIS_REPLY_ARRAY: {
      std::string text;
      for (size_t i = 0; i < reply->elements; ++i) {
        if (i > 0) text += '\n';
        text += Text(reply->element[i]);
      }
      return text;
    }
    default:
      return std::string(reply->str, reply->len);
  }
}

// Whether the server answers at all: an error reply to PING (no password given, loading) is an answer.
bool Answers(int port) {
  const timeval timeout{0, 200'000};
  const ContextPtr context(redisConnectWithTimeout("127.0.0.1", port, timeout), &redisFree);
  if (context == nullptr || context->err != 0) return false;
  redisSetTimeout(context.get(), timeout);
  const ReplyPtr reply(static_cast<redisReply*>(redisCommand(context.get(), "PING")), &freeReplyObject);
  return reply != nullptr &&
         (reply->type != REDIS_REPLY_ERROR || std::string_view(reply->str).substr(0, 6) == "NOAUTH");
}

}  // namespace

TestServer::TestServer(std::vector<std::string> extra_arguments) : arguments_(std::move(extra_arguments)) {
  std::string folder = (std::filesystem::temp_directory_path() / "lab-redis-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("cannot make a folder like " + folder);
  folder_ = folder;
  try {
    // Another process may take the port between its choice and the server's bind.
    for (int attempt = 1;; ++attempt) {
      port_ = FreePort();
      try {
        Start();
        return;
      } catch (const std::runtime_error&) {
        if (attempt == kPortAttempts || LogText(folder_).find("Address already in use") == std::string::npos) throw;
        std::filesystem::remove(folder_ + "/redis.log");
      }
    }
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    throw;
  }
}

TestServer::~TestServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void TestServer::Start() {
  if (pid_ > 0) return;
  std::vector<std::string> arguments = {
      "redis-server", "--port", std::to_string(port_), "--bind", "127.0.0.1", "--dir", folder_, "--daemonize", "no",
      "--logfile",    "",       "--appendonly",        "no",     "--save",    ""};
  arguments.insert(arguments.end(), arguments_.begin(), arguments_.end());
  pid_ = Spawn(folder_, std::move(arguments));
  const auto give_up = std::chrono::steady_clock::now() + kStartTimeout;
  while (!Exited(pid_)) {
    // Without its own log line the PING might be answered by another server that took the port.
    if (LogText(folder_).find("Ready to accept connections") != std::string::npos && Answers(port_)) return;
    if (std::chrono::steady_clock::now() > give_up) {
      Kill();
      throw std::runtime_error("redis-server did not answer PING in time; it printed:\n" + LogText(folder_));
    }
    std::this_thread::sleep_for(kPoll);
  }
  pid_ = -1;
  throw std::runtime_error("redis-server ended at once; it printed:\n" + LogText(folder_));
}

void TestServer::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  paused_ = false;
  std::error_code ignored;  // so that the next start does not find the old "Ready"
  std::filesystem::remove(folder_ + "/redis.log", ignored);
}

void TestServer::Pause() {
  if (pid_ <= 0 || paused_) return;
  kill(pid_, SIGSTOP);
  paused_ = true;
  // The signal is sent, not yet obeyed: wait until the process has stopped.
  while (waitpid(pid_, nullptr, WUNTRACED) < 0 && errno == EINTR) {
  }
}

void TestServer::Continue() {
  if (pid_ > 0) kill(pid_, SIGCONT);
  paused_ = false;
}

std::string TestServer::Command(const std::vector<std::string>& arguments) {
  const timeval timeout{5, 0};
  const ContextPtr context(redisConnectWithTimeout("127.0.0.1", port_, timeout), &redisFree);
  if (context == nullptr || context->err != 0) throw std::runtime_error("cannot connect to the test server");
  redisSetTimeout(context.get(), timeout);
  std::vector<const char*> argv;
  std::vector<size_t> sizes;
  for (const std::string& argument : arguments) {
    argv.push_back(argument.data());
    sizes.push_back(argument.size());
  }
  const ReplyPtr reply(static_cast<redisReply*>(
                           redisCommandArgv(context.get(), static_cast<int>(argv.size()), argv.data(), sizes.data())),
                       &freeReplyObject);
  if (reply == nullptr) throw std::runtime_error(std::string("no reply from the test server: ") + context->errstr);
  return Text(reply.get());
}

}  // namespace lab::redis
