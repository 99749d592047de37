#include "bench/cli/predictions.h"

#include <string>

#include "absl/strings/ascii.h"
#include "bench/judge/judge.h"
#include "bench/report/text.h"

namespace lab::bench::cli {

void AskPredictions(const Lab& lab, std::istream& in, std::ostream& out, RunOptions& options) {
  bool introduced = false;
  for (const PredictSpec& question : lab.predict) {
    if (options.predictions.count(question.id) > 0) continue;
    if (!introduced) {
      out << "\nBefore it runs: what do you expect? A guess counts, within a factor of two is good.\n"
             "(Enter skips a question, - skips all)\n\n";
      introduced = true;
    }
    for (int attempt = 0; attempt < 3; ++attempt) {
      out << "  " << PrintableText(question.ask) << (question.unit.empty() ? "" : " [" + question.unit + "]") << ": "
          << std::flush;
      std::string line;
      if (!std::getline(in, line)) {
        out << "\n";
        return;
      }
      const std::string answer(absl::StripAsciiWhitespace(line));
      if (answer == "-") return;
      if (answer.empty()) break;
      const absl::StatusOr<double> value = ParseQuantityIn(answer, question.unit);
      if (value.ok()) {
        options.predictions[question.id] = *value;
        break;
      }
      out << "    " << value.status().message() << "\n";
    }
  }
}

}  // namespace lab::bench::cli
