#include "services/runtime/rpc/queue.h"

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/server_builder.h>

#include <atomic>

#include "absl/synchronization/mutex.h"
#include "services/runtime/rpc/asio_watch.h"
#include "services/runtime/rpc/grpc_log.h"

namespace lab::rpc {
namespace {

// Bounds how long gRPC may keep Asio waiting in one turn.
constexpr size_t kMaxEventsPerTurn = 512;

}  // namespace

struct Queue::Impl final : Queue::Event {
  explicit Impl(async::Loop& on)
      : loop(on), cq(builder.AddCompletionQueue()), watch(std::make_unique<AsioWatch>([this] { Fire(); })) {}

  // Puts this object's tag into the queue, once until it has come out.
  void Fire() {
    if (!wake_pending.exchange(true)) alarm.Set(cq.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), this);
  }

  bool Complete(bool) override {
    wake_pending = false;
    return true;  // whoever woke the loop has something for the hooks
  }

  grpc::CompletionQueue::NextStatus Next(gpr_timespec deadline) {
    void* tag = nullptr;
    bool ok = false;
    const auto status = cq->AsyncNext(&tag, &ok, deadline);
    next = status == grpc::CompletionQueue::GOT_EVENT ? static_cast<Event*>(tag) : nullptr;
    next_ok = ok;
    return status;
  }

  async::Loop& loop;
  grpc::ServerBuilder builder;
  std::unique_ptr<grpc::ServerCompletionQueue> cq;
  grpc::Alarm alarm;
  std::atomic<bool> wake_pending = false;
  // The event that ended a sleep.
  Event* next = nullptr;
  bool next_ok = false;
  std::unique_ptr<AsioWatch> watch;  // last: its thread uses the others
};

Queue::Queue(async::Loop& loop) {
  // Debian's absl looks for deadlocks in every lock otherwise: 6 % of the CPU of a call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  RouteGrpcLog();
  impl_ = std::make_unique<Impl>(loop);
  loop.Attach(this);
}

Queue::~Queue() {
  impl_->loop.Detach(this);
  impl_->watch.reset();  // nobody sets the alarm any more
  impl_->cq->Shutdown();
  // A queue may only be destroyed empty. Alarms and the last tags of clients are all that is left: a few, and at once.
  while (impl_->Next(gpr_inf_future(GPR_CLOCK_MONOTONIC)) == grpc::CompletionQueue::GOT_EVENT) {
    impl_->next->Complete(impl_->next_ok);
  }
}

async::Loop& Queue::loop() { return impl_->loop; }
grpc::ServerCompletionQueue* Queue::cq() { return impl_->cq.get(); }
grpc::ServerBuilder& Queue::builder() { return impl_->builder; }

size_t Queue::Drain() {
  size_t worked = 0;
  for (size_t events = 0; events < kMaxEventsPerTurn; ++events) {
    if (impl_->next == nullptr && impl_->Next(gpr_inf_past(GPR_CLOCK_MONOTONIC)) != grpc::CompletionQueue::GOT_EVENT) {
      return worked;
    }
    Event* event = impl_->next;
    impl_->next = nullptr;
    if (event->Complete(impl_->next_ok)) ++worked;
  }
  return worked + 1;  // there may be more: no sleep now
}

void Queue::Sleep(int asio_fd) {
  impl_->watch->BeginSleep(asio_fd);
  impl_->Next(gpr_inf_future(GPR_CLOCK_MONOTONIC));
  impl_->watch->EndSleep();
}

void Queue::Wake() { impl_->Fire(); }

void Queue::Pump() {
  impl_->Next(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(10, GPR_TIMESPAN)));
  Drain();
}

}  // namespace lab::rpc
