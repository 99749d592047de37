#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/load/driver.h"
#include "bench/load/poller.h"

namespace lab::bench {

struct Endpoint {
  std::string name;  // "127.0.0.1:8081"
  sockaddr_in address{};
};
absl::StatusOr<Endpoint> ParseEndpoint(const std::string& text);

class Link;

// What the connections of a driver share.
struct LinkContext {
  Poller& poller;
  CallSink& sink;
  std::vector<Link*> dirty;  // have something to write
  absl::Status problem;      // the first failure to connect or to talk
};

// A non-blocking TCP connection that comes back after it was lost, with a bounded exponential backoff (10 … 100 ms: the
// services are local, and the load should find them again soon after a restart), or only when Open is called again.
// Keeps the calls that are in flight on it. What is to be written gathers in out_ until Flush.
class Link : public Poller::Handler {
 public:
  enum class Return : uint8_t { kByItself, kWhenOpened };
  Link(LinkContext& context, const Endpoint& endpoint, Return returns = Return::kByItself);
  ~Link() override;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void Open();
  bool up() const { return state_ == State::kUp; }
  bool down() const { return state_ == State::kDown; }
  bool returns_by_itself() const { return returns_ == Return::kByItself; }
  // When a lost connection is tried again; INT64_MAX while there is nothing to do.
  int64_t retry_at() const { return retry_at_; }
  // Closes; calls in flight end as lost or refused. What returns by itself opens again at once when `retry_ns` is 0.
  void Lose(std::string_view why, int64_t retry_ns);
  void Flush();
  void Ready(uint32_t events) override;

 protected:
  // Connected: say hello.
  virtual void Opened() = 0;
  // Bytes arrived, the last of them at `at` (monotonic). An error closes the connection; CANCELLED is an orderly end,
  // after which it opens again at once.
  virtual absl::Status Received(std::string_view bytes, int64_t at) = 0;
  // Puts what the protocol has to say into out_.
  virtual void Produce() {}
  // The connection is gone: drop the protocol's state. Returns whether `call` may have reached the other side.
  virtual bool MayHaveArrived(const Call& call) const = 0;
  virtual void Closed() = 0;

  void MarkDirty();
  void Attach(Call& call);
  void Detach(Call& call);
  size_t in_flight() const { return calls_.size(); }
  void ResetBackoff() { backoff_ns_ = 0; }

  LinkContext& context_;
  const Endpoint endpoint_;
  std::string out_;
  std::vector<Call*> calls_;

 private:
  enum class State { kDown, kConnecting, kUp };
  void FinishConnect();
  void Read();
  void Write();
  bool WatchWritable(bool wanted);  // false: the connection was lost over it
  int64_t NextBackoff();

  const Return returns_;
  State state_ = State::kDown;
  int fd_ = -1;
  bool dirty_ = false;
  bool watching_writable_ = false;
  size_t written_ = 0;  // of out_
  int64_t backoff_ns_ = 0;
  int64_t retry_at_ = INT64_MAX;
};

}  // namespace lab::bench
