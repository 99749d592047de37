#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// How the cache-aside API calls things, for whoever asks it or looks into its Redis (services/cacheapi: model/window.h,
// model/split_key.h, shared/shared_cache.h, shared/version_keys.h). No I/O.
namespace lab::bench::cacheapi {

inline constexpr std::array<const char*, 5> kWindows = {"1h", "6h", "24h", "7d", "30d"};
inline constexpr const char* kDefaultWindow = "24h";  // of a request that names none

// Key i of a load stands for the brand "brand-<i>" of the seed (deploy/sql/insights/seed.sql).
std::string BrandOf(uint32_t key);
// The other way round; none for a brand that no seed has made.
std::optional<uint32_t> KeyOf(std::string_view brand);

std::string EntryKey(std::string_view brand, std::string_view window);  // "insights:{brand-7}:w=24h"
std::string LeaseKey(std::string_view entry);                           // "lease:insights:{brand-7}:w=24h"

// The name of something that the API keeps about a brand, taken apart:
//   "insights:{brand-7}:w=24h"       an entry
//   "insights:{brand-7#3}:w=24h"     a copy of it, made because it is hot
//   "insights:{brand-7}:w=24h:v=12"  an entry of just that version, where keys are versioned
//   "version:{brand-7}"              the version that readers go by there
struct StoredName {
  enum class Kind : uint8_t { kEntry, kVersion } kind = Kind::kEntry;
  std::string brand, window;  // no window of kVersion
  std::optional<uint64_t> copy, version;
};
// None: it is something else (a lease, a filter, of another program).
std::optional<StoredName> ParseStoredName(std::string_view key);

}  // namespace lab::bench::cacheapi
