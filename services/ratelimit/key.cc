#include "services/ratelimit/key.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>

#include "absl/strings/numbers.h"

namespace lab::ratelimit {

namespace {

constexpr std::string_view kHex = "0123456789abcdef";

constexpr std::array<bool, 256> MakePlain() {
  std::array<bool, 256> plain{};
  for (int c = 0x21; c < 0x7f; ++c) plain[static_cast<size_t>(c)] = true;
  for (const char c : {'%', '=', '|', '{', '}', '~'}) plain[static_cast<size_t>(c)] = false;
  return plain;
}
constexpr std::array<bool, 256> kPlain = MakePlain();

void AppendEscaped(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const auto* special =
        std::find_if(text.begin(), text.end(), [](char c) { return !kPlain[static_cast<uint8_t>(c)]; });
    const auto plain = static_cast<size_t>(special - text.begin());
    out.append(text.substr(0, plain));
    if (plain == text.size()) return;
    const auto byte = static_cast<uint8_t>(*special);
    out.push_back('%');
    out.push_back(kHex[byte >> 4]);
    out.push_back(kHex[byte & 15]);
    text.remove_prefix(plain + 1);
  }
}

void AppendNumber(int64_t value, std::string& out) {
  char digits[absl::numbers_internal::kFastToBufferSize];
  const char* end = absl::numbers_internal::FastIntToBuffer(value, digits);
  out.append(digits, static_cast<size_t>(end - digits));
}

// Whole seconds as "60s", anything else in microseconds.
void AppendWindow(int64_t window_us, std::string& out) {
  const bool whole = window_us % kSecondUs == 0;
  AppendNumber(whole ? window_us / kSecondUs : window_us, out);
  out.append(whole ? "s" : "us");
}

void Shorten(size_t start, std::string& out) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(out.data()) + start, out.size() - start, digest);
  constexpr size_t kDigestBytes = 16;
  out.resize(start + kMaxKeyBytes - 1 - 2 * kDigestBytes);
  out.push_back('~');
  for (size_t i = 0; i < kDigestBytes; ++i) {
    out.push_back(kHex[digest[i] >> 4]);
    out.push_back(kHex[digest[i] & 15]);
  }
}

}  // namespace

void AppendKey(std::string_view domain, const Limit& limit, absl::Span<const Entry> entries, std::string& out) {
  const size_t start = out.size();
  out.append("rl:{");
  AppendEscaped(domain, out);
  out.append("}:");
  out.push_back(Letter(limit.algorithm));
  out.push_back(':');
  AppendWindow(limit.window_us, out);
  char separator = ':';
  for (const auto& [key, value] : entries) {
    out.push_back(separator);
    AppendEscaped(key, out);
    out.push_back('=');
    AppendEscaped(value, out);
    separator = '|';
  }
  if (out.size() - start > kMaxKeyBytes) Shorten(start, out);
}

}  // namespace lab::ratelimit
