#include "bench/load/generator.h"

#include <sys/prctl.h>
#include <time.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "bench/host/cores.h"
#include "bench/load/engine.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

double ThreadCpuSeconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

}  // namespace

struct Generator::Impl {
  explicit Impl(Options options) : cpu(options.cpu), wants_realtime(options.realtime), engine(std::move(options)) {}

  absl::Status RunOnThisThread() {
    prctl(PR_SET_NAME, "load");
    // The default slack of 50 us would be the generator's lag.
    prctl(PR_SET_TIMERSLACK, 1UL);
    if (cpu >= 0 && !PinTo(cpu)) {
      return absl::InvalidArgumentError(Concat("cannot pin the generator to CPU ", cpu, ": ", std::strerror(errno)));
    }
    // On a single core a generator that cannot keep up would leave nothing to the system under test.
    realtime = wants_realtime && std::thread::hardware_concurrency() > 1 && MakeRealtime(0);
    const absl::Status status = engine.Run();
    cpu_s = ThreadCpuSeconds();
    return status;
  }

  const int cpu;
  const bool wants_realtime;
  bool realtime = false;
  Engine engine;
  double cpu_s = 0;
};

Generator::Generator(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Generator::~Generator() = default;

absl::Status Generator::Connect() { return impl_->engine.Connect(); }

absl::Status Generator::Run() {
  absl::Status status;
  std::thread thread([&] { status = impl_->RunOnThisThread(); });
  thread.join();
  return status;
}

void Generator::Stop() { impl_->engine.Stop(); }

void Generator::SetRateFactor(double factor) { impl_->engine.SetRateFactor(factor); }

std::vector<Op> Generator::TakeOps() { return impl_->engine.TakeOps(); }

const std::vector<StreamInfo>& Generator::streams() const { return impl_->engine.streams(); }

double Generator::cpu_s() const { return impl_->cpu_s; }

const Histogram& Generator::lag() const { return impl_->engine.lag(); }

uint64_t Generator::dropped() const { return impl_->engine.dropped(); }

bool Generator::realtime() const { return impl_->realtime; }

int64_t Generator::started_unix_ns() const { return impl_->engine.started_unix_ns(); }

}  // namespace lab::bench
