#include "bench/live/detach.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "services/runtime/base/text.h"

namespace lab::bench::live {
namespace {

// Between fork and exec: only what is async-signal-safe.
[[noreturn]] void Become(const char* binary, char* const* arguments, int input, int output, int report, int error) {
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  dup2(report, kReportDescriptor);  // the copy stays open over exec
  execv(binary, arguments);
  const int failure = errno;
  if (write(error, &failure, sizeof(failure)) < 0) _exit(127);
  _exit(127);
}

}  // namespace

absl::StatusOr<Detached> StartDetached(const std::string& binary, const std::vector<std::string>& arguments,
                                       const std::string& log) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  // Above kReportDescriptor, so that moving the report there closes none of them.
  const auto high = [](int fd) {
    const int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, kReportDescriptor + 1);
    if (fd >= 0) close(fd);
    return moved;
  };
  std::array<int, 2> reports{-1, -1}, errors{-1, -1};
  const int input = high(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int output = high(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  const int output_error = errno;
  if (pipe2(reports.data(), O_CLOEXEC) == 0) reports = {high(reports[0]), high(reports[1])};
  if (pipe2(errors.data(), O_CLOEXEC) == 0) errors = {high(errors[0]), high(errors[1])};
  const auto close_all = [&] {
    for (const int fd : {input, output, reports[1], errors[0], errors[1]}) {
      if (fd >= 0) close(fd);
    }
  };
  pid_t pid = -1;
  if (input >= 0 && output >= 0 && reports[1] >= 0 && errors[1] >= 0) pid = fork();
  if (pid == 0) Become(binary.c_str(), pointers.data(), input, output, reports[1], errors[1]);
  const int fork_error = errno;
  int failure = 0;
  ssize_t size = 0;
  if (pid > 0) {
    close(errors[1]);
    errors[1] = -1;
    while ((size = read(errors[0], &failure, sizeof(failure))) < 0 && errno == EINTR) {
    }
  }
  close_all();
  if (pid > 0 && size == 0) return Detached{pid, reports[0]};
  if (reports[0] >= 0) close(reports[0]);
  if (output < 0) return absl::UnavailableError(Concat("cannot write ", log, ": ", std::strerror(output_error)));
  if (pid < 0) return absl::UnavailableError(Concat("cannot start a process: ", std::strerror(fork_error)));
  waitpid(pid, nullptr, 0);
  return absl::NotFoundError(Concat("cannot execute ", binary, ": ", std::strerror(failure)));
}

}  // namespace lab::bench::live
