#include "bench/live/server.h"

#include <utility>

#include "bench/live/pages.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {

Server::Server(Hub& hub, Control* control, Options options)
    : pages_(std::make_unique<Pages>(hub, control, std::move(options))) {}

Server::~Server() {
  if (!thread_.joinable()) return;
  pages_->Stop();
  thread_.join();
}

absl::Status Server::Start() {
  const absl::Status started = pages_->Start();
  if (started.ok()) thread_ = StartQuietThread([this] { pages_->Run(); });
  return started;
}

int Server::port() const { return pages_->port(); }
const std::string& Server::token() const { return pages_->token(); }
std::string Server::url() const { return Concat("http://127.0.0.1:", port(), "/"); }

}  // namespace lab::bench::live
