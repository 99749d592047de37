#include "bench/run/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "bench/observe/process_figures.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::string& state) {
  const auto self = ReadProcess(getpid());
  if (!self) return absl::UnavailableError("cannot read /proc: is it mounted?");
  const std::string folder = Concat(state, "/state/", getpid(), "-", self->start_ticks);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(Concat("cannot make ", folder, ": ", error.message()));
  const int fd = open((folder + "/journal").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return absl::UnavailableError(Concat("cannot write ", folder, "/journal: ", std::strerror(errno)));
  std::unique_ptr<Journal> journal(new Journal(folder, fd));
  if (absl::Status written = journal->Write("boot " + BootId()); !written.ok()) return written;
  return journal;
}

Journal::~Journal() {
  close(fd_);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string Journal::run_id() const { return std::filesystem::path(folder_).filename().string(); }

std::string Journal::Marker() const { return "LAB_RUN=" + run_id(); }

absl::Status Journal::Write(const std::string& line) {
  const std::string text = line + "\n";
  const std::lock_guard lock(mutex_);
  if (write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return absl::UnavailableError(Concat("cannot write ", folder_, "/journal: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status Journal::Process(pid_t pid, const std::string& name) {
  const auto figures = ReadProcess(pid);
  if (!figures) return absl::UnavailableError(Concat(name, " ended before it executed anything"));
  return Write(Concat("process ", pid, " ", figures->start_ticks, " ", name));
}

// A process whose fault cannot be written down is still known by its own line, which is enough to end it.
void Journal::Fault(const std::string& text) { (void)Write("fault " + text); }

}  // namespace lab::bench
