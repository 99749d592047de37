#include "bench/proxy/stage.h"

namespace lab::proxy {

void Stage::Take(Chunk chunk, Clock::time_point now) {
  if (finished_ || end_) return;
  Arrived(chunk, now);
  queue_.Push(std::move(chunk));
}

void Stage::TakeEnd(End end, Clock::time_point now) {
  if (finished_ || end_) return;
  end_ = end;
  end_at_ = now;
}

void Stage::Advance(Clock::time_point now, Outlet& out) {
  if (!finished_) Work(now, out);
}

void Stage::Leave(Clock::time_point /*now*/, Outlet& out) {
  if (!finished_) PassAll(out);
}

void Stage::Finish(End end, Outlet& out) {
  finished_ = true;
  queue_.Clear();
  out.Finish(end);
}

void Stage::PassAll(Outlet& out) {
  while (!queue_.empty()) out.Pass(queue_.Pop());
  if (end_) Finish(*end_, out);
}

}  // namespace lab::proxy
