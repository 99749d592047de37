#include "bench/load/http_driver.h"

#include <memory>
#include <utility>

namespace lab::bench {

HttpDriver::HttpDriver(Poller& poller, CallSink& sink, std::vector<Endpoint> endpoints) : LinkPool(poller, sink) {
  for (Endpoint& endpoint : endpoints) {
    pools_.push_back({std::move(endpoint), {}, 0});
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
    HttpLink* link = Idle(pool, &pool_away);
    if (link == nullptr && !pool_away && pool.links.size() < kMostLinks) {
      link = &Grow(pool);
      link->Open();
      if (link->down()) link = nullptr;
    }
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
  auto link = std::make_unique<HttpLink>(context_, pool.endpoint);
  pool.links.push_back(link.get());
  links_.push_back(std::move(link));
  return *pool.links.back();
}

HttpLink* HttpDriver::Idle(Pool& pool, bool* away) {
  for (size_t tried = 0; tried < pool.links.size(); ++tried) {
    HttpLink* link = pool.links[pool.next];
    pool.next = (pool.next + 1) % pool.links.size();
    if (link->idle()) return link;
    *away &= link->down();
  }
  return nullptr;
}

}  // namespace lab::bench
