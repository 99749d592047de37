#include "bench/cacheapi/names.h"

#include "absl/strings/numbers.h"
#include "services/runtime/base/text.h"

namespace lab::bench::cacheapi {
namespace {

constexpr std::string_view kBrand = "brand-", kEntries = "insights:{", kVersions = "version:{";

template <typename Number>
std::optional<Number> NumberOf(std::string_view digits) {
  Number number = 0;
  // SimpleAtoi would take "+7" and " 7" too, which nobody writes.
  if (digits.empty() || digits[0] < '0' || digits[0] > '9') return std::nullopt;
  if (!absl::SimpleAtoi(View(digits), &number)) return std::nullopt;
  return number;
}

// Cuts what stands before `mark` off the front of `text`, and the mark; none when it is not there.
std::optional<std::string_view> CutBefore(std::string_view& text, std::string_view mark) {
  const size_t at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view front = text.substr(0, at);
  text.remove_prefix(at + mark.size());
  return front;
}

}  // namespace

std::string BrandOf(uint32_t key) { return Concat(kBrand, key); }

std::optional<uint32_t> KeyOf(std::string_view brand) {
  if (brand.substr(0, kBrand.size()) != kBrand) return std::nullopt;
  return NumberOf<uint32_t>(brand.substr(kBrand.size()));
}

std::string EntryKey(std::string_view brand, std::string_view window) {
  return Concat(kEntries, brand, "}:w=", window);
}

std::string LeaseKey(std::string_view entry) { return Concat("lease:", entry); }

std::optional<StoredName> ParseStoredName(std::string_view key) {
  StoredName name;
  if (key.substr(0, kVersions.size()) == kVersions) {
    if (key.back() != '}') return std::nullopt;
    name.kind = StoredName::Kind::kVersion;
    name.brand = std::string(key.substr(kVersions.size(), key.size() - kVersions.size() - 1));
    return name;
  }
  if (key.substr(0, kEntries.size()) != kEntries) return std::nullopt;
  key.remove_prefix(kEntries.size());
  const std::optional<std::string_view> tag = CutBefore(key, "}:w=");
  if (!tag) return std::nullopt;
  const size_t mark = tag->find('#');
  name.brand = std::string(tag->substr(0, mark));
  if (mark != std::string_view::npos && !(name.copy = NumberOf<uint64_t>(tag->substr(mark + 1)))) return std::nullopt;
  std::string_view rest = key;
  const std::optional<std::string_view> window = CutBefore(rest, ":v=");
  name.window = std::string(window.value_or(key));
  if (window && !(name.version = NumberOf<uint64_t>(rest))) return std::nullopt;
  return name;
}

}  // namespace lab::bench::cacheapi
