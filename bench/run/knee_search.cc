#include "bench/run/knee_search.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace lab::bench {
namespace {

constexpr double kLeastSamples = 300;  // of a probe: what a p99 rests on, as in bench/judge
constexpr int kMostClimbs = 2;
constexpr int kMostStepsDown = 8;

class Searcher {
 public:
  Searcher(const KneeSearch& search, const MeasureRate& measure, const std::function<double()>& now_s)
      : search_(search), measure_(measure), now_s_(now_s) {}

  Knee Run() {
    Bracket(search_.start_per_s);
    Bisect();
    for (int climbs = 0; GoesOn() && Confirm(); ++climbs) {
      // Above the upper end the objective must be missed, twice: one bad second may have led the bisection astray.
      const double above = high_ * (1 + search_.tolerance);
      confirmed_ = low_;
      if (halved_ || Misses("above", above)) break;
      if (climbs == kMostClimbs) {
        Fail("its answers contradict each other: a rate above one that misses the objective meets it, again and again");
        break;
      }
      Climb(above);
      Bisect();
    }
    if (late_ && confirmed_ > 0) knee_.why.clear();  // what was confirmed stands; there was no time to look further up
    if (GoesOn()) {
      knee_.per_s = confirmed_;
      knee_.at_least = late_ || halved_;
    }
    knee_.took_s = now_s_();
    return std::move(knee_);
  }

 private:
  bool GoesOn() const { return knee_.why.empty(); }
  void Fail(const std::string& why) {
    if (GoesOn()) knee_.why = why;
  }

  // Whether the rate meets the objective; false too when the search cannot go on.
  bool Try(const char* purpose, double rate, double seconds) {
    if (!GoesOn()) return false;
    seconds = std::max(seconds, kLeastSamples / rate);
    if (now_s_() + seconds + search_.overhead_s > search_.budget_s) {
      const std::string known =
          low_ > 0 && high_ > 0 ? absl::StrFormat(": it lies between %.0f/s and %.0f/s, or thereabouts", low_, high_)
          : low_ > 0            ? absl::StrFormat(": %.0f/s still meets the objective", low_)
                                : std::string();
      late_ = GoesOn();
      Fail(absl::StrFormat("no knee was found and confirmed within %.0f s%s", search_.budget_s, known));
      return false;
    }
    absl::StatusOr<KneeProbe> probe = measure_(rate, seconds);
    if (!probe.ok()) {
      Fail(std::string(probe.status().message()));
      return false;
    }
    probe->purpose = purpose;
    probe->rate_per_s = rate;
    probe->seconds = seconds;
    knee_.probes.push_back(*probe);
    return probe->meets;
  }

  // Whether it does so twice in a row; false too when the search cannot go on.
  bool Misses(const char* purpose, double rate) {
    return !Try(purpose, rate, search_.probe_s) && !Try(purpose, rate, search_.probe_s) && GoesOn();
  }

  // From `rate` on: low_ meets the objective, high_ has missed it twice.
  void Bracket(double rate) {
    while (GoesOn() && (low_ <= 0 || high_ <= 0)) {
      if (rate > search_.most_per_s) return FailAbove();
      if (rate < search_.least_per_s) return Fail(absl::StrFormat("not even %.0f/s meets the objective", high_));
      const bool misses = Misses("bracket", rate);
      if (!GoesOn()) return;
      (misses ? high_ : low_) = rate;
      rate *= misses ? 0.5 : 2;
      if (misses && high_ > search_.least_per_s) rate = std::max(rate, search_.least_per_s);
    }
  }

  // The same from a rate that meets it, in steps that grow: the knee is near.
  void Climb(double rate) {
    low_ = rate;
    high_ = 0;
    for (double step = 1 + search_.tolerance; GoesOn() && high_ <= 0; step = std::min(step * step, 2.0)) {
      rate *= step;
      if (rate > search_.most_per_s) return FailAbove();
      const bool misses = Misses("bracket", rate);
      if (GoesOn()) (misses ? high_ : low_) = rate;
    }
  }

  void FailAbove() {
    Fail(absl::StrFormat("%.0f/s still meets the objective, and more than %.0f/s is not offered", low_,
                         search_.most_per_s));
  }

  void Bisect() {
    while (GoesOn() && high_ / low_ > 1 + search_.tolerance) {
      const double middle = std::sqrt(low_ * high_);
      const bool meets = Try("bisect", middle, search_.probe_s);
      if (GoesOn()) (meets ? low_ : high_) = middle;
    }
  }

  // Whether nothing is confirmed yet, and there is time for all confirmations of one more rate, but not of two: of a
  // wide edge the lower part is told then, rather than nothing.
  bool LastTry() const {
    const double seconds = std::max(search_.confirm_s, kLeastSamples / low_) + search_.overhead_s;
    return confirmed_ <= 0 && search_.budget_s - now_s_() < 2 * search_.confirmations * seconds;
  }

  // Whether low_, or a rate not far below it, holds in every confirmation.
  bool Confirm() {
    double down = 1 + search_.tolerance;
    for (int step = 0; step <= kMostStepsDown && GoesOn(); ++step) {
      int held = 0;
      while (held < search_.confirmations && Try("confirm", low_, search_.confirm_s)) ++held;
      if (held == search_.confirmations) return true;
      high_ = low_;
      halved_ = LastTry();
      low_ /= halved_ ? 2 : down;
      if (step > 1) down *= 1 + search_.tolerance;  // far off: the edge is wide
    }
    Fail(absl::StrFormat("no rate near %.0f/s met the objective %d times in a row", high_, search_.confirmations));
    return false;
  }

  const KneeSearch& search_;
  const MeasureRate& measure_;
  const std::function<double()>& now_s_;
  Knee knee_;
  double low_ = 0, high_ = 0;  // 0: not known yet
  double confirmed_ = 0;       // has held in every confirmation, and a rate not far above it missed
  bool late_ = false;          // the time is over
  bool halved_ = false;        // low_ is half of what missed: the knee lies somewhere between
};

}  // namespace

Knee FindKnee(const KneeSearch& search, const MeasureRate& measure, const std::function<double()>& now_s) {
  return Searcher(search, measure, now_s).Run();
}

}  // namespace lab::bench
