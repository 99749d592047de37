#include "bench/run/child.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "bench/host/cores.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

bool WriteTo(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY);
  if (fd < 0) return false;
  const ssize_t size = static_cast<ssize_t>(std::strlen(text));
  const bool written = write(fd, text, static_cast<size_t>(size)) == size;
  close(fd);
  return written;
}

bool Become(const ChildPlan& plan) {
  if (plan.as == nullptr) return true;
  if (!plan.as->by_namespace) {
    return setgroups(1, &plan.as->group) == 0 && setgid(plan.as->group) == 0 && setuid(plan.as->user) == 0;
  }
  return unshare(CLONE_NEWUSER) == 0 && WriteTo("/proc/self/setgroups", "deny") &&
         WriteTo("/proc/self/uid_map", plan.user_map) && WriteTo("/proc/self/gid_map", plan.group_map);
}

}  // namespace

void RunChild(const ChildPlan& plan) {
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
  const int report = plan.error == kHeldDescriptor ? dup(plan.error) : plan.error;
  const bool held = plan.held < 0 || dup2(plan.held, kHeldDescriptor) == kHeldDescriptor;
  if (held && chdir(plan.folder) == 0 && (plan.cpu < 0 || PinTo(plan.cpu)) && Become(plan)) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // again: a change of the user takes it back
    if (getppid() != plan.parent) _exit(126);
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    if (plan.held >= 0) fcntl(kHeldDescriptor, F_SETFD, 0);
    execve(plan.binary, plan.arguments, plan.environment);
  }
  const int error = errno;
  if (write(report, &error, sizeof(error)) < 0) _exit(127);
  _exit(127);
}

absl::Status Failed(const char* what, int error) {
  return absl::UnavailableError(Concat(what, ": ", std::strerror(error)));
}

PlanTexts::PlanTexts(const Command& command)
    : arguments(Pointers(command.arguments)),
      environment(Pointers(command.environment)),
      user_map(Concat(command.as ? command.as->user : 0, " 0 1")),
      group_map(Concat(command.as ? command.as->group : 0, " 0 1")) {}

ChildPlan PlanOf(const Command& command, const PlanTexts& texts) {
  ChildPlan plan{};
  plan.binary = command.binary.c_str();
  plan.arguments = texts.arguments.data();
  plan.environment = texts.environment.data();
  plan.folder = command.folder.c_str();
  plan.go = plan.go_writer = plan.held = -1;
  plan.parent = getpid();
  plan.cpu = command.cpu;
  plan.as = command.as ? &*command.as : nullptr;
  plan.user_map = texts.user_map.c_str();
  plan.group_map = texts.group_map.c_str();
  return plan;
}

int OpenInput(const Command& command) {
  return open(command.input.empty() ? "/dev/null" : command.input.c_str(), O_RDONLY | O_CLOEXEC);
}

int OpenHeld(const Command& command) {
  return command.held.empty() ? -1 : open(command.held.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

absl::Status ExecFailure(const Command& command, int error) {
  std::string text = Concat("cannot execute ", command.binary, ": ", std::strerror(error));
  if (command.as && error == EACCES) {
    text += Concat(" as user ", command.as->user,
                   ", who must be allowed to enter every folder above it (chmod o+x, or move it)");
  }
  return absl::NotFoundError(text);
}

}  // namespace lab::bench
