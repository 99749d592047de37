#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <string>
#include <vector>

#include "services/runtime/rpc/queue.h"

namespace lab::rpc {

// Server reflection (grpc.reflection.v1alpha, and v1, whose messages are the same) out of protobuf's generated pool, on
// the server's own queue: the one that comes with gRPC is a synchronous service, which would bring threads that poll
// the same descriptors.
class Reflection final : public grpc::Service {
 public:
  explicit Reflection(Queue& queue);
  ~Reflection() override;

  // What ListServices answers, beside reflection itself.
  void AddService(std::string name);
  void Start();
  // Cancels the streams that are open.
  void Stop();
  // Nothing of it is in the queue any more.
  bool idle() const;

 private:
  struct Stream;
  void Request(int method);
  void Open(Stream* stream);

  Queue& queue_;
  std::vector<std::string> services_;
  std::vector<std::unique_ptr<Stream>> streams_;
  bool stopping_ = false;
};

}  // namespace lab::rpc
