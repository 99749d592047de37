#include "services/runtime/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "services/runtime/base/text.h"

namespace lab {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  // Network file systems and quotas report a failed write only here.
  bool Close() { return fd_ < 0 || close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

absl::Status FileError(int error, std::string_view verb, const std::string& path) {
  const std::string text = Concat("cannot ", verb, " ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(Concat(text, "; free some space and try again"));
    case ENOENT:
      return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

// A FIFO, a device, a socket or a folder: reading one may wait for ever, or never come to an end.
absl::Status NotARegularFile(const std::string& path) {
  return absl::InvalidArgumentError(Concat(path, " is not a regular file"));
}

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// A rename survives a power failure only when the folder is synced too; file systems that cannot do that say EINVAL.
void SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const Descriptor descriptor(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.open()) fsync(descriptor.get());
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  // O_NONBLOCK, because the open of a FIFO without a writer does not return otherwise; on a regular file it has no
  // effect.
  const Descriptor descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!descriptor.open()) return errno == ENXIO ? NotARegularFile(path) : FileError(errno, "read", path);
  struct stat info {};
  if (fstat(descriptor.get(), &info) != 0) return FileError(errno, "read", path);
  if (!S_ISREG(info.st_mode)) return NotARegularFile(path);
  std::string text;
  char buffer[64 << 10];
  // The size of stat is not asked: files of /proc have none.
  for (;;) {
    const ssize_t got = read(descriptor.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno, "read", path);
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > max_bytes) {
      return absl::InvalidArgumentError(Concat(path, " is larger than ", max_bytes, " bytes"));
    }
  }
}

absl::Status WriteFileAtomic(const std::string& path, std::string_view text) {
  static std::atomic<unsigned> number{0};
  const std::string temporary = Concat(path, ".tmp.", getpid(), ".", ++number);
  // 0666 and not mkstemp, so that the umask decides who may read it, as for any other file.
  Descriptor descriptor(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!descriptor.open()) return FileError(errno, "write", path);
  if (WriteAll(descriptor.get(), text) && fsync(descriptor.get()) == 0 && descriptor.Close() &&
      rename(temporary.c_str(), path.c_str()) == 0) {
    SyncFolderOf(path);
    return absl::OkStatus();
  }
  const int error = errno;
  unlink(temporary.c_str());
  return FileError(error, "write", path);
}

}  // namespace lab
