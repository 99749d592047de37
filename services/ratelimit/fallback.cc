#include "services/ratelimit/fallback.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"

namespace lab::ratelimit {

// One limit that denies is enough; only then are those with a local share asked, all or none.
FailurePolicy Fallback::Decide(Pending& pending, const Batch& batch, const Batch::Group& group) {
  pending.by_policy = true;
  batch_.Clear();
  limits_.clear();
  batch_.AddGroup();
  absl::InlinedVector<int32_t, 4> local_of(group.size, -1);
  absl::InlinedVector<bool, 4> denies(group.size, false);
  for (uint32_t i = 0; i < group.size; ++i) {
    const Rule* rule = pending.wanted_[i].rule;
    const Limit* limit = batch.terms[group.first + i].limit;
    const Term& term = pending.wanted_[i].term;  // a question for a lease asks for other hits than its requests do
    const FailurePolicy policy = rule != nullptr ? rule->on_store_failure : of_overrides_;
    denies[i] = policy == FailurePolicy::kDeny && !term.shadow;
    pending.over_limit |= denies[i];
    if (policy != FailurePolicy::kLocal) continue;
    local_of[i] = static_cast<int32_t>(batch_.terms.size());
    const Limit* share = OwnedBy(rule, limit) ? &rule->local : &limits_.emplace_back(Share(*limit, replicas_));
    batch_.AddTerm(batch.key(group.first + i), {share, term.hits, term.shadow});
  }
  const bool ask = !pending.over_limit && !batch_.terms.empty();
  absl::InlinedVector<TermResult, 4> results(batch_.terms.size());
  if (ask) {
    local_.Run(batch_, [](const absl::Status&) {});
    pending.over_limit =
        !DecideRequest(batch_.terms, absl::MakeSpan(batch_.states), batch_.now, absl::MakeSpan(results));
  }
  for (size_t d = 0; d < pending.statuses.size(); ++d) {
    if (pending.term_of_[d] < 0) continue;
    const auto at = static_cast<size_t>(pending.term_of_[d]);
    pending.statuses[d].over_limit = denies[at];
    if (ask && local_of[at] >= 0) pending.Tell(d, results[static_cast<size_t>(local_of[at])]);
  }
  const bool denied = std::find(denies.begin(), denies.end(), true) != denies.end();
  if (denied) return FailurePolicy::kDeny;
  return batch_.terms.empty() ? FailurePolicy::kAllow : FailurePolicy::kLocal;
}

}  // namespace lab::ratelimit
