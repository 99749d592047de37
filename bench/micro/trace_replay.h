#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/runtime/eviction/eviction.h"

namespace lab::bench {

// The keys of a trace in the order they were asked for.
using Trace = std::vector<uint64_t>;

enum class TraceFormat : uint8_t {
  // "start count ignored request", one request a line for `count` blocks from `start`: Megiddo and Modha, "ARC: A
  // Self-Tuning, Low Overhead Replacement Cache", FAST 2003.
  kArc,
  // A key a line: a decimal number or any text. (Texts are told apart by 64 bits of hash.)
  kKeys,
  // libCacheSim's records of 24 bytes, little-endian: u32 time, u64 key, u32 size, i64 next access.
  kOracleGeneral,
};
// "arc", "keys", "oracle_general".
std::optional<TraceFormat> TraceFormatOf(std::string_view name);

// At most kMostTraceRequests; what is not of the format is an error with its line or record. Empty lines are skipped.
inline constexpr size_t kMostTraceRequests = 100'000'000;
absl::StatusOr<Trace> ParseTrace(std::string_view text, TraceFormat format);

struct ReplayResult {
  uint64_t requests = 0;
  uint64_t hits = 0;
  double hit_ratio() const { return requests == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(requests); }
};

// Replays a trace against a cache of `entries` entries, all of one size, as published figures count; it begins empty,
// and its first misses count too. `entries` is at least 1.
ReplayResult Replay(const Trace& trace, eviction::EvictionKind kind, size_t entries);

}  // namespace lab::bench
