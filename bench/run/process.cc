#include "bench/run/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kPoll{2};
constexpr size_t kMaxOutput = 4 << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Close(); }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read, write;
  bool Open() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    read = Descriptor(ends[0]);
    write = Descriptor(ends[1]);
    return true;
  }
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// All that a child needs, made before the fork: between fork and exec only async-signal-safe calls are allowed.
struct ChildPlan {
  const char* binary;
  char* const* arguments;
  char* const* environment;
  const char* folder;
  int input, output;
  int go, go_writer, error;  // go: -1 when there is nothing to wait for
  pid_t parent;
  int cpu;  // -1: any
};

bool PinTo(int cpu) {
  if (cpu < 0) return true;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  return sched_setaffinity(0, sizeof(set), &set) == 0;
}

[[noreturn]] void RunChild(const ChildPlan& plan) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan.parent) _exit(126);  // the parent died before the line above
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);  // what is ignored stays ignored over exec
  if (plan.go >= 0) {
    close(plan.go_writer);
    char byte = 0;
    if (read(plan.go, &byte, 1) != 1) _exit(126);
  }
  dup2(plan.input, STDIN_FILENO);
  dup2(plan.output, STDOUT_FILENO);
  dup2(plan.output, STDERR_FILENO);
  if (chdir(plan.folder) == 0 && PinTo(plan.cpu)) {
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    execve(plan.binary, plan.arguments, plan.environment);
  }
  const int error = errno;
  if (write(plan.error, &error, sizeof(error)) < 0) _exit(127);
  _exit(127);
}

absl::Status Failed(const char* what, int error) {
  return absl::UnavailableError(Concat(what, ": ", std::strerror(error)));
}

}  // namespace

std::vector<std::string> CleanEnvironment() {
  std::vector<std::string> kept;
  for (const char* name :
       {"PATH", "HOME", "LANG", "TZ", "OTEL_EXPORTER_OTLP_ENDPOINT", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) kept.push_back(Concat(name, "=", value));
  }
  return kept;
}

std::string DescribeEnd(int status) {
  if (WIFEXITED(status)) return Concat("exit status ", WEXITSTATUS(status));
  if (WIFSIGNALED(status)) return Concat("signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
  return Concat("wait status ", status);
}

struct Spawner::Order {
  const std::string& name;
  const Command& command;
  absl::StatusOr<pid_t> result = absl::UnknownError("not done");
  bool done = false;
};

Spawner::Spawner(Born born) : born_(std::move(born)), thread_([this] { Run(); }) {}

Spawner::~Spawner() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

absl::StatusOr<pid_t> Spawner::Spawn(const std::string& name, const Command& command) {
  Order order{name, command};
  std::unique_lock lock(mutex_);
  orders_.push_back(&order);
  wake_.notify_all();
  wake_.wait(lock, [&] { return order.done; });
  return order.result;
}

void Spawner::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !orders_.empty(); });
    if (orders_.empty()) return;
    Order* const order = orders_.front();
    orders_.pop_front();
    lock.unlock();
    absl::StatusOr<pid_t> result = Fork(order->name, order->command);
    lock.lock();
    order->result = std::move(result);
    order->done = true;
    wake_.notify_all();
  }
}

