#include "bench/load/figures.h"

namespace lab::bench {
namespace {

void Count(const Op& op, LoadFigures& figures) {
  switch (op.outcome) {
    case Outcome::kOk:
      ++figures.ok;
      break;
    case Outcome::kFailed:
      ++figures.failed;
      break;
    case Outcome::kUnknown:
      ++figures.unknown;
      break;
    case Outcome::kDropped:
      ++figures.dropped;
      return;
  }
  ++figures.sent;
  if (op.outcome != Outcome::kOk && figures.first_code == 0) figures.first_code = op.code;
  if (op.answer == Answer::kLimited) ++figures.limited;
}

}  // namespace

LoadFigures FiguresOf(const std::vector<Op>& ops, double begin_s, double end_s) {
  const auto begin_ns = static_cast<int64_t>(begin_s * 1e9), end_ns = static_cast<int64_t>(end_s * 1e9);
  LoadFigures figures;
  for (const Op& op : ops) {
    Count(op, figures);
    if (op.outcome == Outcome::kDropped || op.intended_ns < begin_ns || op.intended_ns >= end_ns) continue;
    figures.lag.Add(op.lag_ns());
    if (op.outcome != Outcome::kOk) continue;
    figures.latency.Add(op.latency_ns());
    figures.service.Add(op.service_ns());
  }
  if (end_s > begin_s) figures.ok_per_s = static_cast<double>(figures.latency.count()) / (end_s - begin_s);
  return figures;
}

}  // namespace lab::bench
