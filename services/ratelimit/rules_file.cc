#include "services/ratelimit/rules_file.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/strict_yaml.h"
#include "services/runtime/base/text.h"

namespace lab::ratelimit {

namespace {

constexpr size_t kMaxFiles = 256;
constexpr size_t kMaxRulesBytes = 1 << 20;
constexpr int64_t kMaxRequests = std::numeric_limits<uint32_t>::max();

const std::vector<std::string>& UnitNames() {  // by the number of the unit, from second
  static const std::vector<std::string> names = {"second", "minute", "hour", "day", "month", "year", "week"};
  return names;
}

// One file on its way into the set.
class Reader {
 public:
  Reader(const RuleDefaults& defaults, RuleSet& rules) : defaults_(defaults), rules_(rules) {}

  void ReadDomain(const yaml::Value& root);

 private:
  // Where a descriptor stands: its keys for messages, the wildcards that share a count.
  struct Place {
    std::vector<std::string> keys;
    std::vector<std::pair<size_t, std::string>> shared;
  };
  struct Named {
    std::string name;
    yaml::Value at;
  };

  void ReadDescriptors(const yaml::Value& list, const Place& parent, RuleNode& node);
  void ReadDescriptor(const yaml::Value& descriptor, const Place& parent, RuleNode& node);
  std::unique_ptr<Rule> ReadRule(const yaml::Value& value, const Place& place);
  void ReadLimit(const yaml::Value& value, Rule& rule);
  void ReadLease(const yaml::Value& hits, const yaml::Value& ttl, Rule& rule);
  int64_t ReadWindow(const yaml::Value& unit, const yaml::Value& every, const yaml::Value& at);
  void CheckReplaced();
  void Describe(const Rule& rule);

