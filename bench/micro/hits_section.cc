// What the cache within the process keeps: hit ratio by eviction policy and size, on a Zipf load and on a trace.
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bench/load/keys.h"
#include "bench/micro/sections.h"
#include "bench/micro/trace_replay.h"
#include "services/runtime/base/file.h"

namespace lab::bench {
namespace {

using eviction::EvictionKind;

constexpr size_t kMostTraceBytes = size_t{4} << 30;
constexpr uint32_t kZipfKeys = 100'000;
constexpr size_t kZipfRequests = 2'000'000;

// LRU on the trace OLTP, by entries: Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST
// 2003, table II.
constexpr size_t kOltpRequests = 914'145;
constexpr std::pair<size_t, double> kOltpLru[] = {{1'000, 32.83}, {2'000, 42.47}, {5'000, 53.65}, {10'000, 60.70}};

absl::StatusOr<std::string> ReadTrace(const std::string& path) {
  if (!absl::EndsWith(path, ".zst")) return ReadFile(path, kMostTraceBytes);
  if (absl::StrContains(path, '\'')) return absl::InvalidArgumentError("a path of a .zst with a ' in it is not read");
  std::FILE* pipe = popen(absl::StrCat("zstd -dc -- '", path, "'").c_str(), "r");
  if (pipe == nullptr) return absl::UnavailableError("zstd could not be started; apt-get install zstd");
  std::string text;
  std::vector<char> block(1 << 16);
  while (const size_t size = std::fread(block.data(), 1, block.size(), pipe)) text.append(block.data(), size);
  const int status = pclose(pipe);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    return absl::NotFoundError("zstd is not here; apt-get install zstd, or unpack the trace");
  }
  if (status != 0) return absl::DataLossError(absl::StrCat("zstd could not read ", path));
  return text;
}

// By the name that traces of each format usually have.
TraceFormat FormatOf(const TraceOptions& options) {
  if (const auto given = TraceFormatOf(options.format)) return *given;
  if (absl::StrContains(options.path, ".lis")) return TraceFormat::kArc;
  if (absl::StrContains(options.path, "oracleGeneral")) return TraceFormat::kOracleGeneral;
  return TraceFormat::kKeys;
}

Trace ZipfTrace(double exponent) {
  KeySpec spec;
  spec.kind = KeySpec::Kind::kZipf;
  spec.exponent = exponent;
  spec.count = kZipfKeys;
  KeySampler keys(spec, 7);
  Trace trace;
  trace.reserve(kZipfRequests);
  for (size_t i = 0; i < kZipfRequests; ++i) trace.push_back(keys.Next());
  return trace;
}

double Percent(const Trace& trace, EvictionKind kind, size_t entries) {
  return 100 * Replay(trace, kind, entries).hit_ratio();
}

std::optional<double> Published(const Trace& trace, size_t entries) {
  if (trace.size() != kOltpRequests) return std::nullopt;
  for (const auto& [size, ratio] : kOltpLru) {
    if (size == entries) return ratio;
  }
  return std::nullopt;
}

void Print(const std::string& title, const Trace& trace, const std::vector<size_t>& sizes) {
  std::printf("\n  %s\n  %10s %9s %9s %9s\n", title.c_str(), "entries", "lru", "s3fifo", "tinylfu");
  for (const size_t entries : sizes) {
    const double lru = Percent(trace, EvictionKind::kLru, entries);
    const double s3fifo = Percent(trace, EvictionKind::kS3Fifo, entries);
    const double tinylfu = Percent(trace, EvictionKind::kTinyLfu, entries);
    std::printf("  %10zu %8.2f%% %8.2f%% %8.2f%%", entries, lru, s3fifo, tinylfu);
    if (const std::optional<double> published = Published(trace, entries)) {
      const double better = std::max(s3fifo, tinylfu);
      std::printf("  LRU published %.2f%%, within 1 point: %s", *published,
                  std::abs(lru - *published) <= 1 ? "yes" : "NO");
      if (entries == 1'000)
        std::printf("; better by %.1f, >= 4 points: %s", better - lru, better - lru >= 4 ? "yes" : "NO");
    }
    std::printf("\n");
    std::fflush(stdout);
  }
}

}  // namespace

absl::Status BenchHits(const TraceOptions& options) {
  std::printf("\nhits: what a cache of so many entries, all of one size, keeps; begins empty, first misses count\n");
  if (options.path.empty()) {
    for (const double exponent : {0.7, 1.0}) {
      Print(absl::StrCat("Zipf ", exponent, " over ", kZipfKeys, " keys, ", kZipfRequests, " requests, seed 7"),
            ZipfTrace(exponent), {100, 1'000, 10'000, 50'000});
    }
    return absl::OkStatus();
  }
  const absl::StatusOr<std::string> text = ReadTrace(options.path);
  if (!text.ok()) return text.status();
  const absl::StatusOr<Trace> trace = ParseTrace(*text, FormatOf(options));
  if (!trace.ok())
    return absl::Status(trace.status().code(), absl::StrCat(options.path, ": ", trace.status().message()));
  if (trace->empty()) return absl::InvalidArgumentError(absl::StrCat(options.path, ": no request is in it"));
  Print(absl::StrCat(options.path, ", ", trace->size(), " requests"), *trace, {500, 1'000, 2'000, 5'000, 10'000});
  return absl::OkStatus();
}

}  // namespace lab::bench
