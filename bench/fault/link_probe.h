#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "bench/fault/target.h"

namespace lab::bench {

// Questions over a link, in the protocol of the part behind it: by RESP where the link has a port "redis", by that of
// PostgreSQL where it has a port "postgres", else by HTTP on its port "http". Each on a connection of its own, through
// the proxy that clients go through.
class LinkProbe {
 public:
  enum class End {
    kAnswered,
    kRefused,  // nobody listens
    kCut,      // closed before the whole answer had come
    kReset,    // the same, by a reset
    kSilent,   // not answered in time
  };
  struct Result {
    End end = End::kSilent;
    Nanos took{};
    size_t received = 0;
  };

  explicit LinkProbe(FaultTarget& link);
  // Learns how large an answer is; over a link that is well.
  absl::Status Prepare();
  // At least that many bytes there and back.
  Result Exchange(size_t bytes, Nanos timeout) const;
  // How long the other side's end takes once it was answered and has been told that nothing more comes; kAnswered when
  // it has come.
  Result Close(Nanos timeout) const;
  size_t most_bytes() const { return protocol_ == Protocol::kHttp ? 64 << 10 : 1 << 20; }
  const char* question() const {
    return protocol_ == Protocol::kResp ? "PING" : protocol_ == Protocol::kPostgres ? "SELECT" : "GET";
  }

 private:
  enum class Protocol { kResp, kPostgres, kHttp };
  static Protocol ProtocolOf(const FaultTarget& link);
  std::string Question(size_t bytes) const;
  size_t Gets(size_t bytes) const;
  size_t AnswerBytes(size_t bytes) const;

  const Protocol protocol_;
  const int port_;
  std::string get_;
  size_t answer_bytes_ = 1;  // of one GET, or of a login and a SELECT of one byte
};

}  // namespace lab::bench
