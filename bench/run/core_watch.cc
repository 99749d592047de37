#include "bench/run/core_watch.h"

#include <sys/prctl.h>

#include <algorithm>

#include "bench/host/cores.h"

namespace lab::bench {
namespace {

constexpr Millis kTurn{1};
constexpr Millis kLeast{1}, kLeastUnprivileged{20};
constexpr size_t kMostWaits = 100'000;
constexpr size_t kMostCores = 16;  // of a larger host the first ones

double Seconds(Nanos time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

CoreWatch::CoreWatch(Clock::time_point zero) : zero_(zero) {
  std::vector<int> cores = AllowedCores(kMostCores);
  if (cores.empty()) cores.push_back(0);  // one watch at least
  waits_.resize(cores.size());
  for (size_t i = 0; i < cores.size(); ++i) {
    threads_.emplace_back([this, core = cores[i], &waits = waits_[i]] { Watch(core, waits); });
  }
}

CoreWatch::~CoreWatch() { (void)Stop(); }

std::vector<Wait> CoreWatch::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  std::vector<Wait> all;
  for (const std::vector<Wait>& waits : waits_) all.insert(all.end(), waits.begin(), waits.end());
  std::sort(all.begin(), all.end(), [](const Wait& a, const Wait& b) { return a.at_s < b.at_s; });
  return all;
}

void CoreWatch::Watch(int core, std::vector<Wait>& waits) const {
  PinTo(core);  // where that is refused it watches wherever it runs
  prctl(PR_SET_NAME, "core watch");
  prctl(PR_SET_TIMERSLACK, 1UL);
  const Nanos least = MakeRealtime(1) ? kLeast : kLeastUnprivileged;
  while (!stopping_) {
    const Clock::time_point due = Clock::now() + kTurn;
    std::this_thread::sleep_until(due);
    const Clock::time_point now = Clock::now();
    if (now - due >= least && waits.size() < kMostWaits) waits.push_back({Seconds(due - zero_), Seconds(now - due)});
  }
}

}  // namespace lab::bench
