#include "bench/cacheapi/stored_entry.h"

#include <cstddef>

namespace lab::bench::cacheapi {
namespace {

constexpr std::string_view kEntry("LC\1", 3), kTombstone("LT\1", 3);
constexpr size_t kHeadBytes = 48, kVersionAt = 4, kFreshUntilAt = 20;
constexpr size_t kTombstoneBytes = 11, kBuriedVersionAt = 3;

uint64_t LittleEndian(std::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return number;
}

}  // namespace

StoredEntry ReadStored(std::string_view bytes) {
  if (bytes.substr(0, kEntry.size()) == kEntry && bytes.size() >= kHeadBytes) {
    return {{Stored::Kind::kValue, LittleEndian(bytes.substr(kVersionAt))},
            static_cast<int64_t>(LittleEndian(bytes.substr(kFreshUntilAt)))};
  }
  if (bytes.substr(0, kTombstone.size()) == kTombstone && bytes.size() == kTombstoneBytes) {
    return {{Stored::Kind::kTombstone, LittleEndian(bytes.substr(kBuriedVersionAt))}, 0};
  }
  return {{Stored::Kind::kOther, 0}, 0};
}

}  // namespace lab::bench::cacheapi
