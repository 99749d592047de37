#include "services/cacheapi/edge/http_caching.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "absl/strings/str_format.h"
#include "services/runtime/base/crc32c.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

constexpr std::string_view kBlanks = " \t";

int64_t WholeSeconds(Nanos duration) {
  return std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// An entity tag without its W/.
std::string_view Opaque(std::string_view tag) { return tag.substr(0, 2) == "W/" ? tag.substr(2) : tag; }

}  // namespace

CacheFacts FactsOf(const Value& value, Nanos stale_while_revalidate, Clock::time_point now) {
  CacheFacts facts;
  facts.age = std::max(Nanos(0), Nanos(now - value.written_at));
  facts.lifetime = std::max(Nanos(0), Nanos(value.fresh_until - value.written_at));
  facts.fresh_for = std::max(Nanos(0), Nanos(value.fresh_until - now));
  // "There is none" is never served stale (SharedCache keeps it for no longer).
  const Clock::time_point over = value.fresh_until + (value.negative ? Nanos(0) : stale_while_revalidate);
  facts.stale_for = std::max(Nanos(0), Nanos(over - std::max(now, value.fresh_until)));
  return facts;
}

CacheHeaders HeadersOf(const CacheFacts& facts) {
  const int64_t age = WholeSeconds(facts.age);
  // What is left is rounded down by itself: two seconds of which each is rounded down would differ by up to one.
  const int64_t max_age =
      facts.fresh_for > Nanos(0) ? age + WholeSeconds(facts.fresh_for) : std::min(age, WholeSeconds(facts.lifetime));
  CacheHeaders headers{std::to_string(age), Concat("max-age=", max_age)};
  const int64_t over = age + WholeSeconds(facts.fresh_for + facts.stale_for);
  if (facts.stale_for > Nanos(0) && over > max_age) {
    headers.cache_control += Concat(", stale-while-revalidate=", over - max_age);
  }
  return headers;
}

std::string EntityTag(const Value& value, Window window) {
  return Concat("W/\"v", value.version, "-", Name(window), "-", absl::StrFormat("%08x", Crc32c(value.body)), "\"");
}

bool Matches(std::string_view if_none_match, std::string_view tag) {
  std::string_view rest = Trimmed(if_none_match);
  if (rest == "*") return true;
  for (;;) {
    const size_t begin = rest.find_first_not_of(" \t,");
    if (begin == std::string_view::npos) return false;
    rest.remove_prefix(begin);
    const std::string_view one = Opaque(rest);
    if (one.empty() || one.front() != '"') {
      rest.remove_prefix(std::min(rest.find(','), rest.size()));
      continue;
    }
    const size_t end = one.find('"', 1);  // a comma may stand before it
    if (end == std::string_view::npos) return false;
    if (one.substr(0, end + 1) == Opaque(tag)) return true;
    rest = one.substr(end + 1);
  }
}

}  // namespace lab::cacheapi
