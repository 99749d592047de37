#include "services/runtime/obs/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <sstream>
#include <utility>

#include "services/runtime/obs/process.h"

namespace lab::obs {
namespace {

prometheus::MetricFamily Single(std::string name, std::string help, prometheus::MetricType type, double value) {
  prometheus::MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = type;
  prometheus::ClientMetric metric;
  metric.counter.value = value;
  metric.gauge.value = value;
  family.metric.push_back(std::move(metric));
  return family;
}

void AppendProcess(std::vector<prometheus::MetricFamily>& families) {
  using prometheus::MetricType;
  const ProcessUsage usage = ReadProcessUsage();
  families.push_back(
      Single("process_cpu_seconds_total", "User and system CPU time spent", MetricType::Counter, usage.cpu_seconds));
  families.push_back(
      Single("process_resident_memory_bytes", "Resident memory", MetricType::Gauge, usage.resident_bytes));
  families.push_back(Single("process_threads", "Threads of the process", MetricType::Gauge, usage.threads));
  families.push_back(Single("process_open_fds", "Open file descriptors", MetricType::Gauge, usage.open_fds));
  families.push_back(Single("process_max_fds", "Bound on open file descriptors", MetricType::Gauge, usage.max_fds));
  families.push_back(Single("process_start_time_seconds", "Start of the process since the Unix epoch",
                            MetricType::Gauge, usage.start_unix_seconds));
}

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::AddCounter(const std::string& name, const std::string& help, const Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(labels);
}

Gauge& Metrics::AddGauge(const std::string& name, const std::string& help, const Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(labels);
}

Histogram& Metrics::AddHistogram(const std::string& name, const std::string& help,
                                 const std::vector<double>& upper_bounds, const Labels& labels) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry).Add(labels, upper_bounds);
}

std::string Metrics::Text() const {
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  AppendProcess(families);
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return std::move(out).str();
}

const std::vector<double>& LatencyBuckets() {
  static const std::vector<double> buckets = {50e-6, 100e-6, 250e-6, 500e-6, 1e-3,   2.5e-3, 5e-3, 7.5e-3, 10e-3,
                                              25e-3, 50e-3,  100e-3, 250e-3, 500e-3, 1,      2.5,  5,      10};
  return buckets;
}

}  // namespace lab::obs
