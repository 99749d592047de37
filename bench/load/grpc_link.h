#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "bench/load/link.h"

namespace lab::bench {

// Headers of every request of a driver, laid out once. HPACK sends each as one byte after its first time.
class GrpcHeaders {
 public:
  GrpcHeaders(const std::string& path, const std::string& authority);
  const nghttp2_nv* data() const { return fields_.data(); }
  size_t size() const { return fields_.size(); }

 private:
  std::string path_, authority_;
  std::array<nghttp2_nv, 7> fields_;
};

// One HTTP/2 connection that speaks gRPC: length-prefixed messages, status in the trailers, or in the only headers of a
// trailers-only answer. (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)
class GrpcLink : public Link {
 public:
  GrpcLink(LinkContext& context, const Endpoint& endpoint, const std::string& path);

  // SETTINGS and a PING have gone round: the other side speaks HTTP/2 and is awake.
  bool warm() const { return warm_; }
  // Whether a new call may use it.
  bool usable() const { return up() && !going_away_; }
  // False when the session takes no more requests.
  bool Send(Call& call);
  void Forget(Call& call);

 protected:
  void Opened() override;
  absl::Status Received(std::string_view bytes, int64_t at) override;
  void Produce() override;
  bool MayHaveArrived(const Call& call) const override;
  void Closed() override;

 private:
  struct SessionDeleter {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };
  using SessionPtr = std::unique_ptr<nghttp2_session, SessionDeleter>;
  struct Callbacks;

  void StreamClosed(Call& call, uint32_t error_code);

  const GrpcHeaders headers_;
  SessionPtr session_;
  int64_t received_at_ = 0;       // when the bytes being read came
  int32_t last_stream_sent_ = 0;  // requests up to this one have been put into frames
  bool warm_ = false;
  bool going_away_ = false;
};

}  // namespace lab::bench
