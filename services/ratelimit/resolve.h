#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/ratelimit/key.h"
#include "services/ratelimit/pending.h"
#include "services/ratelimit/rules.h"

namespace lab::ratelimit {

// From a question to what is asked of the store: which limits its descriptors have, by rule or override, and their
// keys. Holds scratch memory only.
class Resolver {
 public:
  // Fills `pending`: a status a descriptor, and one wanted term a key (none where no limit applies). An error: an
  // override that no limit can be made of.
  absl::Status Resolve(const RuleSet& rules, const Question& question, Pending& pending);
  // The keys of what was resolved last, one behind the other, and that of one of its terms. Valid until the next
  // Resolve.
  std::string_view keys() const { return keys_; }
  std::string_view key(const Pending::Wanted& wanted) const {
    return keys().substr(wanted.key_offset, wanted.key_size);
  }

 private:
  static absl::Status FindLimits(const RuleSet& rules, const Question& question, Pending& pending);
  static absl::Status ResolveOverride(const Question::Override& given, size_t index, const Rule* rule,
                                      Pending& pending);
  static void DropReplaced(Pending& pending);
  void BuildKeys(const Question& question, Pending& pending);
  void AppendKeyOf(const Question& question, const Pending::Status& status, size_t index);

  std::string keys_;
  std::vector<Entry> entries_;  // with shared values replaced
};

}  // namespace lab::ratelimit
