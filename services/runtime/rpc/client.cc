#include "services/runtime/rpc/client.h"

#include <google/protobuf/message_lite.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/runtime/failpoint/controller.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/rpc/call_state.h"
#include "services/runtime/rpc/queue.h"
#include "services/runtime/rpc/time.h"
#include "services/runtime/rpc/trace_metadata.h"

namespace lab::rpc {
namespace {

using failpoint::Action;
using failpoint::Point;
using failpoint::Side;

const Point kCallBefore("rpc.call.before", "rpc", Side::kBefore, "a gRPC call would be sent");
const Point kCallAfter("rpc.call.after", "rpc", Side::kAfter, "the answer to a gRPC call, an OK, is here");

// Reads replies as bytes, so that they are parsed straight into the caller's message.
using Stub = grpc::TemplatedGenericStub<Encoded, grpc::ByteBuffer>;

std::shared_ptr<grpc::Channel> Connect(const std::string& target) {
  grpc::ChannelArguments arguments;
  // Otherwise clients of the same target share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // gRPC's own are 1 s to 2 minutes, and 20 s for a connect: a neighbour that is back would be missed for as long.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);  // also what a connect may take
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

enum Outcome : size_t { kOk, kTimeout, kUnavailable, kError };

Outcome OutcomeOf(const absl::Status& status) {
  if (status.ok()) return kOk;
  if (absl::IsDeadlineExceeded(status)) return kTimeout;
  return absl::IsUnavailable(status) ? kUnavailable : kError;
}

struct ClientMetrics {
  explicit ClientMetrics(const MeteredAs& metered)
      : duration(metered.metrics->AddHistogram("rpc_client_duration_seconds", "From a call to its end.",
                                               obs::LatencyBuckets(), {{"client", metered.name}})),
        in_flight(metered.metrics->AddGauge("rpc_client_in_flight", "Calls that have not ended.",
                                            {{"client", metered.name}})) {
    constexpr const char* kOutcomes[] = {"ok", "timeout", "unavailable", "error"};
    for (size_t i = 0; i < calls.size(); ++i) {
      calls[i] = &metered.metrics->AddCounter("rpc_client_calls_total", "Calls by how they ended.",
                                              {{"client", metered.name}, {"outcome", kOutcomes[i]}});
    }
  }
  std::array<obs::Counter*, 4> calls;
  obs::Histogram& duration;
  obs::Gauge& in_flight;
};

}  // namespace

struct Client::Impl {
  // One call; the tag of its end.
  struct Outgoing final : Queue::Event {
    explicit Outgoing(Impl* in) : client(in) {}
    bool Complete(bool ok) override;
    absl::Status Result();
    // It leaves now; gRPC has it until Complete.
    void Send(std::string_view called);
    // Ends it with this result; it is gone then.
    void End(const absl::Status& result);
    // Failpoints. True when one has taken the call over.
    bool TakenBefore(std::string_view called);
    bool TakenAfter();
    // Runs `then` after the delay, or at the deadline of the call when that comes first.
    void Hold(Nanos delay, absl::AnyInvocable<void(bool late)> then);

    Impl* const client;
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader;
    Encoded request;
    grpc::ByteBuffer bytes;
    grpc::Status status;
    google::protobuf::MessageLite* reply = nullptr;
    absl::AnyInvocable<void(absl::Status)> done;
    obs::SpanRecord span;
    Clock::time_point begun;
    Clock::time_point deadline;
    std::string method;  // only where there are failpoints
    // While a failpoint has it, and gRPC has not; shared so that its handler knows whether the call is still there.
    std::shared_ptr<boost::asio::steady_timer> hold;
  };

  Impl(Queue& on, const std::string& target, obs::Tracer& spans, failpoint::Controller* points,
       const MeteredAs& metered)
      : queue(on),
        stub(Connect(target)),
        tracer(spans),
        failpoints(points),
        metrics(metered.metrics != nullptr ? std::make_unique<ClientMetrics>(metered) : nullptr) {}

