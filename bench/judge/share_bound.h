#pragma once

#include <cstdint>

namespace lab::bench {

// The exact upper bound of a share of which `hits` of `tries` were seen: with this confidence (one-sided) the true
// share is no larger (Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
// binomial", 1934). 0 of n gives 1 - (1 - confidence)^(1/n): at 95 % nearly 3/n, the rule of three. Holds for tries
// that are independent of each other. 1 when nothing was tried, or all hit.
double ShareAtMost(uint64_t hits, uint64_t tries, double confidence = 0.95);

}  // namespace lab::bench
