#include <google/protobuf/message_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/runtime/rpc/server_impl.h"
#include "services/runtime/rpc/time.h"
#include "services/runtime/rpc/trace_metadata.h"

namespace lab::rpc {
namespace {

bool IsTrailer(std::string_view name, std::string_view value) {
  const auto is_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  const auto is_value = [](char c) { return c >= 0x20 && c <= 0x7e; };
  constexpr std::string_view kBinary = "-bin";  // gRPC takes such a value for bytes
  const bool binary = name.size() >= kBinary.size() && name.substr(name.size() - kBinary.size()) == kBinary;
  return !name.empty() && !binary && name.substr(0, 5) != "grpc-" && std::all_of(name.begin(), name.end(), is_name) &&
         std::all_of(value.begin(), value.end(), is_value);
}

}  // namespace

Encoded Encode(const google::protobuf::MessageLite& message) {
  Encoded encoded{grpc::Slice(message.ByteSizeLong())};
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(encoded.bytes.begin()));
  return encoded;
}

bool Decode(const grpc::ByteBuffer& bytes, google::protobuf::MessageLite* message) {
  if (!bytes.Valid()) return message->ParseFromArray(nullptr, 0);
  grpc::Slice slice;
  if (bytes.TrySingleSlice(&slice).ok()) {
    return message->ParseFromArray(slice.begin(), static_cast<int>(slice.size()));
  }
  grpc::ProtoBufferReader reader(const_cast<grpc::ByteBuffer*>(&bytes));
  return reader.status().ok() && message->ParseFromZeroCopyStream(&reader);
}

Call::Call(State* state) : state_(state), generation_(state->generation) {}

bool Call::alive() const { return generation_ == state_->generation && state_->phase == State::Phase::kServing; }

bool Call::Parse(google::protobuf::MessageLite* message) {
  if (Decode(state_->request, message)) return true;
  Fail(absl::InvalidArgumentError(
      absl::StrCat("the request's ", state_->request_bytes, " bytes are not a ", message->GetTypeName())));
  return false;
}

size_t Call::request_bytes() const { return state_->request_bytes; }

Clock::time_point Call::deadline() const { return FromTimespec(state_->context->raw_deadline()); }

const obs::TraceContext& Call::trace() const { return state_->trace; }

std::string_view Call::Metadata(std::string_view name) const { return MetadataOf(*state_->context, name); }

void Call::AddTrailer(std::string name, std::string value) {
  if (alive() && IsTrailer(name, value)) state_->context->AddTrailingMetadata(name, value);
}

void Call::Reply(const google::protobuf::MessageLite& message) {
  if (!alive()) return;
  state_->reply = Encode(message);
  state_->status = grpc::Status::OK;
  state_->Answer();
}

void Call::Fail(const absl::Status& status) {
  if (!alive()) return;
  const auto code = status.ok() ? grpc::StatusCode::UNKNOWN : static_cast<grpc::StatusCode>(status.code());
  state_->status = grpc::Status(code, std::string(status.message()));
  state_->Answer();
}

void Call::State::Answer() {
  phase = Phase::kAnswered;
  server->answered.push_back(this);
}

bool Call::State::Complete(bool ok) {
  if (phase == Phase::kWaiting) {
    --server->waiting;
    if (ok) {
      server->Arrived(this);
    } else {
      server->Release(this);  // the server is shutting down
    }
    return ok;
  }
  --server->in_flight;
  server->Release(this);
  // The end of a call is no news, except for a drain that waits for it.
  return server->draining;
}

}  // namespace lab::rpc
