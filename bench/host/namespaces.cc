#include "bench/host/namespaces.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <mutex>
#include <utility>

#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr const char* kNetwork = "/proc/thread-self/ns/net";
constexpr const char* kMounts = "/proc/thread-self/ns/mnt";

// What EnterNamespaces has given: open descriptors of the namespaces; -1: none.
std::mutex mutex;
int own_network = -1, own_mounts = -1;  // guarded by it

// Whether the calling thread is in the namespace that is open as `fd`.
bool IsIn(int fd, const char* path) {
  struct stat of_fd {
  }, of_thread{};
  return fd >= 0 && fstat(fd, &of_fd) == 0 && stat(path, &of_thread) == 0 && of_fd.st_ino == of_thread.st_ino;
}

absl::Status Refused(const char* what, int error) {
  std::string remedy = "run as root";
  if (error == EPERM && geteuid() == 0) {
    remedy = "run outside of the container, or give it CAP_SYS_ADMIN and CAP_NET_ADMIN (docker run --cap-add)";
  } else if (error == EPERM) {
    remedy += ", or allow it: sysctl -w kernel.unprivileged_userns_clone=1";
  }
  if (error == EINVAL) remedy += ", or without what makes threads before the run (--ui)";
  return absl::FailedPreconditionError(Concat(what, " was refused (", std::strerror(error), "); ", remedy));
}

// Ourselves as root of a user namespace.
absl::Status MapUser(uid_t user, gid_t group) {
  std::ofstream("/proc/self/setgroups") << "deny" << std::flush;
  for (const auto& [file, id] : {std::pair<const char*, unsigned>{"uid_map", user}, {"gid_map", group}}) {
    std::ofstream map(Concat("/proc/self/", file));
    map << "0 " << id << " 1" << std::flush;
    if (!map) return absl::FailedPreconditionError(Concat("cannot write /proc/self/", file, "; run as root"));
  }
  return absl::OkStatus();
}

absl::Status LoopbackUp() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  const bool up =
      fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 &&
      (request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP), ioctl(fd, SIOCSIFFLAGS, &request) == 0);
  const int error = errno;
  if (fd >= 0) close(fd);
  return up ? absl::OkStatus() : Refused("a loopback device in a network of our own", error);
}

absl::Status Enter(const Namespaces& wanted) {
  const int flags = (wanted.network ? CLONE_NEWNET : 0) | (wanted.mounts ? CLONE_NEWNS : 0);
  if (flags == 0) return absl::OkStatus();
  if (unshare(flags) != 0) {
    if (errno != EPERM) return Refused("namespaces of our own", errno);
    const uid_t user = geteuid();
    const gid_t group = getegid();
    if (unshare(flags | CLONE_NEWUSER) != 0) return Refused("namespaces of our own", errno);
    if (absl::Status mapped = MapUser(user, group); !mapped.ok()) return mapped;
  }
  if (wanted.mounts && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Refused("mounts of our own", errno);
  }
  return wanted.network ? LoopbackUp() : absl::OkStatus();
}

// What comes until its end, up to the first line's.
std::string FirstLineFrom(int fd) {
  std::string text;
  char buffer[512];
  for (ssize_t size = 0; (size = read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(size));
  return text.substr(0, text.find('\n'));
}

std::string FillerOf(const std::string& folder) { return folder + "/lab.filler"; }

}  // namespace

Namespaces OwnNamespaces() {
  const std::lock_guard lock(mutex);
  return {IsIn(own_network, kNetwork), IsIn(own_mounts, kMounts)};
}

void JoinNamespaces() {
  const std::lock_guard lock(mutex);
  if (own_network >= 0 && !IsIn(own_network, kNetwork)) (void)setns(own_network, CLONE_NEWNET);
  if (own_mounts < 0 || IsIn(own_mounts, kMounts)) return;
  (void)unshare(CLONE_FS);  // threads share their working folder, which setns does not take
  (void)setns(own_mounts, CLONE_NEWNS);
}

absl::Status EnterNamespaces(const Namespaces& wanted) {
  JoinNamespaces();
  const std::lock_guard lock(mutex);
  const Namespaces missing{wanted.network && own_network < 0, wanted.mounts && own_mounts < 0};
  if (absl::Status entered = Enter(missing); !entered.ok()) return entered;
  if (missing.network) own_network = open(kNetwork, O_RDONLY | O_CLOEXEC);
  if (missing.mounts) own_mounts = open(kMounts, O_RDONLY | O_CLOEXEC);
  return absl::OkStatus();
}

std::string WhyNoNamespaces(const Namespaces& wanted, const std::vector<std::string>& program) {
  int ends[2];
  if (pipe(ends) != 0) return Concat("no pipe (", std::strerror(errno), "); allow more open files (ulimit -n)");
  std::vector<char*> arguments;
  for (const std::string& argument : program) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    const std::string why(Enter(wanted).message());
    if (why.empty() && !program.empty()) execv(arguments[0], arguments.data());
    const bool told = write(STDOUT_FILENO, why.data(), why.size()) == static_cast<ssize_t>(why.size());
    _exit(told && program.empty() ? 0 : 1);
  }
  close(ends[1]);
  const std::string why = pid > 0 ? FirstLineFrom(ends[0]) : "";
  close(ends[0]);
  int status = -1;
  if (pid > 0) waitpid(pid, &status, 0);
  if (!why.empty()) return why;
  return status == 0 ? "" : "a child process could not try it; run as root";
}

absl::Status MountDisk(const std::string& folder, uint64_t bytes) {
  if (!OwnNamespaces().mounts) return absl::FailedPreconditionError("a disk is mounted in mounts of our own only");
  const std::string options = Concat("size=", bytes, ",mode=0700");
  if (mount("lab-disk", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0) return absl::OkStatus();
  return absl::UnavailableError(Concat("cannot mount a tmpfs on ", folder, ": ", std::strerror(errno)));
}

void UnmountDisk(const std::string& folder) {
  if (OwnNamespaces().mounts) (void)umount2(folder.c_str(), MNT_DETACH);
}

absl::Status FillDisk(const std::string& folder) {
  if (!OwnNamespaces().mounts) return absl::FailedPreconditionError("only a disk of our own is filled");
  std::ofstream filler(FillerOf(folder), std::ios::binary);
  const std::string block(4096, 'f');
  errno = 0;
  while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
  }
  if (errno == ENOSPC) return absl::OkStatus();
  return absl::UnavailableError(Concat("cannot fill ", folder, ": ", std::strerror(errno)));
}

absl::Status FreeDisk(const std::string& folder) {
  if (unlink(FillerOf(folder).c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::UnavailableError(Concat("cannot free ", folder, ": ", std::strerror(errno)));
}

bool DiskIsFull(const std::string& folder) {
  struct statvfs room {};
  return statvfs(folder.c_str(), &room) == 0 && room.f_bavail == 0;
}

}  // namespace lab::bench
