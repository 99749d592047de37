#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "bench/load/poller.h"
#include "bench/load/target.h"

namespace lab::bench {

class Link;

// One operation in flight. The generator owns it and sets the upper part; the lower part belongs to the driver from
// Send until the operation has ended or was forgotten.
struct Call {
  std::string_view request;   // framed; lives until the call has ended
  std::string own_request;    // holds `request` where it is not cached
  size_t op = 0;              // which operation of its load
  int64_t patience_from = 0;  // when its client began to wait for this attempt: the intended time, or that of the retry
  uint16_t stream = 0;
  uint16_t load = 0;
  Call* earlier = nullptr;  // in flight of the same load, by `patience_from`
  Call* later = nullptr;

  Link* link = nullptr;
  size_t place = 0;  // among the calls of the link
  int32_t stream_id = 0;
  size_t written = 0;  // bytes of the request already in frames
  int http_status = 0;
  int grpc_status = -1;
  std::string reply;      // what has arrived of the body
  std::string_view head;  // of HTTP: of its answer, while CallSink::Ended is told
};

// How a call ended. Refused: certainly not processed. Lost: sent, and then the connection or the stream broke, so it
// may have happened.
enum class Ending { kAnswered, kRefused, kLost };

class CallSink {
 public:
  virtual ~CallSink() = default;
  // Exactly once for each call sent and not forgotten, on the thread of the poller, never inside Send or Forget.
  // `code` and `body` as Target::read wants them; for refused and lost calls `code` says why. `at` is monotonic.
  virtual void Ended(Call& call, Ending ending, int code, std::string_view body, int64_t at) = 0;
};

// All connections to the endpoints of one target, used in turn; lost ones come back by themselves. One thread.
class Driver {
 public:
  virtual ~Driver() = default;
  // Starts to connect; Ready when every connection is up and warm. A failure until then is `problem`.
  virtual void Open() = 0;
  virtual bool Ready() const = 0;
  virtual absl::Status problem() const = 0;

  enum class Sent {
    kYes,           // leaves with the next Flush
    kNoConnection,  // none is up: certainly not processed
    kNoRoom,        // the bound on connections is reached
  };
  virtual Sent Send(Call& call) = 0;
  // The caller has given up: tells the other side where the protocol can, and ignores a late answer.
  virtual void Forget(Call& call) = 0;
  // One write for each connection that has something to say.
  virtual void Flush() = 0;
  // When OnTimer wants to run next, monotonic; INT64_MAX for not at all.
  virtual int64_t next_timer() const = 0;
  virtual void OnTimer(int64_t now) = 0;
};

// How `protocol` writes a body: length-prefixed for gRPC, a whole request for HTTP; the body alone without `path`,
// which then is the whole request.
std::string FrameRequest(Protocol protocol, const std::string& path, std::string_view body);

// `endpoints` are "host:port" with a numeric IPv4 host or "localhost".
absl::StatusOr<std::unique_ptr<Driver>> MakeDriver(const Target& target, const std::vector<std::string>& endpoints,
                                                   Poller& poller, CallSink& sink);

}  // namespace lab::bench
