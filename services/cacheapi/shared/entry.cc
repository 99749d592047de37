#include "services/cacheapi/shared/entry.h"

#include <algorithm>
#include <limits>

#include "services/runtime/base/crc32c.h"

namespace lab::cacheapi {

namespace {

constexpr std::string_view kMagic("LC\x01", 3);
constexpr size_t kChecksumBytes = 4;
constexpr int64_t kMostDelta = std::numeric_limits<uint32_t>::max();

template <typename Number>
void Append(Number value, std::string& out) {
  const auto bits = static_cast<uint64_t>(value);
  for (size_t i = 0; i < sizeof(Number); ++i) out.push_back(static_cast<char>(bits >> (8 * i) & 0xff));
}

template <typename Number>
Number Take(std::string_view& bytes) {
  uint64_t bits = 0;
  for (size_t i = sizeof(Number); i-- > 0;) bits = bits << 8 | static_cast<uint8_t>(bytes[i]);
  bytes.remove_prefix(sizeof(Number));
  return static_cast<Number>(bits);
}

bool InBounds(const Entry& entry) {
  const bool negative = entry.kind == Entry::Kind::kNegative;
  return entry.version <= kMostVersion && entry.written_at >= 0 && entry.written_at <= entry.fresh_until &&
         entry.fresh_until <= entry.stale_until && entry.stale_until <= kMostTime &&
         entry.key.size() <= kMostKeyBytes && entry.body.size() <= kMostBodyBytes && !(negative && !entry.body.empty());
}

}  // namespace

std::string EncodeEntry(const Entry& entry) {
  std::string out;
  out.reserve(kEntryHeaderBytes + entry.key.size() + entry.body.size() + kChecksumBytes);
  out.append(kMagic);
  Append(static_cast<uint8_t>(entry.kind), out);
  Append(entry.version, out);
  Append(entry.written_at, out);
  Append(entry.fresh_until, out);
  Append(entry.stale_until, out);
  Append(static_cast<uint32_t>(std::clamp<int64_t>(entry.delta.count(), 0, kMostDelta)), out);
  Append(static_cast<uint32_t>(entry.key.size()), out);
  Append(static_cast<uint32_t>(entry.body.size()), out);
  out.append(entry.key);
  out.append(entry.body);
  Append(Crc32c(out), out);
  return out;
}

std::string_view Name(EntryError error) {
  switch (error) {
    case EntryError::kNone:
      return "none";
    case EntryError::kForeign:
      return "foreign";
    case EntryError::kTruncated:
      return "truncated";
    case EntryError::kCorrupt:
      return "corrupt";
    case EntryError::kInvalid:
      return "invalid";
    case EntryError::kWrongKey:
      return "wrong_key";
  }
  return "";
}

EntryError DecodeEntry(std::string_view bytes, std::string_view key, Entry& entry) {
  if (bytes.substr(0, kMagic.size()) != kMagic.substr(0, bytes.size())) return EntryError::kForeign;
  if (bytes.size() < kEntryHeaderBytes + kChecksumBytes) return EntryError::kTruncated;
  std::string_view checksum = bytes.substr(bytes.size() - kChecksumBytes);
  const std::string_view covered = bytes.substr(0, bytes.size() - kChecksumBytes);
  std::string_view rest = covered.substr(kMagic.size());
  Entry read;
  const auto kind = Take<uint8_t>(rest);
  read.version = Take<uint64_t>(rest);
  read.written_at = Take<UnixMillis>(rest);
  read.fresh_until = Take<UnixMillis>(rest);
  read.stale_until = Take<UnixMillis>(rest);
  read.delta = Micros(Take<uint32_t>(rest));
  const uint64_t key_bytes = Take<uint32_t>(rest);
  const uint64_t body_bytes = Take<uint32_t>(rest);
  if (key_bytes + body_bytes != rest.size()) return EntryError::kTruncated;
  if (Crc32c(covered) != Take<uint32_t>(checksum)) return EntryError::kCorrupt;
  if (kind > static_cast<uint8_t>(Entry::Kind::kNegative)) return EntryError::kInvalid;
  read.kind = static_cast<Entry::Kind>(kind);
  read.key = rest.substr(0, static_cast<size_t>(key_bytes));
  read.body = rest.substr(static_cast<size_t>(key_bytes));
  if (!InBounds(read)) return EntryError::kInvalid;
  if (read.key != key) return EntryError::kWrongKey;
  entry = read;
  return EntryError::kNone;
}

Freshness FreshnessOf(const Entry& entry, UnixMillis now) {
  if (now + kClocksDiffer.count() < entry.written_at) return Freshness::kStale;
  return now < entry.fresh_until ? Freshness::kFresh : now < entry.stale_until ? Freshness::kStale : Freshness::kOver;
}

}  // namespace lab::cacheapi
