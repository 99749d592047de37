#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/runtime/base/time.h"

namespace lab::cacheapi {

// Milliseconds of the Unix epoch on the clock of the server that keeps the entries (Redis TIME), which all replicas
// share.
using UnixMillis = int64_t;

// What is stored in Redis (L2) under a key.
struct Entry {
  enum class Kind : uint8_t { kValue, kNegative };
  uint64_t version = 0;  // of the row that the body was computed from, at most kMostVersion
  UnixMillis written_at = 0;
  UnixMillis fresh_until = 0;  // written_at <= fresh_until <= stale_until <= kMostTime
  UnixMillis stale_until = 0;
  Micros delta{0};  // what it took to compute, for XFetch; stored as 0 … 2^32 - 1
  Kind kind = Kind::kValue;
  std::string_view key;   // at most kMostKeyBytes; stored, so that a value under a wrong key is seen
  std::string_view body;  // at most kMostBodyBytes; empty when negative
};

// What a double holds exactly: a script in Redis compares versions as such.
inline constexpr uint64_t kMostVersion = (uint64_t{1} << 53) - 1;
inline constexpr UnixMillis kMostTime = 7'258'118'400'000;  // the year 2200: nanoseconds of it still fit into 64 bits
inline constexpr size_t kMostKeyBytes = 1024;
inline constexpr size_t kMostBodyBytes = 4 << 20;

// The stored form: little-endian, no padding.
//
//   0  "LC" 1 kind   4  u64 version     12  i64 written_at    20  i64 fresh_until    28  i64 stale_until
//   36 u32 delta/us  40 u32 key bytes   44  u32 body bytes    48  key  body  u32 CRC-32C of all that stands before
//
// A script reads the version by struct.unpack('<I8', v, 5), once it has seen that v begins with "LC\1".
inline constexpr size_t kEntryHeaderBytes = 48;
inline constexpr size_t kEntryVersionAt = 4;

// The entry must keep the bounds above.
std::string EncodeEntry(const Entry& entry);

// Why stored bytes are no entry. Each is a miss; the caller counts them by these names.
enum class EntryError : uint8_t {
  kNone,
  kForeign,    // of another program, or another version of this form
  kTruncated,  // shorter or longer than it says
  kCorrupt,    // the checksum is another
  kInvalid,    // whole, but out of bounds: who wrote it is at fault
  kWrongKey,   // of another key
};
std::string_view Name(EntryError error);  // "none", "foreign", …

// Reads what is stored under `key`. `entry` is written only on kNone; its views are into `bytes`.
EntryError DecodeEntry(std::string_view bytes, std::string_view key, Entry& entry);

// So much two replicas may differ in what they know of the server's clock, each by half of a round trip on a busy host
// (store_clock.h): what one of them has just written may be of another's future.
inline constexpr Millis kClocksDiffer{100};

// Whether a reader may still have it at `now`. What was written later than that, and by more than clocks differ, is from
// before the server's clock went back: stale, because nobody knows how old it is.
enum class Freshness : uint8_t { kFresh, kStale, kOver };
Freshness FreshnessOf(const Entry& entry, UnixMillis now);

}  // namespace lab::cacheapi
