#pragma once

#include <memory>

#include "services/runtime/async/loop.h"

namespace grpc {
class ServerBuilder;
class ServerCompletionQueue;
}  // namespace grpc

namespace lab::rpc {

// The completion queue of all gRPC on a loop: its server and its clients share it, because several queues would mean
// several pollers. It is the loop's source of events: the loop sleeps in the queue, and a helper thread that watches
// Asio's epoll descriptor ends the sleep with an alarm. The helper runs only for that; everything else stays on the
// loop's thread.
class Queue final : public async::Loop::Source {
 public:
  // What every tag in the queue is.
  class Event {
   public:
    // Takes the event; true when code ran that may have issued more work.
    virtual bool Complete(bool ok) = 0;

   protected:
    ~Event() = default;
  };

  explicit Queue(async::Loop& loop);
  // On the loop's thread, or after Run has returned. Servers and clients on it are gone by then.
  ~Queue() override;

  async::Loop& loop();

  size_t Drain() override;
  void Sleep(int asio_fd) override;
  void Wake() override;
  // For an owner that goes away while the loop does not run: waits 10 ms at most, then drains.
  void Pump();

  grpc::ServerCompletionQueue* cq();
  grpc::ServerBuilder& builder();  // the one that knows the queue: one server a queue

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::rpc
