#include "bench/run/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "bench/host/family.h"
#include "bench/observe/process_figures.h"
#include "bench/run/child.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kPoll{2};
constexpr Millis kStopped{100};  // for SIGSTOP to take effect
constexpr std::chrono::seconds kNextSignal{1};
constexpr size_t kMaxOutput = 4 << 20;

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
  const Descriptor input(OpenInput(command));
  if (input.get() < 0) return Failed(command.input.c_str(), errno);
  const Descriptor held(OpenHeld(command));
  if (held.get() < 0 && !command.held.empty()) return Failed(command.held.c_str(), errno);
  const Descriptor log(open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (log.get() < 0) return Failed(command.log.c_str(), errno);
  Pipe go, error;
  if (!go.Open() || !error.Open()) return Failed("pipe", errno);
  const PlanTexts texts(command);
  ChildPlan plan = PlanOf(command, texts);
  plan.input = input.get();
  plan.held = held.get();
  plan.output = log.get();
  plan.go = go.read.get();
  plan.go_writer = go.write.get();
  plan.error = error.write.get();
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
  return ExecFailure(command, exec_error);
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
  if (signal == SIGSTOP || signal == SIGCONT || signal == SIGKILL) return SignalFamily(signal);
  if (kill(-pid_, signal) != 0) return Failed("kill", errno);
  return absl::OkStatus();
}

// It is stopped first, so that it makes no more while the others are told, and goes on, or ends, last.
absl::Status Process::SignalFamily(int signal) {
  if (FamilyOf(pid_).size() > 1) {
    if (kill(-pid_, SIGSTOP) != 0) return Failed("kill", errno);
    const Clock::time_point give_up = Clock::now() + kStopped;
    for (auto now = ReadProcess(pid_); now && now->state != 'T' && now->state != 'Z'; now = ReadProcess(pid_)) {
      if (Clock::now() > give_up) break;
      std::this_thread::sleep_for(Micros(100));
    }
    for (const pid_t member : FamilyOf(pid_)) {
      if (member != pid_) (void)kill(member, signal);
    }
  }
  return kill(-pid_, signal) == 0 ? absl::OkStatus() : Failed("kill", errno);
}

bool Process::Stop(Nanos grace, const std::vector<int>& signals) {
  (void)Signal(SIGCONT);
  for (const int signal : signals) {
    (void)Signal(signal);
    if (WaitEnd(signal == signals.front() ? grace : Nanos(kNextSignal))) return true;
  }
  (void)Signal(SIGKILL);
  WaitEnd(std::chrono::seconds(5));
  return false;
}

absl::StatusOr<std::string> CaptureOutput(const std::string& binary, std::vector<std::string> arguments,
                                          Nanos timeout) {
  Command command;
  command.binary = binary;
  command.arguments = std::move(arguments);
  command.environment = CleanEnvironment();
  command.folder = std::string("/");
  return CaptureOutput(command, timeout);
}

absl::StatusOr<std::string> CaptureOutput(const Command& command, Nanos timeout) {
  const std::string& binary = command.binary;
  Pipe output, error;
  if (!output.Open() || !error.Open()) return Failed("pipe", errno);
  const Descriptor input(OpenInput(command));
  if (input.get() < 0) return Failed(command.input.c_str(), errno);
  const Descriptor held(OpenHeld(command));
  if (held.get() < 0 && !command.held.empty()) return Failed(command.held.c_str(), errno);
  const PlanTexts texts(command);
  ChildPlan plan = PlanOf(command, texts);
  plan.cpu = -1;
  plan.input = input.get();
  plan.held = held.get();
  plan.output = output.write.get();
  plan.error = error.write.get();
  const pid_t pid = fork();
  if (pid == 0) RunChild(plan);
  if (pid < 0) return Failed("fork", errno);
  setpgid(pid, pid);
  output.write.Close();
  error.write.Close();
  Process process(pid);
  int exec_error = 0;
  if (read(error.read.get(), &exec_error, sizeof(exec_error)) > 0) {
    return ExecFailure(command, exec_error);
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
