#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lab::bench {

struct MetricSample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

struct MetricsText {
  std::vector<MetricSample> samples;
  size_t malformed = 0;  // lines that could not be read
  bool cut = false;      // there was more than `max_samples`
};

// Reads the Prometheus text format 0.0.4. Never fails: comments and time stamps are passed over, malformed lines
// counted. At most `max_samples` are kept, lines above 4 KiB are malformed. Histogram buckets are left out (`_sum` and
// `_count` stay): nothing names them, and they are most of the text.
MetricsText ParseMetricsText(std::string_view text, size_t max_samples = 20'000);

}  // namespace lab::bench
