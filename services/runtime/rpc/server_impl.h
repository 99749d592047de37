#pragma once

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "services/runtime/rpc/call_state.h"
#include "services/runtime/rpc/connections.h"
#include "services/runtime/rpc/reflection.h"

namespace lab::rpc {

// A gRPC service made at run time: its methods take and give bytes, so no generated code is needed.
class UnaryService final : public grpc::Service {
 public:
  void Add(const Method& method);  // name and index stay
  void Request(Call::State* state, grpc::ServerCompletionQueue* queue);
};

struct ServerMetrics {
  explicit ServerMetrics(obs::Metrics& metrics);

  std::array<obs::Counter*, 17> calls;  // by status code
  obs::Histogram& duration;
  obs::Gauge& in_flight;
  obs::Gauge& connections;
  obs::Counter& refused_connections;
  obs::Counter& unread_replies;
  obs::Counter& received_bytes;
  obs::Counter& sent_bytes;
};

struct Server::Impl {
  Impl(std::unique_ptr<Queue> own, Queue& shared, Options with, obs::Metrics& metrics, obs::Tracer& spans);
  ~Impl();

  void AddMethod(std::string name, std::string_view span, Handler handler, int pre_posted, bool internal);
  void AddHealth();
  absl::Status Start();
  void Request(Method& method);
  void Arrived(Call::State* state);
  void StartTrace(Call::State* state);
  void Release(Call::State* state);
  // The reply hook of the loop.
  void EndTurn();
  void SendReplies();
  void WatchReplies();
  void GiveUpUnread();
  void Record(const Call::State& state, Clock::time_point now);
  void BeginDrain(Clock::time_point deadline, absl::AnyInvocable<void()> done);
  // Goes on with the drain where it can: gives up what is left after the deadline, ends when nothing is alive.
  void ContinueDrain();

  std::unique_ptr<Queue> owned_queue;
  Queue& queue;
  async::Loop& loop;
  const Options options;
  ServerMetrics metrics;
  obs::Tracer& tracer;

  std::deque<Method> methods;
  UnaryService service;
  Reflection reflection;
  Connections connections;
  std::unique_ptr<grpc::Server> server;
  bool serving = true;

  std::vector<std::unique_ptr<Call::State>> states;  // all that were ever needed
  std::vector<std::vector<Call::State*>> idle;       // by method
  std::vector<Call::State*> answered;                // in this turn
  size_t waiting = 0;                                // requests posted to gRPC
  size_t in_flight = 0;
  size_t shown_in_flight = 0;  // by the gauges
  size_t shown_connections = 0;
  double received_bytes = 0;  // since the last replies
  double sent_bytes = 0;

  bool draining = false;
  bool ending = false;  // in the destructor: what the handlers use may be gone
  bool drained = false;
  boost::asio::steady_timer unread;  // until replies are looked at that nobody may be taking
  boost::asio::steady_timer goaway;  // while it runs, clients may answer the GOAWAY by closing
  bool hung_up = false;
  bool given_up = false;  // on calls that outlasted the drain's deadline
  std::atomic<bool> shut_down = false;
  std::thread shutdown;  // grpc::Server::Shutdown blocks, and needs the queue to be drained meanwhile
  absl::AnyInvocable<void()> on_drained;
  // What the hook in the loop holds: the loop outlives the server.
  std::shared_ptr<Impl*> self;
};

}  // namespace lab::rpc
