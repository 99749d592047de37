#include "services/runtime/obs/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <mutex>

#include "absl/strings/str_format.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::obs {
namespace {

constexpr size_t kLongestValue = 4096;

std::atomic<Level> minimum_level{Level::kInfo};

struct ServiceName {
  std::mutex mutex;
  std::string name = "lab";
};

// Never destroyed: threads may still log while the process ends.
ServiceName& Service() {
  static auto* const service = new ServiceName;
  return *service;
}

std::string_view LevelName(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
  }
  return "info";
}

std::string TimeText() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                         utc.tm_hour, utc.tm_min, utc.tm_sec, static_cast<int>(now.tv_nsec / 1000));
}

struct AppendValue {
  std::string& out;
  void operator()(std::string_view text) const { AppendJson(out, text.substr(0, kLongestValue)); }
  void operator()(int64_t value) const { out += std::to_string(value); }
  void operator()(uint64_t value) const { out += std::to_string(value); }
  void operator()(double value) const { out += JsonNumber(value); }
  void operator()(bool value) const { out += value ? "true" : "false"; }
};

}  // namespace

std::string LogLine(Level level, std::string_view event, const std::vector<LogField>& fields) {
  std::string line = Concat("{\"time\":\"", TimeText(), "\",\"level\":\"", LevelName(level), "\",\"service\":");
  {
    const std::lock_guard lock(Service().mutex);
    AppendJson(line, Service().name);
  }
  line += ",\"event\":";
  AppendJson(line, event);
  for (const LogField& field : fields) {
    line += ',';
    AppendJson(line, field.key);
    line += ':';
    std::visit(AppendValue{line}, field.value);
  }
  line += '}';
  return line;
}

void Log(Level level, std::string_view event, std::initializer_list<LogField> fields) {
  if (level >= minimum_level.load(std::memory_order_relaxed)) LogFields(level, event, fields);
}

void LogFields(Level level, std::string_view event, const std::vector<LogField>& fields) {
  if (level < minimum_level.load(std::memory_order_relaxed)) return;
  const std::string line = LogLine(level, event, fields) + '\n';
  std::string_view rest = line;
  // One write in nearly every case, so that lines of several threads do not mix.
  while (!rest.empty()) {
    const ssize_t written = write(STDERR_FILENO, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

void SetLogLevel(Level level) { minimum_level.store(level, std::memory_order_relaxed); }

void SetLogService(std::string_view name) {
  const std::lock_guard lock(Service().mutex);
  Service().name = name;
}

bool LogLimit::Allow(Clock::time_point now) {
  if (now < next_) {
    ++since_;
    return false;
  }
  next_ = now + every_;
  suppressed_ = since_;
  since_ = 0;
  return true;
}

}  // namespace lab::obs
