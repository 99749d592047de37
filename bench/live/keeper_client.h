#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "bench/live/keeper_record.h"
#include "services/runtime/base/time.h"

namespace lab::bench::live {

// Talks to a keeper over the API of its page (server.h), with its token. Each call takes at most `timeout`.
// Errors: what the keeper answered, as the code that fits (INVALID_ARGUMENT for what the caller got wrong); UNAVAILABLE
// or DEADLINE_EXCEEDED when it does not answer, naming its process.
class KeeperClient {
 public:
  explicit KeeperClient(KeeperRecord record, Nanos timeout = std::chrono::seconds(3))
      : record_(std::move(record)), timeout_(timeout) {}

  absl::StatusOr<std::string> State() const;  // the state document
  // `command`: break, heal, load, down; bodies and answers as in server.h.
  absl::StatusOr<std::string> Post(const std::string& command, const std::string& body) const;
  const KeeperRecord& record() const { return record_; }

 private:
  absl::StatusOr<std::string> Call(const std::string& method, const std::string& path, const std::string& body) const;

  const KeeperRecord record_;
  const Nanos timeout_;
};

// Ends a keeper: asks it, then with signals; waits for its end. Whether it went down in its own way, healing and
// stopping everything; otherwise it was killed, which ends its parts too, and CleanLeftovers does the rest.
bool TakeDown(const KeeperRecord& record, Nanos patience = std::chrono::seconds(15));
// The same of one that is not ready, by its process.
bool TakeDownProcess(pid_t pid, Nanos patience = std::chrono::seconds(15));

}  // namespace lab::bench::live
