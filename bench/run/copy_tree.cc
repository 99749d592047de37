#include "bench/run/copy_tree.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "bench/run/child.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

absl::Status CannotCopy(const std::string& path, int error) {
  const std::string text = Concat("cannot copy ", path, ": ", std::strerror(error));
  return error == ENOSPC || error == EDQUOT ? absl::ResourceExhaustedError(text) : absl::UnavailableError(text);
}

// From a file system that cannot copy within the kernel to another.
bool CopyByHand(int from, int to) {
  std::array<char, 256 << 10> buffer;
  for (;;) {
    const ssize_t size = read(from, buffer.data(), buffer.size());
    if (size <= 0) return size == 0;
    for (ssize_t written = 0; written < size;) {
      const ssize_t some = write(to, buffer.data() + written, static_cast<size_t>(size - written));
      if (some < 0) return false;
      written += some;
    }
  }
}

bool CopyBytes(int from, int to, off_t size) {
  if (ioctl(to, FICLONE, from) == 0) return true;
  for (off_t left = size; left > 0;) {
    const ssize_t some = copy_file_range(from, nullptr, to, nullptr, static_cast<size_t>(left), 0);
    if (some < 0 && left == size && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
      return CopyByHand(from, to);
    }
    if (some < 0) return false;
    if (some == 0) break;  // it became shorter
    left -= some;
  }
  return true;
}

absl::Status CopyFile(const std::string& from, const std::string& to, const std::optional<RunAs>& owner) {
  struct stat info {};
  const Descriptor source(open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (source.get() < 0 || fstat(source.get(), &info) != 0) return CannotCopy(from, errno);
  const Descriptor target(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, info.st_mode & 07777));
  if (target.get() < 0 || !CopyBytes(source.get(), target.get(), info.st_size)) return CannotCopy(from, errno);
  const bool foreign = owner && !owner->by_namespace;
  if (foreign && fchown(target.get(), owner->user, owner->group) != 0) return CannotCopy(from, errno);
  return absl::OkStatus();
}

}  // namespace

absl::Status GiveTo(const std::string& path, const std::optional<RunAs>& owner) {
  if (!owner || owner->by_namespace || lchown(path.c_str(), owner->user, owner->group) == 0) return absl::OkStatus();
  return absl::UnavailableError(Concat("cannot give ", path, " to user ", owner->user, ": ", std::strerror(errno)));
}

absl::Status CopyTree(const std::string& from, const std::string& to, const std::optional<RunAs>& owner) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(from, error)) {
    const std::string source = entry.path().string(), target = to + "/" + entry.path().filename().string();
    absl::Status copied;
    if (entry.is_symlink(error)) {
      fs::copy_symlink(source, target, error);
      copied = error ? CannotCopy(source, error.value()) : GiveTo(target, owner);
    } else if (entry.is_directory(error)) {
      struct stat info {};
      const bool made = stat(source.c_str(), &info) == 0 && mkdir(target.c_str(), info.st_mode & 07777) == 0;
      copied = made ? GiveTo(target, owner) : CannotCopy(source, errno);
      if (copied.ok()) copied = CopyTree(source, target, owner);
    } else {
      copied = CopyFile(source, target, owner);
    }
    if (!copied.ok()) return copied;
  }
  return error ? CannotCopy(from, error.value()) : absl::OkStatus();
}

}  // namespace lab::bench
