#include "bench/observe/observer.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bench/observe/http_get.h"
#include "bench/observe/metrics_text.h"
#include "bench/observe/process_figures.h"
#include "bench/observe/resp.h"

namespace lab::bench {
namespace {

constexpr Nanos kTimeout = Millis(300);
constexpr size_t kMaxSeries = 5'000;

// What INFO of Redis says that a lab may want to name; the rest of it is text or never changes.
constexpr absl::string_view kRedisFields[] = {"used_memory",
                                              "used_memory_rss",
                                              "connected_clients",
                                              "blocked_clients",
                                              "total_commands_processed",
                                              "instantaneous_ops_per_sec",
                                              "total_connections_received",
                                              "evicted_keys",
                                              "expired_keys",
                                              "keyspace_hits",
                                              "keyspace_misses",
                                              "used_cpu_sys",
                                              "used_cpu_user",
                                              "total_net_input_bytes",
                                              "total_net_output_bytes"};

using SeriesKey = std::tuple<std::string, std::string, std::map<std::string, std::string>>;

}  // namespace

struct Observer::Impl {
  std::vector<Observed> parts;
  ObserverOptions options;
  std::thread thread;
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;

  // Written by the observer's thread; read after it has ended.
  std::map<SeriesKey, std::vector<std::pair<Clock::time_point, double>>> series;
  std::map<std::string, std::vector<Clock::time_point>> gaps;
  std::map<std::string, size_t> malformed;  // part → lines
  std::map<std::string, size_t> left_out;   // part → samples
  std::vector<ObservedValue> look;          // the current one, when somebody wants it

  void Keep(const std::string& part, const std::string& name, const std::map<std::string, std::string>& labels,
            Clock::time_point at, double value) {
    if (options.on_look && look.size() < kMaxSeries) look.push_back({part, name, labels, value});
    if (!options.keep) return;
    auto found = series.find(SeriesKey{part, name, labels});
    if (found == series.end()) {
      if (series.size() >= kMaxSeries) {
        ++left_out[part];
        return;
      }
      found = series.emplace(SeriesKey{part, name, labels}, 0).first;
    }
    found->second.emplace_back(at, value);
  }

  void Gap(const std::string& part, Clock::time_point at) {
    if (options.keep) gaps[part].push_back(at);
  }

  void LookAtProcess(const Observed& part) {
    const pid_t pid = part.pid ? part.pid() : 0;
    if (pid <= 0) return;
    const std::optional<ProcessFigures> figures = part.family ? ReadFamily(pid) : ReadProcess(pid);
    if (!figures) return;
    const Clock::time_point at = Clock::now();
    Keep(part.part, "process_cpu_seconds_total", part.labels, at, figures->cpu_s);
    Keep(part.part, "process_resident_memory_bytes", part.labels, at, figures->memory_bytes);
    Keep(part.part, "process_threads", part.labels, at, figures->threads);
    Keep(part.part, "process_major_faults_total", part.labels, at, static_cast<double>(figures->major_faults));
  }

  void LookAtMetrics(const Observed& part) {
    const absl::StatusOr<HttpAnswer> answer = HttpGet(part.host, part.metrics_port, "/metrics", kTimeout);
    const Clock::time_point at = Clock::now();
    if (!answer.ok() || answer->status != 200) {
      Gap(part.part, at);
      return;
    }
    const MetricsText text = ParseMetricsText(answer->body);
    if (text.malformed > 0) malformed[part.part] += text.malformed;
    if (text.cut) ++left_out[part.part];
    for (const MetricSample& sample : text.samples) {
      // The process figures come from /proc for every part alike.
      if (sample.name.rfind("process_", 0) == 0) continue;
      std::map<std::string, std::string> labels = sample.labels;
      labels.insert(part.labels.begin(), part.labels.end());
      Keep(part.part, sample.name, labels, at, sample.value);
    }
  }

