#include "bench/load/link_pool.h"

#include <algorithm>

namespace lab::bench {

void LinkPool::Flush() {
  // By index: a link that is lost while it writes may mark others dirty.
  for (size_t i = 0; i < context_.dirty.size(); ++i) context_.dirty[i]->Flush();
  context_.dirty.clear();
}

int64_t LinkPool::next_timer() const {
  int64_t next = INT64_MAX;
  for (const std::unique_ptr<Link>& link : links_) next = std::min(next, link->retry_at());
  return next;
}

void LinkPool::OnTimer(int64_t now) {
  for (const std::unique_ptr<Link>& link : links_) {
    if (link->retry_at() <= now) link->Open();
  }
}

}  // namespace lab::bench
