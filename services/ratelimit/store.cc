#include "services/ratelimit/store.h"

namespace lab::ratelimit {

Batch::Group& Batch::AddGroup() {
  groups.push_back({static_cast<uint32_t>(terms.size()), 0, 1});
  return groups.back();
}

void Batch::AddTerm(std::string_view key, const Term& term) {
  keys.push_back({static_cast<uint32_t>(text.size()), static_cast<uint32_t>(key.size())});
  text.append(key);
  terms.push_back(term);
  ++groups.back().size;
}

void Batch::Clear() {
  groups.clear();
  terms.clear();
  keys.clear();
  text.clear();
  states.clear();
  now = 0;
}

}  // namespace lab::ratelimit
