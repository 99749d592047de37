#include "services/runtime/rpc/server.h"

#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.pb.h"
#include "services/runtime/rpc/server_impl.h"
#include "services/runtime/rpc/time.h"
#include "services/runtime/rpc/trace_metadata.h"

namespace lab::rpc {
namespace {

constexpr Nanos kGoaway = Millis(50);

constexpr std::string_view kHealthCheck = "/grpc.health.v1.Health/Check";
constexpr int kPrePostedHealth = 2;

constexpr std::array<std::string_view, 17> kCodeNames = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

// "/package.Service/Method" → "package.Service"
std::string_view ServiceOf(std::string_view method) {
  const size_t end = method.rfind('/');
  return method.substr(1, end - 1);
}

}  // namespace

void UnaryService::Add(const Method& method) {
  AddMethod(new grpc::internal::RpcServiceMethod(method.name.c_str(), grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
  MarkMethodRaw(method.index);
}

void UnaryService::Request(Call::State* state, grpc::ServerCompletionQueue* queue) {
  RequestAsyncUnary(state->method->index, &*state->context, &state->request, &*state->writer, queue, queue,
                    static_cast<Queue::Event*>(state));
}

ServerMetrics::ServerMetrics(obs::Metrics& metrics)
    : duration(metrics.AddHistogram("rpc_server_duration_seconds", "From the arrival of a call to its answer.",
                                    obs::LatencyBuckets())),
      in_flight(metrics.AddGauge("rpc_server_in_flight", "Calls that are not done with.")),
      connections(metrics.AddGauge("rpc_server_connections", "Open connections.")),
      refused_connections(
          metrics.AddCounter("rpc_server_refused_connections_total", "Connections refused at the bound.")),
      unread_replies(
          metrics.AddCounter("rpc_server_unread_replies_total", "Calls given up because the reply was not taken.")),
      received_bytes(metrics.AddCounter("rpc_server_received_bytes_total", "Bytes of request messages.")),
      sent_bytes(metrics.AddCounter("rpc_server_sent_bytes_total", "Bytes of response messages.")) {
  for (size_t code = 0; code < kCodeNames.size(); ++code) {
    calls[code] = &metrics.AddCounter("rpc_server_calls_total", "Answered calls by gRPC status code.",
                                      {{"code", std::string(kCodeNames[code])}});
  }
}

Server::Impl::Impl(std::unique_ptr<Queue> own, Queue& shared, Options with, obs::Metrics& to, obs::Tracer& spans)
    : owned_queue(std::move(own)),
      queue(shared),
      loop(queue.loop()),
      options(std::move(with)),
      metrics(to),
      tracer(spans),
      reflection(queue),
      connections(
          loop, options.max_connections, [this](int fd) { grpc::AddInsecureChannelFromFd(server.get(), fd); },
          [this] { metrics.refused_connections.Increment(); }),
      unread(loop.io()),
      goaway(loop.io()),
      self(std::make_shared<Impl*>(this)) {
  AddHealth();
  loop.AtTurnEnd(async::Loop::Phase::kReply, [impl = self] {
    if (*impl != nullptr) (*impl)->EndTurn();
  });
}

Server::Impl::~Impl() {
  ending = true;
  if (server != nullptr && !draining) BeginDrain(Clock::now(), [] {});
  on_drained = nullptr;  // whoever waited is not told by a destructor
  while (server != nullptr && !drained) {
    queue.Pump();
    EndTurn();
  }
  *self = nullptr;
}

void Server::Impl::AddMethod(std::string name, std::string_view span, Handler handler, int pre_posted, bool internal) {
  const int index = static_cast<int>(methods.size());
  methods.push_back({std::move(name), span, std::move(handler), index, pre_posted, internal});
  idle.emplace_back();
  service.Add(methods.back());
}

void Server::Impl::AddHealth() {
  const auto check = [this](Call call) {
    grpc::health::v1::HealthCheckRequest request;
    if (!call.Parse(&request)) return;
    const auto asked = [&](const Method& method) { return ServiceOf(method.name) == request.service(); };
    if (!request.service().empty() && std::none_of(methods.begin(), methods.end(), asked)) {
      return call.Fail(absl::NotFoundError(absl::StrCat("no service \"", request.service(), "\" here")));
    }
    grpc::health::v1::HealthCheckResponse response;
    response.set_status(serving && !draining ? grpc::health::v1::HealthCheckResponse::SERVING
                                             : grpc::health::v1::HealthCheckResponse::NOT_SERVING);
    call.Reply(response);
  };
  AddMethod(std::string(kHealthCheck), "rpc.health_check", check, kPrePostedHealth, true);
}

absl::Status Server::Impl::Start() {
  if (absl::Status status = connections.Listen(options.host, options.port); !status.ok()) return status;
  auto& builder = queue.builder();
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.RegisterService(&service);
  builder.RegisterService(&reflection);
  server = builder.BuildAndStart();
  if (server == nullptr) return absl::InternalError("gRPC could not build the server");
  for (const Method& method : methods) reflection.AddService(std::string(ServiceOf(method.name)));
  reflection.Start();
  for (Method& method : methods) {
    for (int i = 0; i < method.pre_posted; ++i) Request(method);
  }
  WatchReplies();
  return absl::OkStatus();
}

void Server::Impl::Request(Method& method) {
  auto& free = idle[method.index];
  if (free.empty()) {
    states.push_back(std::make_unique<Call::State>(this, &method));
    free.push_back(states.back().get());
  }
  Call::State* state = free.back();
  free.pop_back();
  state->phase = Call::State::Phase::kWaiting;
  state->context.emplace();
  state->writer.emplace(&*state->context);
  ++waiting;
  service.Request(state, queue.cq());
}

void Server::Impl::Arrived(Call::State* state) {
  if (!draining) Request(*state->method);
  state->phase = Call::State::Phase::kServing;
  ++in_flight;
  state->start = loop.turn_time();
  state->request_bytes = state->request.Length();
  received_bytes += static_cast<double>(state->request_bytes);
  if (!state->method->internal) StartTrace(state);
  Call call(state);
  if (ending) return call.Fail(absl::UnavailableError("the server is being destroyed"));
  if (in_flight > static_cast<size_t>(options.max_in_flight)) {
    return call.Fail(absl::ResourceExhaustedError(
        absl::StrCat("more than ", options.max_in_flight, " calls in flight on this server")));
  }
  // The client has given up: work for it would be in vain, and what it charges would be charged for nothing. The clock
  // is read again, because the call may have come later than its turn began.
  const Clock::time_point deadline = call.deadline();
  if (deadline != Clock::time_point::max() && deadline <= Clock::now()) {
    return call.Fail(absl::DeadlineExceededError("the deadline of the call was over when it arrived"));
  }
  state->method->handler(call);
}

void Server::Impl::StartTrace(Call::State* state) {
  const obs::TraceContext parent = TraceparentOf(*state->context);
  state->trace = tracer.StartSpan(parent);
  if (!state->trace.sampled) return;
  state->parent_span_id = parent.span_id;
  state->start_unix_ns = UnixNanosNow();
}

void Server::Impl::Release(Call::State* state) {
  state->writer.reset();
  state->context.reset();
  state->request.Clear();
  state->reply = {};
  state->phase = Call::State::Phase::kIdle;
  ++state->generation;
  idle[state->method->index].push_back(state);
}

void Server::Impl::EndTurn() {
  if (!answered.empty()) SendReplies();
  if (in_flight != shown_in_flight) metrics.in_flight.Set(static_cast<double>(shown_in_flight = in_flight));
  if (connections.open() != shown_connections) {
    metrics.connections.Set(static_cast<double>(shown_connections = connections.open()));
  }
  if (draining) ContinueDrain();
}

void Server::Impl::SendReplies() {
  const auto now = Clock::now();
  const bool cork = options.cork && answered.size() > 1;
  if (cork) connections.Cork();
  for (Call::State* state : answered) {
    if (!state->method->internal) Record(*state, now);
    state->phase = Call::State::Phase::kSent;
    state->sent_at = now;
    state->writer->Finish(state->reply, state->status, static_cast<Queue::Event*>(state));
  }
  if (cork) connections.Uncork();
  answered.clear();
  metrics.received_bytes.Increment(std::exchange(received_bytes, 0));
  metrics.sent_bytes.Increment(std::exchange(sent_bytes, 0));
}

void Server::Impl::WatchReplies() {
  unread.expires_after(options.reply_timeout / 2);
  unread.async_wait([impl = self](boost::system::error_code error) {
    if (error || *impl == nullptr) return;
    (*impl)->GiveUpUnread();
    (*impl)->WatchReplies();
  });
}

// Looks at all calls that there ever were at once, which costs next to nothing; a list of them would cost each call.
void Server::Impl::GiveUpUnread() {
  const Clock::time_point taken_by = Clock::now() - options.reply_timeout;
  for (const auto& state : states) {
    if (state->phase != Call::State::Phase::kSent || state->sent_at > taken_by) continue;
    state->sent_at = Clock::time_point::max();  // once
    state->context->TryCancel();
    metrics.unread_replies.Increment();
  }
}

void Server::Impl::Record(const Call::State& state, Clock::time_point now) {
  const bool ok = state.status.ok();
  metrics.calls[state.status.error_code()]->Increment();
  metrics.duration.Observe(std::chrono::duration<double>(now - state.start).count());
  if (ok) sent_bytes += static_cast<double>(state.reply.bytes.size());
  if (!state.trace.sampled) return;
  tracer.Finish({.context = state.trace,
                 .parent_span_id = state.parent_span_id,
                 .name = state.method->span,
                 .kind = obs::SpanKind::kServer,
                 .start_unix_ns = state.start_unix_ns,
                 .end_unix_ns = UnixNanosNow(),
                 .error = !ok});
}

void Server::Impl::BeginDrain(Clock::time_point deadline, absl::AnyInvocable<void()> done) {
  if (draining) throw std::logic_error("a server is drained once");
  draining = true;
  on_drained = std::move(done);
  connections.StopAccepting();
  reflection.Stop();
  if (server == nullptr) {
    shut_down = true;
    return queue.Wake();
  }
  goaway.expires_after(kGoaway);
  goaway.async_wait([](boost::system::error_code) {});  // its turn ends in ContinueDrain
  shutdown = std::thread([this, when = ToTimespec(deadline)] {
    server->Shutdown(when);
    shut_down = true;
    queue.Wake();
  });
}

void Server::Impl::ContinueDrain() {
  if (drained) return;
  if (!shut_down) {
    if (server != nullptr && in_flight == 0 && Clock::now() >= goaway.expiry() && !std::exchange(hung_up, true)) {
      connections.HangUp();
    }
    return;
  }
  if (!std::exchange(given_up, true)) {
    for (auto& state : states) {
      if (state->phase == Call::State::Phase::kServing) {
        Call(state.get()).Fail(absl::CancelledError("the server stopped before the call was answered"));
      }
    }
    if (!answered.empty()) SendReplies();
  }
  if (waiting > 0 || in_flight > 0 || !reflection.idle()) return;
  drained = true;
  if (shutdown.joinable()) shutdown.join();
  // Last: `done` may destroy the server.
  if (auto done = std::exchange(on_drained, nullptr)) done();
}

Server::Server(async::Loop& loop, Options options, obs::Metrics& metrics, obs::Tracer& tracer) {
  auto own = std::make_unique<Queue>(loop);
  Queue& queue = *own;
  impl_ = std::make_unique<Impl>(std::move(own), queue, std::move(options), metrics, tracer);
}

Server::Server(Queue& queue, Options options, obs::Metrics& metrics, obs::Tracer& tracer)
    : impl_(std::make_unique<Impl>(nullptr, queue, std::move(options), metrics, tracer)) {}

Server::~Server() = default;

void Server::Register(std::string method, std::string_view span, Handler handler) {
  impl_->AddMethod(std::move(method), span, std::move(handler), impl_->options.pre_posted, false);
}

absl::Status Server::Start() { return impl_->Start(); }
int Server::port() const { return impl_->connections.port(); }
void Server::SetServing(bool serving) { impl_->serving = serving; }

void Server::Drain(Clock::time_point deadline, absl::AnyInvocable<void()> done) {
  impl_->BeginDrain(deadline, std::move(done));
}

size_t Server::in_flight() const { return impl_->in_flight; }
Queue& Server::queue() { return impl_->queue; }

}  // namespace lab::rpc
