#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <array>
#include <optional>

#include "services/runtime/rpc/queue.h"
#include "services/runtime/rpc/server.h"

namespace lab::rpc {

// A message that is bytes already; gRPC takes the slice as it is.
struct Encoded {
  grpc::Slice bytes;
};

Encoded Encode(const google::protobuf::MessageLite& message);
// False when the bytes are not this message. Reads in place.
bool Decode(const grpc::ByteBuffer& bytes, google::protobuf::MessageLite* message);

struct Method {
  std::string name;
  std::string_view span;
  Server::Handler handler;
  int index = 0;  // in the gRPC service
  int pre_posted = 0;
  bool internal = false;  // not in the metrics, not traced
};

// Everything one call needs, reused from call to call. It is a tag of the queue: once for the request, once for the
// answer; between the two gRPC owns nothing of it.
struct Call::State final : Queue::Event {
  enum class Phase { kIdle, kWaiting, kServing, kAnswered, kSent };

  State(Server::Impl* in, Method* of) : server(in), method(of) {}
  bool Complete(bool ok) override;
  void Answer();

  Server::Impl* const server;
  Method* const method;
  uint32_t generation = 0;
  Phase phase = Phase::kIdle;

  std::optional<grpc::ServerContext> context;
  std::optional<grpc::ServerAsyncResponseWriter<Encoded>> writer;
  grpc::ByteBuffer request;
  Encoded reply;
  grpc::Status status;

  size_t request_bytes = 0;
  Clock::time_point start;
  Clock::time_point sent_at;  // of kSent
  obs::TraceContext trace;
  std::array<uint8_t, 8> parent_span_id{};
  int64_t start_unix_ns = 0;
};

}  // namespace lab::rpc

namespace grpc {

template <>
class SerializationTraits<lab::rpc::Encoded, void> {
 public:
  static Status Serialize(const lab::rpc::Encoded& message, ByteBuffer* buffer, bool* own_buffer) {
    ByteBuffer bytes(&message.bytes, 1);
    buffer->Swap(&bytes);
    *own_buffer = true;
    return Status::OK;
  }
};

}  // namespace grpc
