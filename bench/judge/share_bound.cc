#include "bench/judge/share_bound.h"

#include <cmath>

namespace lab::bench {
namespace {

// The continued fraction of the incomplete beta function by Lentz's method (Press et al., "Numerical Recipes", 6.4).
// Converges in O(sqrt(max(a, b))) steps where x < (a + 1) / (a + b + 2).
double BetaFraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300, kEnough = 1e-13;
  constexpr int kMostSteps = 100'000;
  const auto away_from_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1;
  double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double result = d;
  for (int step = 1; step <= kMostSteps; ++step) {
    const double m = step;
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    result *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    result *= d * c;
    if (std::abs(d * c - 1) < kEnough) break;
  }
  return result;
}

// std::lgamma writes the sign to a global, which threads share.
double LogGamma(double value) {
  int sign = 0;
  return lgamma_r(value, &sign);
}

// I_x(a, b), the regularised incomplete beta function; 0 < x < 1.
double IncompleteBeta(double a, double b, double x) {
  const double front = std::exp(LogGamma(a + b) - LogGamma(a) - LogGamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * BetaFraction(a, b, x) / a;
  return 1 - front * BetaFraction(b, a, 1 - x) / b;
}

}  // namespace

double ShareAtMost(uint64_t hits, uint64_t tries, double confidence) {
  if (hits >= tries) return 1;
  const double n = static_cast<double>(tries), k = static_cast<double>(hits);
  if (hits == 0) return -std::expm1(std::log1p(-confidence) / n);
  // P(Binomial(n, share) <= k) = 1 - I_share(k + 1, n - k), which falls as the share grows.
  double low = k / n, high = 1;
  constexpr int kHalvings = 60;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    if (middle >= 1) break;
    (IncompleteBeta(k + 1, n - k, middle) < confidence ? low : high) = middle;
  }
  return high;
}

}  // namespace lab::bench
