#pragma once

#include <cstdint>
#include <string_view>

// The stored form of an entry, as far as one who only looks has to read it (services/cacheapi/shared/entry.h is the
// whole; shared/lua/entry.lua reads the same head). No I/O.
namespace lab::bench::cacheapi {

// What lies under the key of an entry.
struct Stored {
  enum class Kind : uint8_t { kNone, kValue, kTombstone, kOther } kind = Kind::kNone;
  uint64_t version = 0;  // of kValue and kTombstone; versions are counted from 1, that of the beginning
  bool operator==(const Stored& other) const { return kind == other.kind && version == other.version; }
  bool IsValue(uint64_t v) const { return kind == Kind::kValue && version == v; }
};

struct StoredEntry {
  Stored stored;
  int64_t fresh_until_ms = 0;  // of a value: milliseconds of the Unix epoch
};

// Of bytes that are there: kOther for what is neither an entry nor a tombstone.
StoredEntry ReadStored(std::string_view bytes);

}  // namespace lab::bench::cacheapi
