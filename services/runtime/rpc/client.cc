#include "services/runtime/rpc/client.h"

#include <google/protobuf/message_lite.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/runtime/rpc/call_state.h"
#include "services/runtime/rpc/time.h"
#include "services/runtime/rpc/trace_metadata.h"

namespace lab::rpc {
namespace {

// Reads replies as bytes, so that they are parsed straight into the caller's message.
using Stub = grpc::TemplatedGenericStub<Encoded, grpc::ByteBuffer>;

std::shared_ptr<grpc::Channel> Connect(const std::string& target) {
  grpc::ChannelArguments arguments;
  // Otherwise clients of the same target share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

struct Client::Impl {
  // One call; the tag of its end.
  struct Outgoing final : Queue::Event {
    explicit Outgoing(Impl* in) : client(in) {}
    bool Complete(bool ok) override;
    absl::Status Result();

    Impl* const client;
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader;
    grpc::ByteBuffer bytes;
    grpc::Status status;
    google::protobuf::MessageLite* reply = nullptr;
    absl::AnyInvocable<void(absl::Status)> done;
    obs::SpanRecord span;
  };

  Impl(Queue& on, const std::string& target, obs::Tracer& spans) : queue(on), stub(Connect(target)), tracer(spans) {}

  ~Impl() {
    for (Outgoing* call : calls) call->context.TryCancel();
    while (!calls.empty()) queue.Pump();
  }

  Queue& queue;
  Stub stub;
  obs::Tracer& tracer;
  std::unordered_set<Outgoing*> calls;
};

bool Client::Impl::Outgoing::Complete(bool) {
  client->calls.erase(this);
  const std::unique_ptr<Outgoing> self(this);
  const absl::Status result = Result();
  if (span.context.sampled) {
    span.end_unix_ns = UnixNanosNow();
    span.error = !result.ok();
    client->tracer.Finish(span);
  }
  // Last: it may destroy the client.
  done(result);
  return true;
}

absl::Status Client::Impl::Outgoing::Result() {
  if (!status.ok()) return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
  if (Decode(bytes, reply)) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the reply's ", bytes.Length(), " bytes are not a ", reply->GetTypeName()));
}

Client::Client(Queue& queue, std::string target, obs::Tracer& tracer)
    : impl_(std::make_unique<Impl>(queue, target, tracer)) {}

Client::~Client() = default;

size_t Client::in_flight() const { return impl_->calls.size(); }

void Client::Call(std::string_view method, const google::protobuf::MessageLite& request,
                  google::protobuf::MessageLite* reply, Clock::time_point deadline, const obs::TraceContext& parent,
                  absl::AnyInvocable<void(absl::Status)> done) {
  auto* call = new Impl::Outgoing(impl_.get());
  call->reply = reply;
  call->done = std::move(done);
  call->span.context = impl_->tracer.StartSpan(parent);
  if (call->span.context.sampled) {
    call->span.parent_span_id = parent.span_id;
    call->span.name = method;
    call->span.kind = obs::SpanKind::kClient;
    call->span.start_unix_ns = UnixNanosNow();
  }
  call->context.set_deadline(ToTimespec(deadline));
  call->context.AddMetadata(kTraceparent, obs::FormatTraceparent(call->span.context));
  call->reader = impl_->stub.PrepareUnaryCall(&call->context, std::string(method), Encode(request), impl_->queue.cq());
  call->reader->StartCall();
  call->reader->Finish(&call->bytes, &call->status, static_cast<Queue::Event*>(call));
  impl_->calls.insert(call);
}

}  // namespace lab::rpc
