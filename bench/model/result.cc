#include "bench/model/result.h"

namespace lab::bench {

int ExitStatus(const Run& run) {
  if (run.interrupted) return 70;
  for (const Trial& trial : run.trials) {
    if (!trial.complete) return 70;
  }
  switch (run.verdict.state) {
    case State::kPass:
      return 0;
    case State::kFail:
      return 1;
    default:
      return 2;
  }
}

}  // namespace lab::bench
