#pragma once

#include <cstdint>
#include <vector>

// What can be said for certain about a rate limiter from outside. The moment of a decision is not visible: it lies
// somewhere in [sent, done]. Everything here claims only what holds wherever in its interval each decision was made, so
// a bound that is reported broken is broken. Windows are half-open, (t - window, t]: decisions exactly one window apart
// are not in the same one. Times are nanoseconds on one clock. Definitions: an exact sliding log as in "A sliding
// window log" (the limiter that admits when fewer than `limit` admissions lie in (t - window, t]).
namespace lab::bench {

struct Decision {
  enum class Kind : uint8_t {
    kAdmitted,
    kLimited,
    kUnknown
  };                 // unknown: sent, never answered: it may have been admitted
  int64_t from = 0;  // sent
  int64_t to = 0;    // answered; of an unknown one: when it was given up
  Kind kind = Kind::kAdmitted;
  bool judged = true;  // false: only part of the history
};

struct Burst {
  uint64_t count = 0;
  int64_t begin = 0;  // of a window that holds them
};

// The most admissions that certainly lie within one window of this length, wherever it begins. O(n log n).
Burst MostInWindow(const std::vector<Decision>& decisions, int64_t window);

// The same over windows that begin at multiples of `window` on a clock that showed `origin` at time 0.
Burst MostInAlignedWindow(const std::vector<Decision>& decisions, int64_t window, int64_t origin);

struct FalseDecisions {
  uint64_t allowed = 0;   // admitted although `limit` admissions certainly lay in the window before
  uint64_t denied = 0;    // limited although fewer than `limit` can have lain there
  uint64_t answered = 0;  // judged decisions that were answered
};

struct WindowDifference {
  uint64_t over = 0;   // certainly admitted beyond the limit of their window
  uint64_t under = 0;  // certainly not admitted, although there was room and they asked for it
  uint64_t exact = 0;  // what the exact limiter admits of what certainly came in one window
};

// Holds what was admitted, of one key and by however many processes, against one exact limiter that counts fixed
// windows and sees all arrivals: it admits the first `limit` of each window. Windows as in MostInAlignedWindow;
// requests of one hit. Over: only admissions that lie in one window for certain. Under: what came in one window for
// certain, up to the limit, beyond all admissions that can have lain there. O(n log n).
WindowDifference CompareWithExactWindows(const std::vector<Decision>& decisions, uint64_t limit, int64_t window,
                                         int64_t origin);

// Judges each decision by an exact sliding log of the limiter's own admissions. O(n log n).
FalseDecisions CompareWithExactLog(const std::vector<Decision>& decisions, uint64_t limit, int64_t window);

}  // namespace lab::bench
