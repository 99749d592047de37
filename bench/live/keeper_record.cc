#include "bench/live/keeper_record.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/observe/process_figures.h"
#include "bench/run/journal.h"
#include "bench/run/run_folder.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {
namespace {

namespace fs = std::filesystem;

constexpr char kRecord[] = "/control.json";
constexpr char kEnd[] = "/ended";
constexpr char kLock[] = "/lock";
constexpr size_t kMaxBytes = 64 << 10;

absl::Status Failed(const std::string& what, const std::string& path, int error) {
  return absl::UnavailableError(Concat(what, " ", path, ": ", std::strerror(error)));
}

bool SameProcess(pid_t pid, uint64_t start_ticks) {
  const auto now = pid > 1 ? ReadProcess(pid) : std::nullopt;
  return now && now->start_ticks == start_ticks && now->state != 'Z';
}

// The process that took the lock and lives; 0: none.
pid_t HolderOf(const std::string& folder) {
  std::ifstream file(folder + kLock);
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  return file >> pid >> start_ticks && SameProcess(pid, start_ticks) ? pid : 0;
}

}  // namespace

std::string UpFolderOf(const std::string& root, const std::string& lab) {
  return Concat(StateFolder(root), "/up/", lab);
}

absl::Status WriteRecord(const std::string& folder, const KeeperRecord& record) {
  const nlohmann::json json = {{"lab", record.lab},
                               {"variant", record.variant},
                               {"pid", record.pid},
                               {"start_ticks", record.start_ticks},
                               {"boot", record.boot},
                               {"port", record.port},
                               {"token", record.token},
                               {"started_unix_s", record.started_unix_s},
                               {"ends_unix_s", record.ends_unix_s}};
  // Nobody else may read it at any moment, so it has its mode before its text.
  const std::string path = folder + kRecord, fresh = path + ".new";
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return Failed("cannot write", fresh, errno);
  const std::string text = json.dump() + "\n";
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  close(fd);
  if (!written) return Failed("cannot write", fresh, error);
  if (rename(fresh.c_str(), path.c_str()) != 0) return Failed("cannot write", path, errno);
  return absl::OkStatus();
}

absl::StatusOr<KeeperRecord> ReadRecord(const std::string& folder) {
  const std::string path = folder + kRecord;
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxBytes);
  if (!text.ok()) return text.status();
  const nlohmann::json json = nlohmann::json::parse(*text, nullptr, false);
  try {
    KeeperRecord record;
    json.at("lab").get_to(record.lab);
    json.at("variant").get_to(record.variant);
    json.at("pid").get_to(record.pid);
    json.at("start_ticks").get_to(record.start_ticks);
    json.at("boot").get_to(record.boot);
    json.at("port").get_to(record.port);
    json.at("token").get_to(record.token);
    json.at("started_unix_s").get_to(record.started_unix_s);
    json.at("ends_unix_s").get_to(record.ends_unix_s);
    return record;
  } catch (const nlohmann::json::exception& error) {
    return absl::DataLossError(Concat(path, ": ", error.what()));
  }
}

bool Runs(const KeeperRecord& record) { return record.boot == BootId() && SameProcess(record.pid, record.start_ticks); }

void WriteEnd(const std::string& folder, const std::string& text) {
  // Who cannot write it says nothing later; the end itself does not wait for a disk.
  (void)WriteFileAtomic(folder + kEnd, text);
}

std::vector<UpFolder> UpFolders(const std::string& root) {
  std::vector<UpFolder> all;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(StateFolder(root)) / "up", error)) {
    if (!entry.is_directory(error)) continue;
    UpFolder found{entry.path().filename().string(), entry.path().string(), std::nullopt, 0, ""};
    if (absl::StatusOr<KeeperRecord> record = ReadRecord(found.folder); record.ok() && Runs(*record)) {
      found.record = *std::move(record);
    } else if (const pid_t holder = HolderOf(found.folder); holder > 0) {
      found.starting = holder;
    } else if (const absl::StatusOr<std::string> end = ReadFile(found.folder + kEnd, kMaxBytes); end.ok()) {
      found.ended = *end;
    }
    all.push_back(std::move(found));
  }
  std::sort(all.begin(), all.end(), [](const UpFolder& a, const UpFolder& b) { return a.lab < b.lab; });
  return all;
}

std::vector<std::string> CleanKeepers(const std::string& root) {
  std::vector<std::string> done;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(StateFolder(root)) / "up", error)) {
    const std::string folder = entry.path().string();
    if (!fs::exists(folder + kRecord, error)) continue;
    const absl::StatusOr<KeeperRecord> record = ReadRecord(folder);
    if (record.ok() && Runs(*record)) continue;
    const std::string end = record.ok() && record->boot != BootId()
                                ? "the host was started again while it was up"
                                : Concat("its keeper", record.ok() ? Concat(" (process ", record->pid, ")") : "",
                                         " was killed, and everything it ran ended with it");
    WriteEnd(folder, end);
    fs::remove(folder + kRecord, error);
    done.push_back(Concat(entry.path().filename().string(), " is not up any more: ", end));
  }
  return done;
}

absl::StatusOr<KeeperLock> KeeperLock::Take(const std::string& folder) {
  const std::string path = folder + kLock;
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return Failed("cannot write", path, errno);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    close(fd);
    if (error == EWOULDBLOCK) return absl::AlreadyExistsError("it is up already, or on its way up or down");
    return Failed("cannot lock", path, error);
  }
  // Who holds it, for those that look.
  const auto self = ReadProcess(getpid());
  const std::string holder = Concat(getpid(), " ", self ? self->start_ticks : 0, "\n");
  if (ftruncate(fd, 0) != 0 || write(fd, holder.data(), holder.size()) < 0) {
    const int error = errno;
    close(fd);
    return Failed("cannot write", path, error);
  }
  return KeeperLock(fd);
}

KeeperLock::KeeperLock(KeeperLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

KeeperLock::~KeeperLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace lab::bench::live
