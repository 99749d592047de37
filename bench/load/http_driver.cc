#include "bench/load/http_driver.h"

#include <memory>
#include <utility>

namespace lab::bench {

HttpDriver::HttpDriver(Poller& poller, CallSink& sink, std::vector<Endpoint> endpoints) : LinkPool(poller, sink) {
  for (Endpoint& endpoint : endpoints) {
    pools_.push_back({std::move(endpoint), {}});
    for (size_t i = 0; i < kFirstLinks; ++i) Grow(pools_.back());
  }
}

void HttpDriver::Open() {
  for (size_t i = 0; i < links_.size(); ++i) links_[i]->Open();
}

bool HttpDriver::Ready() const {
  for (const auto& link : links_) {
    if (!link->up()) return false;
  }
  return true;
}

Driver::Sent HttpDriver::Send(Call& call) {
  bool away = true;
  for (size_t tried = 0; tried < pools_.size(); ++tried) {
    Pool& pool = pools_[next_pool_];
    next_pool_ = (next_pool_ + 1) % pools_.size();
    bool pool_away = true;
    HttpLink* link = Take(pool, &pool_away);
    if (link != nullptr) {
      link->Send(call);
      return Sent::kYes;
    }
    away &= pool_away;
  }
  return away ? Sent::kNoConnection : Sent::kNoRoom;
}

void HttpDriver::Forget(Call& call) { static_cast<HttpLink*>(call.link)->Forget(call); }

HttpLink& HttpDriver::Grow(Pool& pool) {
  const auto returns = pool.links.size() < kFirstLinks ? Link::Return::kByItself : Link::Return::kWhenOpened;
  auto link = std::make_unique<HttpLink>(context_, pool.endpoint, returns);
  pool.links.push_back(link.get());
  links_.push_back(std::move(link));
  return *pool.links.back();
}

// Always the first one: those that are needed seldom are idle for long.
HttpLink* HttpDriver::Take(Pool& pool, bool* away) {
  HttpLink* closed = nullptr;
  for (HttpLink* link : pool.links) {
    if (link->idle()) return link;
    *away &= link->down();
    if (closed == nullptr && link->down() && !link->returns_by_itself()) closed = link;
  }
  if (*away || (closed == nullptr && pool.links.size() == kMostLinks)) return nullptr;
  HttpLink& link = closed != nullptr ? *closed : Grow(pool);
  link.Open();
  return link.down() ? nullptr : &link;
}

}  // namespace lab::bench