  const RuleDefaults& defaults_;
  RuleSet& rules_;
  std::string domain_;
  std::vector<std::string> names_;
  std::vector<Named> replaced_;
};

void Reader::ReadDomain(const yaml::Value& root) {
  domain_ = root.Required("domain").String();
  const yaml::Value descriptors = root.Optional("descriptors");
  if (root.Optional("domain").is_scalar() && domain_.empty()) root.Optional("domain").Error("must not be empty");
  RuleNode scratch;
  RuleNode* node = rules_.AddDomain(domain_);
  if (node == nullptr) {
    root.Optional("domain").Error(Concat("domain \"", domain_, "\" is in another file already: merge them"));
    node = &scratch;
  }
  ReadDescriptors(descriptors, {}, *node);
  root.Finish();
  CheckReplaced();
}

void Reader::ReadDescriptors(const yaml::Value& list, const Place& parent, RuleNode& node) {
  for (const yaml::Value& descriptor : list.List()) ReadDescriptor(descriptor, parent, node);
}

void Reader::ReadDescriptor(const yaml::Value& descriptor, const Place& parent, RuleNode& node) {
  const yaml::Value key_at = descriptor.Required("key");
  const std::string key = key_at.String();
  const std::string value = descriptor.Optional("value").String();
  if (key_at.is_scalar() && key.empty()) key_at.Error("must not be empty");
  const bool wildcard = value.find('*') != std::string::npos;

  Place place = parent;
  if (descriptor.Optional("share_threshold").Bool(false)) {
    if (wildcard) place.shared.emplace_back(place.keys.size(), value);
    if (!wildcard)
      descriptor.Optional("share_threshold").Error("needs a value with a wildcard, such as value: \"v1/*\"");
  }
  place.keys.push_back(value.empty() ? key : Concat(key, "=", value));
  const bool shadow = descriptor.Optional("shadow_mode").Bool(false);
  const bool quota = descriptor.Optional("quota_mode").Bool(false);
  descriptor.Optional("detailed_metric").Bool(false);  // we keep no metrics by key: accepted, without effect
  descriptor.Optional("value_to_metric").Bool(false);
  descriptor.Optional("metadata");

  RuleNode scratch;
  RuleNode* child = node.Add(key, value);
  if (child == nullptr) {
    descriptor.Error(Concat("duplicate descriptor ", absl::StrJoin(place.keys, "|"), ": merge the two"));
    child = &scratch;
  }
  const yaml::Value limit = descriptor.Optional("rate_limit");
  if (limit.defined()) {
    std::unique_ptr<Rule> rule = ReadRule(limit, place);
    rule->shadow = shadow || quota;
    Describe(*rule);
    child->set_rule(std::move(rule));
  }
  ReadDescriptors(descriptor.Optional("descriptors"), place, *child);
  descriptor.Finish();
}

std::unique_ptr<Rule> Reader::ReadRule(const yaml::Value& value, const Place& place) {
  static const std::vector<std::string> policies = {"allow", "deny", "local"};
  auto rule = std::make_unique<Rule>();
  rule->path = absl::StrJoin(place.keys, "|");
  rule->shared = place.shared;
  rule->name = value.Optional("name").String();
  if (!rule->name.empty()) names_.push_back(rule->name);
  for (const yaml::Value& item : value.Optional("replaces").List()) {
    const yaml::Value name = item.Required("name");
    rule->replaces.push_back(name.String());
    if (name.is_scalar() && name.String() == rule->name) name.Error("a rule cannot replace itself");
    if (name.is_scalar()) replaced_.push_back({name.String(), name});
    item.Finish();
  }
  rule->unlimited = value.Optional("unlimited").Bool(false);
  rule->on_store_failure = static_cast<FailurePolicy>(
      value.Optional("on_store_failure").OneOf(policies, static_cast<size_t>(defaults_.on_store_failure)));
  ReadLimit(value, *rule);
  value.Finish();

  std::vector<std::string> keys;
  for (const std::string& key : place.keys) keys.push_back(key.substr(0, key.find('=')));
  rule->field_name = QuoteField(rule->name.empty() ? absl::StrJoin(keys, ".") : rule->name);
  rule->policy_field = PolicyField(rule->field_name, rule->limit);
  return rule;
}

void Reader::ReadLimit(const yaml::Value& value, Rule& rule) {
  static const std::vector<std::string> algorithms = {"fixed_window", "sliding_log", "sliding_counter", "token_bucket",
                                                      "gcra"};
  const yaml::Value unit = value.Optional("unit");
  const yaml::Value every = value.Optional("every");
  const yaml::Value burst_at = value.Optional("burst");
  const yaml::Value lease = value.Optional("lease");
  const yaml::Value lease_ttl = value.Optional("lease_ttl");
  const auto algorithm = static_cast<Algorithm>(value.Optional("algorithm").OneOf(algorithms, 0) + 1);
  const auto burst = static_cast<uint32_t>(burst_at.Int(1, kMaxRequests, 0));
  if (rule.unlimited) {
    value.Optional("requests_per_unit").Int(0, kMaxRequests, 0);
    for (const yaml::Value& field : {unit, every, burst_at, lease, lease_ttl}) {
      if (field.defined()) field.Error("an unlimited rule has no limit: leave it out, or leave out unlimited");
    }
    return;
  }
  const auto requests = static_cast<uint32_t>(value.Required("requests_per_unit").Int(0, kMaxRequests, 1));
  const int64_t window_us = ReadWindow(unit, every, value);
  if (window_us == 0) return;
  absl::StatusOr<Limit> limit = MakeLimit(algorithm, requests, window_us, burst);
  if (!limit.ok()) return value.Error(std::string(limit.status().message()));
  rule.limit = *limit;
  rule.limit.count_rejected = defaults_.count_rejected && rule.limit.algorithm == Algorithm::kSlidingCounter;
  if (defaults_.read_then_write && rule.limit.algorithm == Algorithm::kSlidingLog) {
    value.Error("a sliding_log is no single value: redis.mode: read_then_write takes any other algorithm");
  }
  rule.local = Share(rule.limit, defaults_.replicas);
  if (defaults_.share) rule.limit = rule.local;
  rule.unit = UnitOf(window_us);
  ReadLease(lease, lease_ttl, rule);
}

// Only a fixed window has an edge up to which a part of it can be handed out: of a limit without one, what was handed
// out would have to be given back while others refill it.
void Reader::ReadLease(const yaml::Value& hits, const yaml::Value& ttl, Rule& rule) {
  if (!hits.defined()) {
    if (ttl.defined()) ttl.Error("is of a lease: say how many hits, such as lease: 10");
    return;
  }
  rule.lease.hits = static_cast<uint32_t>(hits.Int(1, kMaxLease, 1));
  if (ttl.defined()) rule.lease.ttl = ttl.Duration(Millis(1), std::chrono::hours(24 * 365), Millis(1));
  if (rule.limit.algorithm != Algorithm::kFixedWindow) {
    hits.Error(Concat("a ", Name(rule.limit.algorithm),
                      " cannot be leased, only a fixed_window: leave out lease, or the algorithm"));
  } else if (rule.lease.hits > rule.limit.requests) {
    hits.Error(Concat("a lease of ", rule.lease.hits, " is more than the limit of ", rule.limit.requests,
                      ": one replica would hold all of it; a tenth of limit / replicas is a good beginning"));
  }
}

// 0 after an error.
int64_t Reader::ReadWindow(const yaml::Value& unit, const yaml::Value& every, const yaml::Value& at) {
  if (unit.defined() == every.defined()) {
    at.Error(unit.defined() ? "unit and every say the same thing: keep one"
                            : "needs unit (second, minute, hour, day, week, month, year) or every (such as 10s)");
    return 0;
  }
  if (every.defined()) {
    const Nanos least = Millis(1), most = std::chrono::hours(24 * 365);
    return std::chrono::duration_cast<Micros>(every.Duration(least, most, least)).count();
  }
  const std::string name = absl::AsciiStrToLower(unit.String());
  const auto found = std::find(UnitNames().begin(), UnitNames().end(), name);
  if (found == UnitNames().end()) {
    if (unit.is_scalar()) unit.Error(Concat("unknown unit \"", unit.String(), "\"", Suggestion(name, UnitNames())));
    return 0;
  }
  return MicrosOf(static_cast<Unit>(found - UnitNames().begin() + 1));
}

void Reader::CheckReplaced() {
  for (const Named& replaced : replaced_) {
    if (std::find(names_.begin(), names_.end(), replaced.name) != names_.end()) continue;
    replaced.at.Error(Concat("no rule of this domain has the name \"", replaced.name, "\"",
                             names_.empty() ? "" : Suggestion(replaced.name, names_)));
  }
}

void Reader::Describe(const Rule& rule) {
  std::vector<std::string> parts = {domain_, rule.path};
  if (rule.unlimited) {
    parts.emplace_back("unlimited");
  } else {
    parts.emplace_back(Name(rule.limit.algorithm));
    parts.push_back(Concat(rule.limit.requests, " / ", FormatDuration(Micros(rule.limit.window_us))));
    if (rule.limit.burst != 0) parts.push_back(Concat("burst ", rule.limit.burst));
    if (rule.lease.hits != 0) parts.push_back(Concat("lease ", rule.lease.hits));
    parts.push_back(Concat("on_store_failure ", Name(rule.on_store_failure)));
  }
  if (rule.shadow) parts.emplace_back("shadow");
  if (!rule.name.empty()) parts.push_back(Concat("name ", rule.name));
  rules_.Describe(absl::StrJoin(parts, "  "));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const RuleSet>> ParseRules(const std::vector<RulesFile>& files,
                                                          const RuleDefaults& defaults) {
  auto rules = std::make_shared<RuleSet>();
  std::vector<std::string> errors;
  for (const RulesFile& file : files) {
    yaml::Document document(file.text, file.name);
    if (document.ok()) {  // else: not YAML, nothing to read
      Reader reader(defaults, *rules);
      reader.ReadDomain(document.root());
    }
    if (!document.ok()) errors.emplace_back(document.status().message());
  }
  if (!errors.empty()) return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
  return std::shared_ptr<const RuleSet>(std::move(rules));
}

absl::StatusOr<std::vector<RulesFile>> ReadRulesFiles(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<std::string> names;
  if (fs::is_directory(path, error)) {
    for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
      const std::string extension = it->path().extension();
      if (extension == ".yaml" || extension == ".yml") names.push_back(it->path());
      if (names.size() > kMaxFiles) {
        return absl::InvalidArgumentError(Concat(path, ": more than ", kMaxFiles, " rules files: merge some"));
      }
    }
    if (error) return absl::NotFoundError(Concat(path, ": ", error.message()));
    if (names.empty()) return absl::NotFoundError(Concat(path, ": no *.yaml in this folder"));
    std::sort(names.begin(), names.end());
  } else {
    names.push_back(path);
  }
  std::vector<RulesFile> files;
  for (const std::string& name : names) {
    absl::StatusOr<std::string> text = ReadFile(name, kMaxRulesBytes);
    if (!text.ok()) return text.status();
    files.push_back({name, *std::move(text)});
  }
  return files;
}

}  // namespace lab::ratelimit
