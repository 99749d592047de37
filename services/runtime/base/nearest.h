#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lab {

// The candidate nearest to `name` by edit distance, or "" when none is near enough to be a likely typo
// (distance above a third of the longer name).
std::string Nearest(std::string_view name, const std::vector<std::string>& candidates);

// `; did you mean "x"?` or, without a near candidate, `; known: a, b, c`.
std::string Suggestion(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace lab
