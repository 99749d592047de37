#include "services/cacheapi/model/window.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_format.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {

namespace {

struct Range {
  char32_t first, last;
};

// What must not stand in an id, beyond ASCII (Unicode 15, categories Cc, Zs, Zl, Zp, Cf, Co, and the fillers that are
// letters by name only). Sorted.
constexpr Range kRefused[] = {
    {0x80, 0xa0},       {0xad, 0xad},       {0x34f, 0x34f},     {0x600, 0x605},     {0x61c, 0x61c},
    {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},     {0x115f, 0x1160},
    {0x1680, 0x1680},   {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x2000, 0x200f},   {0x2028, 0x202f},
    {0x205f, 0x206f},   {0x3000, 0x3000},   {0x3164, 0x3164},   {0xe000, 0xf8ff},   {0xfdd0, 0xfdef},
    {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffd},   {0x110bd, 0x110bd},
    {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0x10ffff},
};

bool IsAllowed(char32_t point) {
  if (point < 0x80) {
    return (point >= 'a' && point <= 'z') || (point >= 'A' && point <= 'Z') || (point >= '0' && point <= '9') ||
           point == '.' || point == '_' || point == '-';
  }
  if ((point & 0xfffe) == 0xfffe) return false;  // the last two of each plane
  const auto* range = std::lower_bound(std::begin(kRefused), std::end(kRefused), point,
                                       [](const Range& each, char32_t wanted) { return each.last < wanted; });
  return range == std::end(kRefused) || point < range->first;
}

// Of a valid sequence.
char32_t CodePoint(std::string_view sequence) {
  constexpr uint8_t kFirstBits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  char32_t point = static_cast<uint8_t>(sequence[0]) & kFirstBits[sequence.size()];
  for (const char byte : sequence.substr(1)) point = point << 6 | (static_cast<uint8_t>(byte) & 0x3f);
  return point;
}

// At most as much of what came from outside as a message should carry.
std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 32;
  return Concat(JsonString(text.substr(0, kShown)), text.size() > kShown ? "…" : "");
}

}  // namespace

std::string_view Name(Window window) {
  switch (window) {
    case Window::kHour:
      return "1h";
    case Window::kSixHours:
      return "6h";
    case Window::kDay:
      return "24h";
    case Window::kWeek:
      return "7d";
    case Window::kMonth:
      return "30d";
  }
  return "";
}

std::chrono::hours Length(Window window) {
  switch (window) {
    case Window::kHour:
      return std::chrono::hours(1);
    case Window::kSixHours:
      return std::chrono::hours(6);
    case Window::kDay:
      return std::chrono::hours(24);
    case Window::kWeek:
      return std::chrono::hours(7 * 24);
    case Window::kMonth:
      return std::chrono::hours(30 * 24);
  }
  return std::chrono::hours(0);
}

absl::StatusOr<Window> ParseWindow(std::string_view text) {
  std::string known;
  for (const Window window : kWindows) {
    if (Name(window) == text) return window;
    known += Concat(known.empty() ? "" : ", ", Name(window));
  }
  return absl::InvalidArgumentError(Concat("window: ", Quoted(text), " is none of ", known));
}

absl::Status CheckBrand(std::string_view brand) {
  if (brand.empty()) return absl::InvalidArgumentError("brand: is empty");
  if (brand.size() > kMostBrandBytes) {
    return absl::InvalidArgumentError(
        Concat("brand: ", Quoted(brand), " has ", brand.size(), " bytes, at most ", kMostBrandBytes, " are allowed"));
  }
  for (size_t at = 0; at < brand.size();) {
    const size_t length = Utf8Length(brand.substr(at, 4));
    if (length == 0) {
      return absl::InvalidArgumentError(Concat("brand: ", Quoted(brand), " is not UTF-8 from byte ", at + 1, " on"));
    }
    const char32_t point = CodePoint(brand.substr(at, length));
    if (!IsAllowed(point)) {
      return absl::InvalidArgumentError(Concat("brand: ", Quoted(brand), " has ",
                                               absl::StrFormat("U+%04X", static_cast<uint32_t>(point)), " at byte ",
                                               at + 1, "; allowed are letters, digits, '.', '_' and '-'"));
    }
    at += length;
  }
  return absl::OkStatus();
}

std::string CacheKey(std::string_view brand, Window window) {
  return Concat("insights:{", brand, "}:w=", Name(window));
}

std::vector<std::string> CacheKeys(std::string_view brand) {
  std::vector<std::string> keys;
  for (const Window window : kWindows) keys.push_back(CacheKey(brand, window));
  return keys;
}

}  // namespace lab::cacheapi
