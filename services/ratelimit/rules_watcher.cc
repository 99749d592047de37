#include "services/ratelimit/rules_watcher.h"

#include <utility>

namespace lab::ratelimit {

RulesWatcher::RulesWatcher(std::string path, RuleDefaults defaults, Nanos every, std::vector<RulesFile> current,
                           Changed changed)
    : path_(std::move(path)),
      defaults_(defaults),
      every_(every),
      changed_(std::move(changed)),
      seen_(std::move(current)),
      thread_([this] { Run(); }) {}

RulesWatcher::~RulesWatcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void RulesWatcher::Run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, every_, [this] { return stop_; })) {
    lock.unlock();
    Look();
    lock.lock();
  }
}

void RulesWatcher::Look() {
  absl::StatusOr<std::vector<RulesFile>> files = ReadRulesFiles(path_);
  const bool same = files.ok() ? seen_.ok() && *files == *seen_ : files.status() == seen_.status();
  if (same) return;
  seen_ = std::move(files);
  changed_(seen_.ok() ? ParseRules(*seen_, defaults_) : Result(seen_.status()));
}

}  // namespace lab::ratelimit
