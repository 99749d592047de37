#include "bench/load/grpc_driver.h"

#include <memory>

namespace lab::bench {
namespace {

// Links take calls in turn, a few at a time: calls of one turn that share a link share a write here and a read there.
constexpr int kDealtInARow = 8;

}  // namespace

GrpcDriver::GrpcDriver(Poller& poller, CallSink& sink, const std::string& path, const std::vector<Endpoint>& endpoints)
    : LinkPool(poller, sink) {
  for (int i = 0; i < kLinksPerEndpoint; ++i) {
    for (const Endpoint& endpoint : endpoints) links_.push_back(std::make_unique<GrpcLink>(context_, endpoint, path));
  }
}

void GrpcDriver::Open() {
  for (size_t i = 0; i < links_.size(); ++i) links_[i]->Open();
}

bool GrpcDriver::Ready() const {
  for (size_t i = 0; i < links_.size(); ++i) {
    if (!link(i).warm()) return false;
  }
  return true;
}

Driver::Sent GrpcDriver::Send(Call& call) {
  if (dealt_ == kDealtInARow) {
    dealt_ = 0;
    current_ = (current_ + 1) % links_.size();
  }
  for (size_t tried = 0; tried < links_.size(); ++tried) {
    GrpcLink& candidate = link(current_);
    if (candidate.usable() && candidate.Send(call)) {
      ++dealt_;
      return Sent::kYes;
    }
    dealt_ = 0;
    current_ = (current_ + 1) % links_.size();
  }
  return Sent::kNoConnection;
}

void GrpcDriver::Forget(Call& call) { static_cast<GrpcLink*>(call.link)->Forget(call); }

void GrpcDriver::Flush() {
  LinkPool::Flush();
  if (dealt_ == 0) return;
  dealt_ = 0;
  current_ = (current_ + 1) % links_.size();
}

}  // namespace lab::bench
