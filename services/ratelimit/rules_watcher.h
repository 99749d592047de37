#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "services/ratelimit/rules_file.h"
#include "services/runtime/base/time.h"

namespace lab::ratelimit {

// Reads the rules again when their files change. On a thread of its own, because a large file takes longer to parse
// than a decision may take. Compares texts, so that it sees every change however it was made (rename, symbolic link,
// in place); a change that is not a rules file is reported once.
class RulesWatcher {
 public:
  using Result = absl::StatusOr<std::shared_ptr<const RuleSet>>;
  using Changed = std::function<void(Result)>;

  // `changed` runs on the watcher's thread. `current` is what was loaded last.
  RulesWatcher(std::string path, RuleDefaults defaults, Nanos every, std::vector<RulesFile> current, Changed changed);
  ~RulesWatcher();  // waits for a load that is going on

 private:
  void Run();
  void Look();

  const std::string path_;
  const RuleDefaults defaults_;
  const Nanos every_;
  const Changed changed_;
  absl::StatusOr<std::vector<RulesFile>> seen_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace lab::ratelimit
