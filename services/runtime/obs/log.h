#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

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
  LogField(std::string_view k, int v) : key(k), value(int64_t{v}) {}
  LogField(std::string_view k, long v) : key(k), value(int64_t{v}) {}
  LogField(std::string_view k, unsigned long v) : key(k), value(uint64_t{v}) {}
};

// One JSON line to stderr: {"time":…,"level":…,"service":…,"event":"batch_flush_failed",…}. Events are stable snake_case
// names, units stand in the keys. Thread-safe; below the set level it costs one comparison. Never blocks longer than
// the write; a write that fails is dropped.
void Log(Level level, std::string_view event, std::initializer_list<LogField> fields = {});
void SetLogLevel(Level level);
void SetLogService(std::string_view name);

}  // namespace lab::obs
