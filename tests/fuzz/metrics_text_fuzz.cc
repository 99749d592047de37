#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bench/observe/metrics_text.h"

// The text comes from a part that may be broken on purpose. Nothing that is kept may exceed the bound.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMost = 100;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const lab::bench::MetricsText metrics = lab::bench::ParseMetricsText(text, kMost);
  if (metrics.samples.size() > kMost) __builtin_trap();
  for (const lab::bench::MetricSample& sample : metrics.samples) {
    if (sample.name.empty()) __builtin_trap();
  }
  return 0;
}
