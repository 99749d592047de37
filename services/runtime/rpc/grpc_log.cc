#include "services/runtime/rpc/grpc_log.h"

#include <grpc/support/log.h>

#include <mutex>
#include <string_view>

#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"

namespace lab::rpc {
namespace {

obs::Level LevelOf(gpr_log_severity severity) {
  if (severity == GPR_LOG_SEVERITY_DEBUG) return obs::Level::kDebug;
  return severity == GPR_LOG_SEVERITY_INFO ? obs::Level::kInfo : obs::Level::kError;
}

std::string_view FileName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// gRPC's threads log as well as ours.
struct Limits {
  std::mutex mutex;
  obs::LogLimit of[3] = {obs::LogLimit(std::chrono::seconds(1)), obs::LogLimit(std::chrono::seconds(1)),
                         obs::LogLimit(std::chrono::seconds(1))};
};

// Never destroyed: gRPC may still log while the process ends.
Limits& AllLimits() {
  static auto* const limits = new Limits;
  return *limits;
}

void Write(gpr_log_func_args* line) {
  uint64_t left_out = 0;
  {
    Limits& limits = AllLimits();
    const std::lock_guard lock(limits.mutex);
    obs::LogLimit& limit = limits.of[static_cast<size_t>(line->severity)];
    if (!limit.Allow(Clock::now())) return;
    left_out = limit.suppressed();
  }
  obs::Log(LevelOf(line->severity), "grpc_log",
           {{"message", line->message},
            {"source", Concat(FileName(line->file), ":", line->line)},
            {"suppressed_lines", left_out}});
}

}  // namespace

void RouteGrpcLog() { gpr_set_log_function(&Write); }

}  // namespace lab::rpc
