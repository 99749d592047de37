#include "services/runtime/async/loop.h"

#include <sched.h>

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include "services/runtime/async/asio.h"

namespace lab::async {

struct Loop::Impl {
  enum class State { kAwake, kInAsio, kInSource };

  explicit Impl(boost::asio::io_context& context)
      : io(context), work(boost::asio::make_work_guard(context)), asio_fd(EpollDescriptor(context)) {}

  // Ends the sleep that is going on, if any. Under the mutex, so that the source cannot be detached meanwhile.
  void WakeLocked() {
    if (state == State::kInSource) source->Wake();
    if (state == State::kInAsio) boost::asio::post(io, [] {});
    state = State::kAwake;
  }

  // False when there is something to do at once. Whoever posts after this sees the state and wakes the loop.
  bool EnterSleep(State sleep) {
    std::lock_guard lock(mutex);
    if (!posted.empty() || stopping) return false;
    state = sleep;
    return true;
  }

  void LeaveSleep() {
    std::lock_guard lock(mutex);
    state = State::kAwake;
  }

  size_t RunPosted() {
    {
      std::lock_guard lock(mutex);
      running.swap(posted);
    }
    const size_t count = running.size();
    for (auto& handler : running) handler();
    running.clear();
    return count;
  }

  bool StopRequested() {
    std::lock_guard lock(mutex);
    return std::exchange(stopping, false);
  }

  void RunHooks() {
    for (auto& phase : hooks) {
      // By index: a hook may add another one.
      for (size_t i = 0; i < phase.size(); ++i) phase[i]();
    }
  }

  boost::asio::io_context& io;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
  const int asio_fd;
  std::array<std::vector<std::function<void()>>, 3> hooks;
  Source* source = nullptr;  // written by the loop's thread under the mutex

  std::mutex mutex;
  State state = State::kAwake;
  bool stopping = false;
  std::vector<absl::AnyInvocable<void()>> posted;

  std::vector<absl::AnyInvocable<void()>> running;  // of the loop's thread; kept for its capacity
};

Loop::Loop() : io_(1), impl_(std::make_unique<Impl>(io_)) {}

Loop::~Loop() = default;

void Loop::AtTurnEnd(Phase phase, std::function<void()> hook) {
  impl_->hooks[static_cast<size_t>(phase)].push_back(std::move(hook));
}

void Loop::Attach(Source* source) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->source != nullptr) throw std::logic_error("a loop has at most one source of events");
  impl_->source = source;
}

void Loop::Detach(Source* source) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->source == source) impl_->source = nullptr;
}

void Loop::Post(absl::AnyInvocable<void()> handler) {
  std::lock_guard lock(impl_->mutex);
  impl_->posted.push_back(std::move(handler));
  impl_->WakeLocked();
}

void Loop::Stop() {
  std::lock_guard lock(impl_->mutex);
  impl_->stopping = true;
  impl_->WakeLocked();
}

void Loop::Run() {
  Impl& impl = *impl_;
  size_t handled = 0;
  while (true) {
    if (impl.source != nullptr) handled += impl.source->Drain();
    handled += impl.RunPosted();
    handled += io_.poll();
    impl.RunHooks();
    turn_time_ = {};
    if (impl.StopRequested()) return;
    if (std::exchange(handled, 0) > 0) continue;

    if (impl.source == nullptr) {
      if (!impl.EnterSleep(Impl::State::kInAsio)) continue;
      handled += io_.run_one();
      impl.LeaveSleep();
      continue;
    }
    if (Clock::now() < dwell_until_) {
      sched_yield();
      continue;
    }
    if (!impl.EnterSleep(Impl::State::kInSource)) continue;
    impl.source->Sleep(impl.asio_fd);
    impl.LeaveSleep();
  }
}

}  // namespace lab::async
