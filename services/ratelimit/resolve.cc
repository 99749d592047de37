#include "services/ratelimit/resolve.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/runtime/base/text.h"

namespace lab::ratelimit {

absl::Status Resolver::Resolve(const RuleSet& rules, const Question& question, Pending& pending) {
  if (absl::Status status = FindLimits(rules, question, pending); !status.ok()) return status;
  BuildKeys(question, pending);
  return absl::OkStatus();
}

absl::Status Resolver::FindLimits(const RuleSet& rules, const Question& question, Pending& pending) {
  const size_t count = question.descriptors.size();
  pending.statuses.assign(count, {});
  pending.over_limit = pending.by_policy = false;
  pending.retry_after_us = 0;
  pending.wanted_.clear();
  pending.term_of_.assign(count, -1);
  const RuleNode* domain = rules.Domain(question.domain);
  if (domain == nullptr) return absl::OkStatus();
  bool replaces = false;
  for (size_t i = 0; i < count; ++i) {
    const Question::Descriptor& descriptor = question.descriptors[i];
    const Rule* rule = rules.Match(*domain, {question.entries.data() + descriptor.first, descriptor.size});
    if (descriptor.limit.has_value()) {
      if (absl::Status status = ResolveOverride(*descriptor.limit, i, rule, pending); !status.ok()) return status;
    } else if (rule != nullptr) {
      Pending::Status& status = pending.statuses[i];
      status.rule = rule;
      status.unlimited = rule->unlimited;
      status.unit = rule->unit;
      if (!rule->unlimited) status.limit = &rule->limit;
      replaces |= !rule->replaces.empty();
    }
  }
  if (replaces) DropReplaced(pending);
  for (size_t i = 0; i < count; ++i) {
    const Pending::Status& status = pending.statuses[i];
    if (status.limit == nullptr) continue;
    const bool shadow = OwnedBy(status.rule, status.limit) && status.rule->shadow;
    pending.term_of_[i] = static_cast<int32_t>(pending.wanted_.size());
    const uint64_t hits = std::min(kMaxHits, question.descriptors[i].hits);
    pending.wanted_.push_back({{status.limit, hits, shadow}, status.rule, 0, 0});
  }
  return absl::OkStatus();
}

// An override takes the algorithm of its rule, its burst is its limit, and it is never in shadow.
absl::Status Resolver::ResolveOverride(const Question::Override& given, size_t index, const Rule* rule,
                                       Pending& pending) {
  const Algorithm algorithm = rule != nullptr && !rule->unlimited ? rule->limit.algorithm : Algorithm::kFixedWindow;
  absl::StatusOr<Limit> limit = given.unit == Unit::kUnknown
                                    ? absl::InvalidArgumentError("unit must be SECOND … WEEK")
                                    : MakeLimit(algorithm, given.requests, MicrosOf(given.unit));
  if (!limit.ok()) {
    return absl::InvalidArgumentError(
        Concat("descriptors[", index, "].limit: ", std::string(limit.status().message())));
  }
  limit->count_rejected = rule != nullptr && rule->limit.count_rejected && limit->requests > 0;
  pending.overrides_.resize(pending.statuses.size());
  pending.overrides_[index] = *limit;
  pending.statuses[index].rule = rule;
  pending.statuses[index].unit = given.unit;
  pending.statuses[index].limit = &pending.overrides_[index];
  return absl::OkStatus();
}

void Resolver::DropReplaced(Pending& pending) {
  for (const Pending::Status& by : pending.statuses) {
    if (by.rule == nullptr || (by.limit != nullptr && !OwnedBy(by.rule, by.limit))) continue;
    for (Pending::Status& status : pending.statuses) {
      if (status.rule == nullptr || status.rule == by.rule || status.rule->name.empty()) continue;
      const auto& names = by.rule->replaces;
      if (std::find(names.begin(), names.end(), status.rule->name) != names.end()) status.limit = nullptr;
    }
  }
}

void Resolver::AppendKeyOf(const Question& question, const Pending::Status& status, size_t index) {
  const Question::Descriptor& descriptor = question.descriptors[index];
  absl::Span<const Entry> entries(question.entries.data() + descriptor.first, descriptor.size);
  if (status.rule != nullptr && !status.rule->shared.empty()) {
    entries_.assign(entries.begin(), entries.end());
    for (const auto& [level, pattern] : status.rule->shared) entries_[level].second = pattern;
    entries = entries_;
  }
  AppendKey(question.domain, *status.limit, entries, keys_);
}

// Two descriptors of one request may come to the same key. Its hits then add up, and the lower limit decides for both:
// otherwise each would be checked without the other, and the key overdrawn.
void Resolver::BuildKeys(const Question& question, Pending& pending) {
  keys_.clear();
  auto& wanted = pending.wanted_;
  size_t kept = 0;
  for (size_t i = 0; i < pending.term_of_.size(); ++i) {
    if (pending.term_of_[i] < 0) continue;
    Pending::Wanted mine = wanted[static_cast<size_t>(pending.term_of_[i])];
    mine.key_offset = static_cast<uint32_t>(keys_.size());
    AppendKeyOf(question, pending.statuses[i], i);
    mine.key_size = static_cast<uint32_t>(keys_.size()) - mine.key_offset;
    size_t same = 0;
    while (same < kept && key(wanted[same]) != key(mine)) ++same;
    pending.term_of_[i] = static_cast<int32_t>(same);
    if (same == kept) {
      wanted[kept++] = mine;
      continue;
    }
    keys_.resize(mine.key_offset);
    Term& first = wanted[same].term;
    first.hits = std::min(kMaxHits, first.hits + mine.term.hits);
    first.shadow = first.shadow && mine.term.shadow;
    if (mine.term.limit->requests < first.limit->requests) first.limit = mine.term.limit;
  }
  wanted.resize(kept);
}

}  // namespace lab::ratelimit
