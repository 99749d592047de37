#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "services/runtime/base/time.h"

namespace lab::obs {

enum class Level { kDebug, kInfo, kWarn, kError };

using LogValue = std::variant<std::string_view, int64_t, uint64_t, double, bool>;

struct LogField {
  std::string_view key;
  LogValue value;
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  template <typename T, typename = std::enable_if_t<std::is_integral_v<T>>>
  LogField(std::string_view k, T v) : key(k), value(Widest<T>(v)) {}

 private:
  template <typename T>
  using Widest = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
};

// One JSON line to stderr: {"time":…,"level":…,"service":…,"event":"batch_flush_failed",…}. Events are stable
// snake_case names, units stand in the keys. Thread-safe; below the set level it costs one comparison. Never blocks
// longer than the write; a write that fails is dropped. Values longer than 4 KiB are cut.
void Log(Level level, std::string_view event, std::initializer_list<LogField> fields = {});
void LogFields(Level level, std::string_view event, const std::vector<LogField>& fields);
// The same line as text, without its newline; for tests and for who writes elsewhere.
std::string LogLine(Level level, std::string_view event, const std::vector<LogField>& fields);
// From kInfo on by default.
void SetLogLevel(Level level);
void SetLogService(std::string_view name);

// Lines of one kind at most once in `every`, with the count of those left out; for failures that come by the thousand.
// One thread at a time.
class LogLimit {
 public:
  explicit LogLimit(Nanos every) : every_(every) {}
  // True when a line may be written now; `suppressed()` then says how many were not since the last one.
  bool Allow(Clock::time_point now);
  uint64_t suppressed() const { return suppressed_; }

 private:
  Nanos every_;
  Clock::time_point next_{};
  uint64_t since_ = 0;
  uint64_t suppressed_ = 0;
};

}  // namespace lab::obs
