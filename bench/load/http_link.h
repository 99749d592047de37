#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/load/link.h"

namespace lab::bench {

// One HTTP/1.1 connection with keep-alive and one call at a time.
class HttpLink : public Link {
 public:
  HttpLink(LinkContext& context, const Endpoint& endpoint, Return returns);

  bool idle() const { return up() && in_flight() == 0 && !closing_; }
  // On an idle link, or on one that is still connecting: it leaves when the link is up.
  void Send(Call& call);
  // HTTP/1.1 cannot cancel: the connection is closed.
  void Forget(Call& call);

 protected:
  void Opened() override;
  absl::Status Received(std::string_view bytes, int64_t at) override;
  bool MayHaveArrived(const Call& call) const override;
  void Closed() override;

 private:
  std::string in_;
  bool closing_ = false;  // the answer was the last one of this connection
};

}  // namespace lab::bench
