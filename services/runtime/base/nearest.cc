#include "services/runtime/base/nearest.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "services/runtime/base/text.h"

namespace lab {
namespace {

constexpr size_t kLongestName = 128;  // bounds the quadratic work when the name comes from a hostile file
constexpr size_t kListed = 16;

// Edit distance in which two swapped neighbours count once (optimal string alignment; Damerau 1964, Boytsov 2011):
// that is what typing errors look like.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string Nearest(std::string_view name, const std::vector<std::string>& candidates) {
  std::string nearest;
  size_t nearest_distance = kLongestName;
  if (name.size() > kLongestName) return nearest;
  for (const std::string& candidate : candidates) {
    const size_t longer = std::max(name.size(), candidate.size());
    const size_t shorter = std::min(name.size(), candidate.size());
    if (longer > kLongestName || longer - shorter > longer / 3) continue;
    const size_t distance = EditDistance(name, candidate);
    if (distance > longer / 3 || distance >= nearest_distance) continue;
    nearest = candidate;
    nearest_distance = distance;
  }
  return nearest;
}

std::string Suggestion(std::string_view name, const std::vector<std::string>& candidates) {
  if (candidates.empty()) return "";
  const std::string nearest = Nearest(name, candidates);
  if (!nearest.empty()) return Concat("; did you mean \"", nearest, "\"?");
  const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(std::min(candidates.size(), kListed));
  const std::string listed = absl::StrJoin(candidates.begin(), end, ", ");
  if (candidates.size() <= kListed) return Concat("; known: ", listed);
  return Concat("; known: ", listed, " and ", candidates.size() - kListed, " more");
}

}  // namespace lab
