#include "bench/run/part.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "bench/host/family.h"
#include "bench/run/ports.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr int kPortAttempts = 5;
constexpr Millis kPoll{5};
constexpr Millis kProbe{200};
constexpr std::chrono::seconds kProgram{5};  // a short one of the host's
constexpr off_t kLogBound = 64 << 20;
constexpr off_t kLogKept = 1 << 20;
constexpr std::streamoff kTail = 1500;

}  // namespace

Part::Part(const PartSpec& spec, int replica, const PartKind& kind, Spawner& spawner, Journal& journal)
    : name_(spec.name),
      full_name_(spec.replicas > 1 ? Concat(spec.name, "-", replica) : spec.name),
      kind_name_(kind.name()),
      replica_(replica),
      own_disk_(spec.disk_bytes > 0),
      kind_(kind),
      spawner_(spawner),
      journal_(journal) {}

std::shared_ptr<Process> Part::process() const {
  const std::lock_guard lock(mutex_);
  return process_;
}

pid_t Part::pid() const {
  const std::shared_ptr<Process> now = process();
  return now ? now->pid() : -1;
}

int Part::port(const std::string& name) const {
  const auto found = ports_.find(name);
  return found == ports_.end() ? 0 : found->second;
}

absl::Status Part::Start(LaunchRequest request, const std::string& log, const std::vector<std::string>& environment,
                         Nanos timeout, const std::function<bool()>& interrupted) {
  command_.log = log;
  for (int attempt = 1;; ++attempt) {
    ports_.clear();
    for (const std::string& name : kind_.PortsOf(request.build, request.set)) {
      const absl::StatusOr<int> port = FreePort();
      if (!port.ok()) return port.status();
      ports_[name] = *port;
    }
    request.ports = ports_;
    const absl::Status started = StartOnce(request, environment, timeout, interrupted);
    if (started.ok()) return started;
    // Once it is gone its ports are free, unless somebody else took one between our look and its bind.
    {
      const std::lock_guard lock(mutex_);
      process_.reset();
    }
    EndStrays();
    const bool taken =
        std::any_of(ports_.begin(), ports_.end(), [](const auto& port) { return !PortIsFree(port.second); });
    if (!taken || attempt == kPortAttempts || interrupted()) return started;
  }
}

absl::Status Part::StartOnce(const LaunchRequest& request, const std::vector<std::string>& environment, Nanos timeout,
                             const std::function<bool()>& interrupted) {
  absl::StatusOr<Command> command = kind_.Launch(request);
  if (!command.ok()) return absl::Status(command.status().code(), Concat(full_name_, ": ", command.status().message()));
  command->log = command_.log;
  command->environment = environment;
  command_ = std::move(*command);
  request_.emplace(request);
  request_->tell = nullptr;  // only whoever waits for the start is told
  if (kind_.MakesProcesses()) {
    // They have no marker that stays (a PostgreSQL writes its title over it): the next start knows them by this.
    if (absl::Status written = journal_.Resource("program " + command_.binary); !written.ok()) return written;
  }
  const absl::StatusOr<pid_t> pid = spawner_.Spawn(full_name_, command_);
  if (!pid.ok()) return absl::Status(pid.status().code(), Concat(full_name_, ": ", pid.status().message()));
  const auto process = std::make_shared<Process>(*pid);
  {
    const std::lock_guard lock(mutex_);
    process_ = process;
    expected_ = reported_ = false;
  }
  return AwaitReady(*process, timeout, interrupted);
}