  void LookAtRedis(const Observed& part) {
    RespConnection connection(part.host, part.redis_port);
    const absl::StatusOr<RespValue> info = connection.Command({"INFO"}, kTimeout);
    const Clock::time_point at = Clock::now();
    if (!info.ok() || info->kind != RespValue::Kind::kText) {
      Gap(part.part, at);
      return;
    }
    for (absl::string_view line : absl::StrSplit(info->text, '\n')) {
      const std::pair<absl::string_view, absl::string_view> field = absl::StrSplit(line, absl::MaxSplits(':', 1));
      for (const absl::string_view wanted : kRedisFields) {
        double value = 0;
        if (field.first == wanted && absl::SimpleAtod(absl::StripSuffix(field.second, "\r"), &value)) {
          Keep(part.part, absl::StrCat("redis_", wanted), part.labels, at, value);
        }
      }
    }
  }

  void Ask(const Observed& part) {
    const absl::StatusOr<std::map<std::string, double>> values = part.ask(kTimeout);
    const Clock::time_point at = Clock::now();
    if (!values.ok()) {
      Gap(part.part, at);
      return;
    }
    for (const auto& [name, value] : *values) Keep(part.part, name, part.labels, at, value);
  }

  void LookAtAll() {
    look.clear();
    LookAtEach();
    if (options.on_look) options.on_look(look);
  }

  void LookAtEach() {
    if (const std::optional<HostFigures> host = ReadHost()) {
      const Clock::time_point at = Clock::now();
      Keep("host", "host_cpu_seconds_total", {}, at, host->cpu_s);
      Keep("host", "host_steal_seconds_total", {}, at, host->steal_s);
    }
    for (const Observed& part : parts) LookAtProcess(part);  // at once, before anybody's time-out
    for (const Observed& part : parts) {
      if (part.metrics_port != 0) LookAtMetrics(part);
      if (part.redis_port != 0) LookAtRedis(part);
      if (part.ask) Ask(part);
    }
  }

  void Run() {
    Clock::time_point next = Clock::now();
    std::unique_lock lock(mutex);
    while (!stop) {
      lock.unlock();
      LookAtAll();
      lock.lock();
      next = std::max(next + options.every, Clock::now());
      wake.wait_until(lock, next, [&] { return stop; });
    }
    lock.unlock();
    LookAtAll();
  }
};

Observer::Observer(std::vector<Observed> parts, ObserverOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->parts = std::move(parts);
  impl_->options = std::move(options);
}

Observer::~Observer() { Stop(); }

void Observer::Start() {
  impl_->thread = std::thread([this] { impl_->Run(); });
}

void Observer::Stop() {
  if (!impl_->thread.joinable()) return;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
}

std::vector<Series> Observer::Take(Clock::time_point zero) {
  std::vector<Series> taken;
  taken.reserve(impl_->series.size());
  for (auto& [key, samples] : impl_->series) {
    Series series;
    std::tie(series.part, series.name, series.labels) = key;
    for (const auto& [at, value] : samples) {
      series.samples.emplace_back(std::chrono::duration<double>(at - zero).count(), value);
    }
    taken.push_back(std::move(series));
  }
  impl_->series.clear();
  return taken;
}

std::vector<std::string> Observer::Problems() const {
  std::vector<std::string> problems;
  for (const auto& [part, lines] : impl_->malformed) {
    problems.push_back(absl::StrCat(part, " told metrics that could not be read: ", lines, " lines"));
  }
  for (const auto& [part, samples] : impl_->left_out) {
    problems.push_back(absl::StrCat(part, " told more series than are kept (", kMaxSeries,
                                    " in all, 20,000 a page): ", samples, " samples were left out"));
  }
  return problems;
}

std::map<std::string, std::vector<double>> Observer::Gaps(Clock::time_point zero) const {
  std::map<std::string, std::vector<double>> gaps;
  for (const auto& [part, times] : impl_->gaps) {
    for (const Clock::time_point at : times) gaps[part].push_back(std::chrono::duration<double>(at - zero).count());
  }
  return gaps;
}

}  // namespace lab::bench
