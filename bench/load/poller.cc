#include "bench/load/poller.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr int kMaxEvents = 128;
constexpr int64_t kNanosPerSecond = 1'000'000'000;

timespec TimespecOf(int64_t ns) {
  const int64_t bounded = std::max<int64_t>(ns, 0);
  return {bounded / kNanosPerSecond, bounded % kNanosPerSecond};
}

absl::Status Control(int epoll, int operation, int fd, uint32_t events, void* data) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = data;
  if (epoll_ctl(epoll, operation, fd, &event) == 0) return absl::OkStatus();
  return absl::ResourceExhaustedError(Concat("epoll_ctl: ", std::strerror(errno)));
}

}  // namespace

int64_t MonotonicNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (epoll_ < 0 || wake_ < 0) throw std::runtime_error(std::string("epoll: ") + std::strerror(errno));
  if (const absl::Status added = Control(epoll_, EPOLL_CTL_ADD, wake_, EPOLLIN, nullptr); !added.ok()) {
    throw std::runtime_error(std::string(added.message()));
  }
}

Poller::~Poller() {
  if (wake_ >= 0) close(wake_);
  if (epoll_ >= 0) close(epoll_);
}

absl::Status Poller::Add(int fd, uint32_t events, Handler* handler) {
  return Control(epoll_, EPOLL_CTL_ADD, fd, events, handler);
}

absl::Status Poller::Change(int fd, uint32_t events, Handler* handler) {
  return Control(epoll_, EPOLL_CTL_MOD, fd, events, handler);
}

void Poller::Remove(int fd) { epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

void Poller::Wait(int64_t timeout_ns) {
  std::array<epoll_event, kMaxEvents> events;
  const timespec timeout = TimespecOf(timeout_ns);
  const int count = epoll_pwait2(epoll_, events.data(), kMaxEvents, &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.ptr == nullptr) {
      uint64_t ignored = 0;
      [[maybe_unused]] const ssize_t taken = read(wake_, &ignored, sizeof(ignored));
      continue;
    }
    static_cast<Handler*>(events[i].data.ptr)->Ready(events[i].events);
  }
}

void Poller::Sleep(int64_t timeout_ns) {
  const timespec timeout = TimespecOf(timeout_ns);
  pollfd wake{wake_, POLLIN, 0};
  ppoll(&wake, 1, &timeout, nullptr);
}

void Poller::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
}

}  // namespace lab::bench
