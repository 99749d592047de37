// Single functions, by Google Benchmark.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/micro/sections.h"
#include "bench/model/histogram.h"
#include "services/ratelimit/decide.h"
#include "services/ratelimit/memory_store.h"
#include "services/runtime/base/random.h"
#include "services/runtime/obs/metrics.h"

namespace lab::bench {
namespace {

void HistogramAdd(benchmark::State& state) {
  Histogram histogram;
  Random random(1);
  std::vector<int64_t> values(4096);
  for (int64_t& value : values) value = static_cast<int64_t>(random.Exponential(1e6));
  size_t i = 0;
  for (auto _ : state) histogram.Add(values[i++ & 4095]);
}
BENCHMARK(HistogramAdd);

void MetricsObserve(benchmark::State& state) {
  obs::Metrics metrics;
  obs::Histogram& histogram = metrics.AddHistogram("bench_duration_seconds", "What it costs.", obs::LatencyBuckets());
  for (auto _ : state) histogram.Observe(0.0012);
}
BENCHMARK(MetricsObserve);

void Decide(benchmark::State& state) {
  const auto algorithm = static_cast<ratelimit::Algorithm>(state.range(0));
  const std::string_view name = ratelimit::Name(algorithm);
  state.SetLabel(std::string(name));
  const ratelimit::Limit limit = *ratelimit::MakeLimit(algorithm, 1'000, ratelimit::kSecondUs);
  const ratelimit::Term term{.limit = &limit};
  ratelimit::State kept;
  ratelimit::TermResult result;
  ratelimit::UnixMicros now = 1'800'000'000 * ratelimit::kSecondUs;
  for (auto _ : state) {
    now += 900;
    benchmark::DoNotOptimize(ratelimit::DecideRequest(absl::MakeConstSpan(&term, 1), absl::MakeSpan(&kept, 1), now,
                                                      absl::MakeSpan(&result, 1)));
  }
}
BENCHMARK(Decide)
    ->Arg(static_cast<int>(ratelimit::Algorithm::kFixedWindow))
    ->Arg(static_cast<int>(ratelimit::Algorithm::kSlidingCounter))
    ->Arg(static_cast<int>(ratelimit::Algorithm::kTokenBucket))
    ->Arg(static_cast<int>(ratelimit::Algorithm::kGcra));

}  // namespace

absl::Status BenchPieces(const Setup& setup) {
  std::string least = setup.quick ? "--benchmark_min_time=0.05" : "--benchmark_min_time=0.3";
  std::string program = "lab_bench";
  char* arguments[] = {program.data(), least.data(), nullptr};
  int count = 2;
  benchmark::Initialize(&count, arguments);
  benchmark::RunSpecifiedBenchmarks();
  return absl::OkStatus();
}

}  // namespace lab::bench
