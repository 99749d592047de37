#include "bench/live/worker.h"

#include <csignal>
#include <utility>

namespace lab::bench::live {

Worker::Worker(size_t bound) : bound_(bound), thread_(StartQuietThread([this] { Loop(); })) {}

Worker::~Worker() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool Worker::Do(absl::AnyInvocable<void()> work) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stop_ || waiting_.size() >= bound_) return false;
    waiting_.push_back(std::move(work));
  }
  wake_.notify_one();
  return true;
}

void Worker::Loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (stop_) return;
    absl::AnyInvocable<void()> work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

std::thread StartQuietThread(absl::AnyInvocable<void()> work) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(work));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace lab::bench::live