absl::Status Part::AwaitReady(Process& process, Nanos timeout, const std::function<bool()>& interrupted) {
  const Clock::time_point deadline = Clock::now() + timeout;
  for (;;) {
    if (const std::optional<int> status = process.Poll()) {
      return absl::UnavailableError(Concat(full_name_, " ended while it started: ", DescribeEnd(*status), LogTail()));
    }
    if (kind_.Ready(ports_, process.pid(), kProbe)) return absl::OkStatus();
    if (interrupted()) return absl::CancelledError("interrupted");
    if (Clock::now() > deadline) {
      return absl::DeadlineExceededError(Concat(full_name_, " was not ready within ", FormatDuration(timeout),
                                                "; it is when ", kind_.ReadyMeans(ports_), LogTail()));
    }
    std::this_thread::sleep_for(kPoll);
  }
}

std::string Part::LogTail() const {
  std::ifstream log(command_.log, std::ios::binary | std::ios::ate);
  if (!log) return "";
  const std::streamoff size = log.tellg();
  log.seekg(std::max<std::streamoff>(0, size - kTail));
  std::string text{std::istreambuf_iterator<char>(log), {}};
  if (size > kTail) text.erase(0, text.find('\n') + 1);
  return text.empty() ? "; it printed nothing" : Concat("; the end of its log:\n", text);
}

bool Part::Stop(Nanos grace) {
  ExpectEnd();
  const std::shared_ptr<Process> now = process();
  const bool by_itself = !now || now->Stop(grace, kind_.StopSignals());
  if (now) EndStrays();
  return by_itself;
}

void Part::EndStrays() const {
  if (!kind_.MakesProcesses() || !request_) return;
  EndProcessesIn(request_->data_folder, command_.binary);
  kind_.CleanUp(request_->data_folder);
}

std::optional<std::string> Part::UnaskedEnd() {
  const std::shared_ptr<Process> now = process();
  if (!now) return std::nullopt;
  const std::optional<int> status = now->Poll();
  const std::lock_guard lock(mutex_);
  if (!status || expected_ || reported_ || now != process_) return std::nullopt;
  reported_ = true;
  std::string text = Concat(full_name_, " ended unasked: ", DescribeEnd(*status));
  if (WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL) text += "; perhaps the host is out of memory";
  return text;
}

void Part::BoundLog() {
  struct stat info {};
  // Writers append, so they go on at the new end.
  if (stat(command_.log.c_str(), &info) == 0 && info.st_size > kLogBound &&
      truncate(command_.log.c_str(), kLogKept) == 0) {
    std::ofstream(command_.log, std::ios::app) << "\n--- cut here by the runner: the log was larger than 64 MiB ---\n";
  }
}

void Part::ExpectEnd() {
  const std::lock_guard lock(mutex_);
  expected_ = true;
}

absl::Status Part::Signal(int signal) {
  const std::shared_ptr<Process> now = process();
  return now ? now->Signal(signal) : absl::FailedPreconditionError("the process does not run");
}

std::vector<int> Part::ServedPorts() const {
  std::vector<int> ports;
  for (const auto& [name, port] : ports_) ports.push_back(port);
  return ports;
}

absl::StatusOr<std::string> Part::Capture(const std::string& program, std::vector<std::string> arguments) {
  return CaptureOutput(program, std::move(arguments), kProgram);
}

bool Part::WaitEnd(Nanos timeout) {
  const std::shared_ptr<Process> now = process();
  return !now || now->WaitEnd(timeout);
}

absl::Status Part::Restart(bool keep_data) {
  const std::lock_guard one(restarting_);
  const std::shared_ptr<Process> before = process();
  if (before && !before->Poll()) return absl::OkStatus();
  EndStrays();
  if (!keep_data) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(request_->data_folder, error)) {
      std::filesystem::remove_all(entry.path(), error);
    }
    if (absl::Status filled = kind_.FillData(*request_); !filled.ok()) return filled;
  }
  const absl::StatusOr<pid_t> pid = spawner_.Spawn(full_name_, command_);
  if (!pid.ok()) return pid.status();
  const std::lock_guard lock(mutex_);
  process_ = std::make_shared<Process>(*pid);
  expected_ = reported_ = false;
  return absl::OkStatus();
}

}  // namespace lab::bench
