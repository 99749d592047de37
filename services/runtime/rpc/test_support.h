#pragma once

#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/obs/trace.h"
#include "services/runtime/rpc/server.h"

namespace lab::rpc::testing {

using google::protobuf::StringValue;

inline constexpr char kEcho[] = "/lab.test.Echo/Echo";
inline constexpr char kHold[] = "/lab.test.Echo/Hold";

// How long a test waits for what must happen; never for what must not.
inline constexpr auto kPatience = std::chrono::seconds(20);

inline bool WaitUntil(const std::function<bool()>& condition) {
  const auto end = Clock::now() + kPatience;
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(Millis(1));
  }
  return true;
}

// A loop on a thread of its own.
class LoopThread {
 public:
  ~LoopThread() { Stop(); }
  void Start() {
    thread_ = std::thread([this] { loop.Run(); });
  }
  void Stop() {
    if (!thread_.joinable()) return;
    loop.Stop();
    thread_.join();
  }
  // Runs it on the loop and gives back what it returns.
  template <typename Function>
  auto Do(Function function) {
    std::packaged_task<decltype(function())()> task(std::move(function));
    auto result = task.get_future();
    loop.Post([&task] { task(); });
    return result.get();
  }

  async::Loop loop;

 private:
  std::thread thread_;
};

// A server with two methods: Echo answers what it is told (and fails with ABORTED when told to "fail"), Hold keeps the
// call until Release.
class EchoServer {
 public:
  explicit EchoServer(Server::Options options = {}, obs::Tracer::Options tracing = {})
      : tracer(tracing), server(std::make_unique<Server>(thread.loop, options, metrics, tracer)) {
    server->Register(kEcho, "test.echo", [](Call call) {
      StringValue message;
      if (!call.Parse(&message)) return;
      if (message.value() == "fail") return call.Fail(absl::AbortedError("told to fail"));
      call.Reply(message);
    });
    server->Register(kHold, "test.hold", [this](Call call) { held.push_back(call); });
    status = server->Start();
    port = server->port();
    thread.Start();
  }
  ~EchoServer() { thread.Stop(); }

  // Answers all held calls.
  void Release() {
    thread.Do([this] {
      for (Call& call : held) call.Reply(StringValue());
      held.clear();
    });
  }
  size_t held_count() {
    return thread.Do([this] { return held.size(); });
  }
  size_t in_flight() {
    return thread.Do([this] { return server->in_flight(); });
  }
  // Drains; false when it does not end.
  bool Drain(Nanos grace) {
    std::promise<void> done;
    thread.loop.Post([&, grace] { server->Drain(Clock::now() + grace, [&] { done.set_value(); }); });
    return done.get_future().wait_for(kPatience) == std::future_status::ready;
  }
  bool MetricsShow(const std::string& line) { return metrics.Text().find(line + "\n") != std::string::npos; }
  std::string target() const { return "127.0.0.1:" + std::to_string(port); }

  LoopThread thread;
  obs::Metrics metrics;
  obs::Tracer tracer;
  absl::Status status;
  int port = 0;
  std::vector<Call> held;
  std::unique_ptr<Server> server;
};

// A plain grpc++ client, as any user of the server would have.
class PlainClient {
 public:
  explicit PlainClient(const std::string& target) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  }
  template <typename Request, typename Response>
  grpc::Status Call(const char* method, const Request& request, Response* response,
                    grpc::ClientContext* context = nullptr) {
    grpc::ClientContext own;
    if (context == nullptr) {
      context = &own;
      own.set_deadline(std::chrono::system_clock::now() + kPatience);
    }
    const grpc::internal::RpcMethod rpc_method(method, grpc::internal::RpcMethod::NORMAL_RPC, channel);
    return grpc::internal::BlockingUnaryCall<Request, Response>(channel.get(), rpc_method, context, request, response);
  }
  grpc::Status Echo(const std::string& text, std::string* answer = nullptr, grpc::ClientContext* context = nullptr) {
    StringValue request, response;
    request.set_value(text);
    const grpc::Status status = Call(kEcho, request, &response, context);
    if (answer != nullptr) *answer = response.value();
    return status;
  }

  std::shared_ptr<grpc::Channel> channel;
};

}  // namespace lab::rpc::testing
