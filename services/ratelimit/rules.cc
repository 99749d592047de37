#include "services/ratelimit/rules.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_join.h"
#include "services/runtime/base/text.h"

namespace lab::ratelimit {

namespace {

// By the number of the unit: unknown, second, minute, hour, day, month, year, week.
constexpr std::array<int64_t, 8> kUnitMicros = {0,      kSecondUs,   60 * kSecondUs, 3600 * kSecondUs,
                                                kDayUs, 30 * kDayUs, 365 * kDayUs,   7 * kDayUs};

}  // namespace

std::string_view Name(FailurePolicy policy) {
  switch (policy) {
    case FailurePolicy::kAllow:
      return "allow";
    case FailurePolicy::kDeny:
      return "deny";
    case FailurePolicy::kLocal:
      break;
  }
  return "local";
}

int64_t MicrosOf(Unit unit) { return kUnitMicros[static_cast<size_t>(unit)]; }

Unit UnitOf(int64_t window_us) {
  const auto* found = std::find(kUnitMicros.begin() + 1, kUnitMicros.end(), window_us);
  return found == kUnitMicros.end() ? Unit::kUnknown : static_cast<Unit>(found - kUnitMicros.begin());
}

bool WildcardMatch(std::string_view pattern, std::string_view text) {
  // Greedy with one place to go back to: after the last `*`, a later match is always as good.
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

const RuleNode* RuleNode::Find(const Entry& entry) const {
  const auto key = keys_.find(entry.first);
  if (key == keys_.end()) return nullptr;
  const Values& values = key->second;
  if (!values.exact.empty()) {
    const auto exact = values.exact.find(entry.second);
    if (exact != values.exact.end()) return exact->second.get();
  }
  for (const auto& [pattern, node] : values.wildcards) {
    if (WildcardMatch(pattern, entry.second)) return node.get();
  }
  return values.any.get();
}

RuleNode* RuleNode::Add(std::string_view key, std::string_view value) {
  Values& values = keys_[key];
  if (value.empty()) {
    if (values.any) return nullptr;
    values.any = std::make_unique<RuleNode>();
    return values.any.get();
  }
  if (value.find('*') != std::string_view::npos) {
    for (const auto& [pattern, node] : values.wildcards) {
      if (pattern == value) return nullptr;
    }
    return values.wildcards.emplace_back(std::string(value), std::make_unique<RuleNode>()).second.get();
  }
  auto [place, added] = values.exact.try_emplace(value);
  if (!added) return nullptr;
  place->second = std::make_unique<RuleNode>();
  return place->second.get();
}

const RuleNode* RuleSet::Domain(std::string_view name) const {
  const auto found = domains_.find(name);
  return found == domains_.end() ? nullptr : &found->second;
}

RuleNode* RuleSet::AddDomain(std::string_view name) {
  auto [place, added] = domains_.try_emplace(name);
  return added ? &place->second : nullptr;
}

const Rule* RuleSet::Match(const RuleNode& domain, absl::Span<const Entry> descriptor) const {
  const RuleNode* node = &domain;
  for (const Entry& entry : descriptor) {
    node = node->Find(entry);
    if (node == nullptr) return nullptr;
  }
  return node->rule();
}

std::string RuleSet::ToText() const {
  std::vector<std::string> lines = lines_;
  std::sort(lines.begin(), lines.end());
  return lines.empty() ? "no rules: every request passes\n" : Concat(absl::StrJoin(lines, "\n"), "\n");
}

std::string QuoteField(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    const bool visible = c >= 0x20 && c < 0x7f;
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(visible ? c : '?');
  }
  out.push_back('"');
  return out;
}

std::string PolicyField(std::string_view quoted_name, const Limit& limit) {
  std::string out = Concat(quoted_name, ";q=", limit.requests);
  if (limit.window_us % kSecondUs != 0) return out;
  return Concat(out, ";w=", limit.window_us / kSecondUs);
}

}  // namespace lab::ratelimit