  ~Impl() {
    for (Outgoing* call : std::vector<Outgoing*>(calls.begin(), calls.end())) {
      if (call->hold) {
        call->End(absl::CancelledError("the client is gone"));
      } else {
        call->context.TryCancel();
      }
    }
    while (!calls.empty()) queue.Pump();
  }

  Queue& queue;
  Stub stub;
  obs::Tracer& tracer;
  failpoint::Controller* const failpoints;       // null: none
  const std::unique_ptr<ClientMetrics> metrics;  // null: none
  std::unordered_set<Outgoing*> calls;
};

bool Client::Impl::Outgoing::Complete(bool) {
  if (client->failpoints != nullptr && status.ok() && TakenAfter()) return false;
  End(Result());
  return true;
}

void Client::Impl::Outgoing::End(const absl::Status& result) {
  client->calls.erase(this);
  const std::unique_ptr<Outgoing> self(this);
  if (client->metrics != nullptr) {
    client->metrics->calls[OutcomeOf(result)]->Increment();
    client->metrics->duration.Observe(std::chrono::duration<double>(Clock::now() - begun).count());
    client->metrics->in_flight.Set(static_cast<double>(client->calls.size()));
  }
  if (span.context.sampled) {
    span.end_unix_ns = UnixNanosNow();
    span.error = !result.ok();
    client->tracer.Finish(span);
  }
  // Last: it may destroy the client.
  done(result);
}

void Client::Impl::Outgoing::Send(std::string_view called) {
  reader = client->stub.PrepareUnaryCall(&context, std::string(called), request, client->queue.cq());
  reader->StartCall();
  reader->Finish(&bytes, &status, static_cast<Queue::Event*>(this));
}

void Client::Impl::Outgoing::Hold(Nanos delay, absl::AnyInvocable<void(bool late)> then) {
  const Clock::time_point now = Clock::now();
  const bool late = delay > deadline - now;
  hold = std::make_shared<boost::asio::steady_timer>(client->queue.loop().io(), late ? deadline : now + delay);
  hold->async_wait([weak = std::weak_ptr(hold), then = std::move(then), late](const auto& error) mutable {
    if (!error && !weak.expired()) then(late);
  });
}

// A call whose deadline comes first is never sent: gRPC counts in whole milliseconds, and one that leaves at its
// deadline may still be answered.
bool Client::Impl::Outgoing::TakenBefore(std::string_view called) {
  method = called;
  const failpoint::Decision decision = client->failpoints->Hit(kCallBefore, called);
  if (decision.action == Action::kDelay) {
    Hold(decision.delay, [this](bool late) {
      if (late) return End(absl::DeadlineExceededError("the deadline was over before the call was sent"));
      hold.reset();
      Send(method);
    });
    return true;
  }
  if (decision.action != Action::kError) return false;
  Hold(Nanos(0), [this](bool) { End(absl::UnavailableError("a failpoint failed the call before it was sent")); });
  return true;
}

bool Client::Impl::Outgoing::TakenAfter() {
  const failpoint::Decision decision = client->failpoints->Hit(kCallAfter, method);
  if (decision.action == Action::kNone) return false;
  const Nanos delay = decision.action == Action::kDelay ? decision.delay : Nanos::max();
  Hold(delay, [this](bool late) { End(late ? absl::DeadlineExceededError("no answer in time") : Result()); });
  return true;
}

absl::Status Client::Impl::Outgoing::Result() {
  if (!status.ok()) return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
  if (Decode(bytes, reply)) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the reply's ", bytes.Length(), " bytes are not a ", reply->GetTypeName()));
}

Client::Client(Queue& queue, std::string target, obs::Tracer& tracer, failpoint::Controller* failpoints,
               const MeteredAs& metered)
    : impl_(std::make_unique<Impl>(queue, target, tracer, failpoints, metered)) {}

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
  call->deadline = deadline;
  impl_->calls.insert(call);
  if (impl_->metrics != nullptr) {
    call->begun = Clock::now();
    impl_->metrics->in_flight.Set(static_cast<double>(impl_->calls.size()));
  }
  call->request = Encode(request);
  if (impl_->failpoints != nullptr && call->TakenBefore(method)) return;
  call->Send(method);
}

}  // namespace lab::rpc
