#include "bench/micro/external_client.h"

#include <sys/resource.h>

#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bench/run/process.h"

namespace lab::bench {
namespace {

// Of the children that have been waited for.
double ChildrenCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

absl::StatusOr<ClosedLoopResult> ReadClientLine(const std::string& line) {
  std::map<std::string, double> values;
  for (const absl::string_view word : absl::StrSplit(line, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(word, absl::MaxSplits('=', 1));
    double value = 0;
    if (absl::SimpleAtod(absl::StripSuffix(parts.second, "us"), &value)) values[parts.first] = value;
  }
  for (const char* name : {"rps", "p50", "p99", "ok", "over", "err"}) {
    if (!values.contains(name)) return absl::InvalidArgumentError(absl::StrCat("the client did not print ", name, "="));
  }
  if (values["over"] > 0 || values["err"] > 0) {
    return absl::InternalError(
        absl::StrCat("the client saw ", values["err"], " calls fail and ", values["over"], " over the limit"));
  }
  ClosedLoopResult result;
  result.calls_per_s = values["rps"];
  result.p50_us = values["p50"];
  result.p99_us = values["p99"];
  result.calls = static_cast<uint64_t>(values["ok"]);
  if (result.calls == 0) return absl::UnavailableError("no call of the client was answered");
  return result;
}

absl::StatusOr<ClosedLoopResult> MeasureWithClient(const std::string& client, const ClosedLoop& what) {
  const CpuMeter server(what.server), redis(what.redis);
  const double client_before = ChildrenCpuSeconds();
  const absl::StatusOr<std::string> line =
      CaptureOutput(client,
                    {client, what.address, "bench", what.key, absl::StrCat(what.keys), absl::StrCat(what.outstanding),
                     absl::StrCat(what.seconds)},
                    std::chrono::milliseconds(static_cast<int64_t>(what.seconds * 1e3) + 10'000));
  if (!line.ok()) return line.status();
  absl::StatusOr<ClosedLoopResult> result = ReadClientLine(*line);
  if (!result.ok()) return result;
  result->server_us = server.PerCall(result->calls);
  result->redis_us = redis.PerCall(result->calls);
  result->client_us = (ChildrenCpuSeconds() - client_before) * 1e6 / static_cast<double>(result->calls);
  return result;
}

}  // namespace lab::bench
