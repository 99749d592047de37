#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "services/ratelimit/key.h"
#include "services/ratelimit/lease.h"
#include "services/ratelimit/limit.h"
#include "services/runtime/base/string_map.h"

namespace lab::ratelimit {

// What a rule answers while its store is away.
enum class FailurePolicy : uint8_t { kAllow, kDeny, kLocal };
std::string_view Name(FailurePolicy policy);

// The units of the rate-limit API, with its numbers.
enum class Unit : uint8_t { kUnknown = 0, kSecond, kMinute, kHour, kDay, kMonth, kYear, kWeek };
// As envoyproxy/ratelimit counts: a month is 30 days, a year 365.
int64_t MicrosOf(Unit unit);
// The unit that is just this long, or kUnknown.
Unit UnitOf(int64_t window_us);

// The limit of one place in the descriptor tree.
struct Rule {
  std::string path;  // "tenant=acme|path": for people
  std::string name;  // rate_limit.name, or ""
  bool unlimited = false;
  bool shadow = false;  // shadow_mode or quota_mode: observed, never enforced
  Limit limit;
  Limit local;  // this replica's share, for FailurePolicy::kLocal
  LeaseTerms lease;
  Unit unit = Unit::kUnknown;
  FailurePolicy on_store_failure = FailurePolicy::kAllow;
  std::vector<std::string> replaces;  // names of rules that do not count in a request that matches this one
  // Levels at which all values of a wildcard share one count (share_threshold): (level, pattern).
  std::vector<std::pair<size_t, std::string>> shared;
  std::string policy_field;  // its part of the RateLimit-Policy header: "tenant";q=100;w=60
  std::string field_name;    // its name there, quoted: "tenant"
};

// Whether a limit is that of the rule, not an override's.
inline bool OwnedBy(const Rule* rule, const Limit* limit) { return rule != nullptr && limit == &rule->limit; }

// One level of the descriptor tree.
class RuleNode {
 public:
  // The node of (key, value): the exact value first, then the first wildcard of the file that matches, then the key
  // alone; null when there is none.
  const RuleNode* Find(const Entry& entry) const;
  // Null when that key and value (or pattern, or "" for the key alone) are there already.
  RuleNode* Add(std::string_view key, std::string_view value);

  const Rule* rule() const { return rule_.get(); }
  void set_rule(std::unique_ptr<Rule> rule) { rule_ = std::move(rule); }
  bool has_children() const { return !keys_.empty(); }

 private:
  struct Values {
    StringMap<std::unique_ptr<RuleNode>> exact;
    std::vector<std::pair<std::string, std::unique_ptr<RuleNode>>> wildcards;
    std::unique_ptr<RuleNode> any;
  };
  StringMap<Values> keys_;
  std::unique_ptr<Rule> rule_;
};

// All domains. Immutable once loaded: requests in flight keep the set they began with.
class RuleSet {
 public:
  // Null when no rule is exactly there: as many levels as the descriptor has entries, each found by RuleNode::Find
  // (there is no way back from a more specific node that leads nowhere).
  const Rule* Match(const RuleNode& domain, absl::Span<const Entry> descriptor) const;
  const RuleNode* Domain(std::string_view name) const;

  RuleNode* AddDomain(std::string_view name);  // null when it is there already
  // For the debug page: one line a rule, sorted.
  std::string ToText() const;
  void Describe(std::string line) { lines_.push_back(std::move(line)); }
  size_t size() const { return lines_.size(); }

 private:
  StringMap<RuleNode> domains_;
  std::vector<std::string> lines_;
};

// `*` matches any run of bytes, also none.
bool WildcardMatch(std::string_view pattern, std::string_view text);

// The name and "name";q=…;w=… of IETF draft-ietf-httpapi-ratelimit-headers. `name` is quoted as a structured-field
// string (RFC 8941); w only for windows of whole seconds, as the draft has no others.
std::string QuoteField(std::string_view name);
std::string PolicyField(std::string_view quoted_name, const Limit& limit);

}  // namespace lab::ratelimit
