#pragma once

#include <istream>
#include <ostream>

#include "bench/labfile/lab.h"
#include "bench/run/runner.h"

namespace lab::bench::cli {

// Asks for what was not given by --predict, on a terminal. Enter skips a question, "-" or the end of input skips the
// rest; what is no number of the asked kind is asked again (three times).
void AskPredictions(const Lab& lab, std::istream& in, std::ostream& out, RunOptions& options);

}  // namespace lab::bench::cli
