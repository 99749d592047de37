#pragma once

#include <functional>
#include <memory>
#include <string>

#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"

namespace lab::app {

// Tells when the file at a path is another one than before: written in place, renamed over, or reached through symbolic
// links that were switched (as Kubernetes mounts a ConfigMap). Polls device, inode, size and times of change, because
// inotify watches the old inode through both kinds of switch and sees nothing on network mounts. One stat an interval,
// on the loop's thread.
//
// A file that vanishes is not a change, what comes in its place is. The first look is in the constructor: construct the
// watch, then read the file, and no change between the two is lost. A writer that is caught in the middle causes a
// second call when it has finished.
class FileWatch {
 public:
  FileWatch(async::Loop& loop, std::string path, std::function<void()> changed, Nanos every = std::chrono::seconds(1));
  ~FileWatch();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the timer's handler in flight
};

}  // namespace lab::app
