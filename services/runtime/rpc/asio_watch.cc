#include "services/runtime/rpc/asio_watch.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <system_error>
#include <utility>

namespace lab::rpc {
namespace {

void Control(int epoll_fd, int operation, int fd, uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  if (epoll_ctl(epoll_fd, operation, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl of the watch on Asio");
  }
}

}  // namespace

AsioWatch::AsioWatch(std::function<void()> wake)
    : wake_(std::move(wake)), epoll_fd_(epoll_create1(EPOLL_CLOEXEC)), stop_fd_(eventfd(0, EFD_CLOEXEC)) {
  Control(epoll_fd_, EPOLL_CTL_ADD, stop_fd_, EPOLLIN);
  // Signals belong to the loop's thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Watch(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

AsioWatch::~AsioWatch() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  close(epoll_fd_);
  close(stop_fd_);
}

void AsioWatch::BeginSleep(int asio_fd) {
  const int operation = watched_fd_ == asio_fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  watched_fd_ = asio_fd;
  Control(epoll_fd_, operation, asio_fd, EPOLLIN | EPOLLONESHOT);
}

void AsioWatch::EndSleep() { Control(epoll_fd_, EPOLL_CTL_MOD, watched_fd_, 0); }

void AsioWatch::Watch() {
  pthread_setname_np(pthread_self(), "asio_watch");
  while (true) {
    epoll_event event;
    const int ready = epoll_wait(epoll_fd_, &event, 1, -1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0 || event.data.fd == stop_fd_) return;
    wake_();
  }
}

}  // namespace lab::rpc
