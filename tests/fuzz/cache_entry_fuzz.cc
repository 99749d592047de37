#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/cacheapi/model/window.h"
#include "services/cacheapi/shared/entry.h"
#include "services/runtime/base/crc32c.h"

namespace {

using namespace lab::cacheapi;

void CheckRead(std::string_view bytes, std::string_view key) {
  Entry entry;
  if (DecodeEntry(bytes, key, entry) != EntryError::kNone) return;
  // What is taken for an entry keeps the bounds, has this key, and is exactly what would be written for it.
  const bool bounded = entry.version <= kMostVersion && entry.written_at <= entry.fresh_until &&
                       entry.fresh_until <= entry.stale_until && entry.body.size() <= kMostBodyBytes;
  if (!bounded || entry.key != key || EncodeEntry(entry) != bytes) __builtin_trap();
}

}  // namespace

// Bytes from Redis, which anybody may have written: an entry of this key, or one of the errors. The key is the input's
// own, where one stands in its place, so that the fuzzer gets past it; and so is the checksum, a second time.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string key;
  if (size > kEntryHeaderBytes + 4) {
    const size_t key_bytes = data[40] | data[41] << 8;
    key = bytes.substr(kEntryHeaderBytes, key_bytes);
    CheckRead(bytes, key);
    std::string sealed(bytes.substr(0, size - 4));
    const uint32_t crc = lab::Crc32c(sealed);
    for (int shift = 0; shift < 32; shift += 8) sealed.push_back(static_cast<char>(crc >> shift & 0xff));
    CheckRead(sealed, key);
  }
  CheckRead(bytes, "insights:{acme}:w=24h");
  // The same bytes as what a client sends.
  if (CheckBrand(bytes).ok() && (size == 0 || size > kMostBrandBytes || bytes.find('}') != bytes.npos))
    __builtin_trap();
  if (const auto window = ParseWindow(bytes); window.ok() && Name(*window) != bytes) __builtin_trap();
  return 0;
}