absl::StatusOr<pid_t> Spawner::Fork(const std::string& name, const Command& command) {
  const Descriptor input(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Descriptor log(open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (log.get() < 0) return Failed(command.log.c_str(), errno);
  Pipe go, error;
  if (!go.Open() || !error.Open()) return Failed("pipe", errno);
  const std::vector<char*> arguments = Pointers(command.arguments);
  const std::vector<char*> environment = Pointers(command.environment);
  const ChildPlan plan{command.binary.c_str(),
                       arguments.data(),
                       environment.data(),
                       command.folder.c_str(),
                       input.get(),
                       log.get(),
                       go.read.get(),
                       go.write.get(),
                       error.write.get(),
                       getpid(),
                       command.cpu};
  const pid_t pid = fork();
  if (pid == 0) RunChild(plan);
  if (pid < 0) return Failed("fork", errno);
  setpgid(pid, pid);  // both sides set it, so that it holds for both from here on
  error.write.Close();
  const auto end_child = [pid] {
    kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  };
  if (absl::Status written = born_ ? born_(pid, name) : absl::OkStatus(); !written.ok()) {
    end_child();
    return written;
  }
  if (write(go.write.get(), "g", 1) != 1) {
    end_child();
    return Failed("the child ended before it executed anything", errno);
  }
  int exec_error = 0;
  ssize_t size = 0;
  while ((size = read(error.read.get(), &exec_error, sizeof(exec_error))) < 0 && errno == EINTR) {
  }
  if (size == 0) return pid;
  end_child();
  return absl::NotFoundError(Concat("cannot execute ", command.binary, ": ", std::strerror(exec_error)));
}

Process::~Process() {
  (void)Signal(SIGKILL);
  WaitEnd(std::chrono::seconds(5));
}

pid_t Process::pid() const {
  const std::lock_guard lock(mutex_);
  return status_ ? -1 : pid_;
}

std::optional<int> Process::Poll() {
  const std::lock_guard lock(mutex_);
  if (status_) return status_;
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0) {
    return std::nullopt;
  }
  // Its number is not free before it is waited for: nobody else's group can have it yet.
  kill(-pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = status;
  return status_;
}

bool Process::WaitEnd(Nanos timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  while (!Poll()) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

absl::Status Process::Signal(int signal) {
  const std::lock_guard lock(mutex_);
  if (status_) return absl::FailedPreconditionError("the process has ended");
  if (kill(-pid_, signal) != 0) return Failed("kill", errno);
  return absl::OkStatus();
}

bool Process::Stop(Nanos grace) {
  (void)Signal(SIGCONT);
  (void)Signal(SIGTERM);
  if (WaitEnd(grace)) return true;
  (void)Signal(SIGKILL);
  WaitEnd(std::chrono::seconds(5));
  return false;
}

absl::StatusOr<std::string> CaptureOutput(const std::string& binary, std::vector<std::string> arguments,
                                          Nanos timeout) {
  Pipe output, error;
  if (!output.Open() || !error.Open()) return Failed("pipe", errno);
  const Descriptor input(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<std::string> environment_texts = CleanEnvironment();
  const std::vector<char*> argument_pointers = Pointers(arguments);
  const std::vector<char*> environment = Pointers(environment_texts);
  const ChildPlan plan{binary.c_str(),
                       argument_pointers.data(),
                       environment.data(),
                       "/",
                       input.get(),
                       output.write.get(),
                       -1,
                       -1,
                       error.write.get(),
                       getpid(),
                       -1};
  const pid_t pid = fork();
  if (pid == 0) RunChild(plan);
  if (pid < 0) return Failed("fork", errno);
  setpgid(pid, pid);
  output.write.Close();
  error.write.Close();
  Process process(pid);
  int exec_error = 0;
  if (read(error.read.get(), &exec_error, sizeof(exec_error)) > 0) {
    return absl::NotFoundError(Concat("cannot execute ", binary, ": ", std::strerror(exec_error)));
  }
  std::string text;
  std::array<char, 16 << 10> buffer;
  const Clock::time_point deadline = Clock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::ceil<Millis>(deadline - Clock::now()).count();
    pollfd entry{output.read.get(), POLLIN, 0};
    if (left <= 0 || text.size() > kMaxOutput || poll(&entry, 1, static_cast<int>(left)) == 0) {
      return absl::DeadlineExceededError(Concat(binary, " did not end in time, or printed too much"));
    }
    const ssize_t size = read(output.read.get(), buffer.data(), buffer.size());
    if (size == 0) break;
    if (size > 0) text.append(buffer.data(), static_cast<size_t>(size));
  }
  if (!process.WaitEnd(deadline - Clock::now())) return absl::DeadlineExceededError(Concat(binary, " did not end"));
  if (*process.Poll() != 0) {
    return absl::FailedPreconditionError(Concat(binary, ": ", DescribeEnd(*process.Poll()), ": ", text.substr(0, 500)));
  }
  return text;
}

}  // namespace lab::bench
