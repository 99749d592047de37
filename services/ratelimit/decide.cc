#include "services/ratelimit/decide.h"

#include <algorithm>
#include <limits>

namespace lab::ratelimit {

namespace {

template <typename Function>
auto With(Algorithm algorithm, State& state, Function function) {
  switch (algorithm) {
    case Algorithm::kSlidingLog:
      return function(state.sliding_log);
    case Algorithm::kSlidingCounter:
      return function(state.sliding_counter);
    case Algorithm::kTokenBucket:
      return function(state.token_bucket);
    case Algorithm::kGcra:
      return function(state.gcra);
    case Algorithm::kFixedWindow:
      break;
  }
  return function(state.fixed_window);
}

// Whether `term` has room; `state` is a copy that is brought to `now`.
bool HasRoom(const Term& term, State& state, UnixMicros now) {
  return With(term.limit->algorithm, state, [&](auto& algorithm) {
    algorithm.Advance(now, *term.limit);
    return algorithm.Available(now, *term.limit) >= std::max<uint64_t>(1, term.hits);
  });
}

void Describe(const Term& term, State& state, UnixMicros now, TermResult& result) {
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  With(term.limit->algorithm, state, [&](auto& algorithm) {
    result.remaining = static_cast<uint32_t>(std::min(kMost, algorithm.Available(now, *term.limit)));
    result.reset_after_us = algorithm.ResetAfter(now, *term.limit);
    result.retry_after_us =
        result.passed ? 0 : algorithm.RetryAfter(now, *term.limit, std::max<uint64_t>(1, term.hits));
  });
}

}  // namespace

bool DecideRequest(absl::Span<const Term> terms, absl::Span<State> states, UnixMicros now,
                   absl::Span<TermResult> results) {
  bool passed = true;
  for (size_t i = 0; i < terms.size(); ++i) {
    State advanced = states[i];
    results[i].passed = HasRoom(terms[i], advanced, now);
    if (!results[i].passed && !terms[i].shadow) passed = false;
  }
  for (size_t i = 0; i < terms.size(); ++i) {
    const Term& term = terms[i];
    State advanced = states[i];
    With(term.limit->algorithm, advanced, [&](auto& algorithm) {
      const bool stepped_back = algorithm.Advance(now, *term.limit);
      const bool charged = term.hits > 0 && ((passed && results[i].passed) || term.limit->count_rejected);
      if (charged) algorithm.Take(now, *term.limit, term.hits);
      if (charged || stepped_back) states[i] = advanced;
    });
    Describe(term, advanced, now, results[i]);
  }
  return passed;
}

int64_t WorthlessAfter(const Limit& limit, State state, UnixMicros now) {
  return With(limit.algorithm, state, [&](auto& algorithm) {
    algorithm.Advance(now, limit);
    return algorithm.ResetAfter(now, limit);
  });
}

}  // namespace lab::ratelimit
