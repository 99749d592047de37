#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lab::bench::live {

// What a keeper leaves for the commands that look for it: <state>/up/<lab>/control.json, readable by its owner only
// because of the token. It is there from the moment the system is ready until the keeper ends.
struct KeeperRecord {
  std::string lab, variant;
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // with the pid and the boot it names one process
  std::string boot;
  int port = 0;  // of the page and the API
  std::string token;
  double started_unix_s = 0;  // t = 0 of the load
  double ends_unix_s = 0;     // when it goes down by itself
  bool operator==(const KeeperRecord&) const = default;
};

// A folder below <state>/up.
struct UpFolder {
  std::string lab, folder;
  std::optional<KeeperRecord> record;  // of a keeper that is ready
  pid_t starting = 0;                  // of a keeper on its way up or down
  std::string ended;                   // how the last one ended, when it was not taken down; "" otherwise
};

std::string UpFolderOf(const std::string& root, const std::string& lab);

absl::Status WriteRecord(const std::string& folder, const KeeperRecord& record);
absl::StatusOr<KeeperRecord> ReadRecord(const std::string& folder);
bool Runs(const KeeperRecord& record);

// How a system ended that nobody took down, kept for `lab status` until its lab goes up again or is taken down.
void WriteEnd(const std::string& folder, const std::string& text);

// All of them, by name of the lab.
std::vector<UpFolder> UpFolders(const std::string& root);
// What keepers left that were killed: their records go, how they ended stays. What they ran is the matter of
// CleanLeftovers. Returns what it did, a line each.
std::vector<std::string> CleanKeepers(const std::string& root);

// Held by a keeper as long as it lives, so that a lab is up once: the kernel gives it back whatever ends the process.
class KeeperLock {
 public:
  // Makes the folder. ALREADY_EXISTS when another keeper holds it.
  static absl::StatusOr<KeeperLock> Take(const std::string& folder);
  KeeperLock(KeeperLock&& other) noexcept;
  KeeperLock& operator=(KeeperLock&&) = delete;
  ~KeeperLock();

 private:
  explicit KeeperLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace lab::bench::live
