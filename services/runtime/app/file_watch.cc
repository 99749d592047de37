#include "services/runtime/app/file_watch.h"

#include <sys/stat.h>

#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <tuple>
#include <utility>

namespace lab::app {
namespace {

using Identity = std::tuple<dev_t, ino_t, off_t, time_t, long, time_t, long>;

std::optional<Identity> Look(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return std::nullopt;
  return Identity(file.st_dev, file.st_ino, file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec,
                  file.st_ctim.tv_sec, file.st_ctim.tv_nsec);
}

}  // namespace

struct FileWatch::Impl : std::enable_shared_from_this<Impl> {
  Impl(async::Loop& loop, std::string watched, std::function<void()> tell, Nanos interval)
      : path(std::move(watched)), changed(std::move(tell)), every(interval), timer(loop.io()), last(Look(path)) {}

  void Wait() {
    timer.expires_after(every);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
      if (!cancelled && !self->stopped) self->Poll();
    });
  }

  void Poll() {
    const std::optional<Identity> now = Look(path);
    if (now && now != last) {
      last = now;
      changed();
    }
    if (!stopped) Wait();  // `changed` may have destroyed the watch
  }

  std::string path;
  std::function<void()> changed;
  Nanos every;
  boost::asio::steady_timer timer;
  std::optional<Identity> last;
  bool stopped = false;
};

FileWatch::FileWatch(async::Loop& loop, std::string path, std::function<void()> changed, Nanos every)
    : impl_(std::make_shared<Impl>(loop, std::move(path), std::move(changed), every)) {
  impl_->Wait();
}

FileWatch::~FileWatch() {
  impl_->stopped = true;
  impl_->timer.cancel();
}

}  // namespace lab::app
