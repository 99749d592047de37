#include "bench/cli/calibration.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/cli/table.h"
#include "bench/judge/judge.h"
#include "bench/report/text.h"

namespace lab::bench::cli {
namespace {

constexpr size_t kShown = 8;  // of the runs of a question, the latest

struct Said {
  const RunHeadline* run = nullptr;
  const PredictionScore* score = nullptr;
};

bool Scored(const PredictionScore& score) { return score.predicted && score.measured; }

// The questions that were ever answered, as the latest run asks them; those that it does not ask any more at the end.
std::vector<std::string> Questions(const std::vector<RunHeadline>& runs) {
  std::vector<std::string> ids;
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    for (const PredictionScore& score : run->predictions) {
      if (std::find(ids.begin(), ids.end(), score.id) == ids.end()) ids.push_back(score.id);
    }
  }
  return ids;
}

std::vector<Said> SaidOf(const std::vector<RunHeadline>& runs, const std::string& id) {
  std::vector<Said> said;
  for (const RunHeadline& run : runs) {
    for (const PredictionScore& score : run.predictions) {
      if (score.id == id && Scored(score)) said.push_back({&run, &score});
    }
  }
  return said;
}

std::string Question(const std::string& id, const std::vector<Said>& said, const Ansi& ansi) {
  std::vector<std::optional<double>> factors;
  for (const Said& one : said) factors.push_back(one.score->factor);
  std::string out = absl::StrCat("  ", ansi.Bold(PrintableText(id)), "  ", PrintableText(said.back().score->ask), "  ",
                                 FactorBlocks(factors), "\n");
  std::vector<std::vector<std::string>> rows = {{"  started", "said", "measured", "off by", ""}};
  const size_t first = said.size() > kShown ? said.size() - kShown : 0;
  for (size_t i = first; i < said.size(); ++i) {
    const PredictionScore& score = *said[i].score;
    rows.push_back({"  " + PrintableText(said[i].run->started.substr(0, 19)),
                    FormatQuantity(*score.predicted, score.unit), FormatQuantity(*score.measured, score.unit),
                    score.factor ? absl::StrFormat("%.3gx", *score.factor) : "–", PrintableText(score.band)});
  }
  return out + TableText(rows, ansi);
}

std::string Share(const std::vector<const PredictionScore*>& scores, size_t begin, size_t end) {
  const auto within =
      std::count_if(scores.begin() + static_cast<int64_t>(begin), scores.begin() + static_cast<int64_t>(end),
                    [](const PredictionScore* score) { return score->factor && *score->factor <= 2; });
  return absl::StrCat(
      within, " of ", end - begin,
      absl::StrFormat(" (%.0f %%)", 100.0 * static_cast<double>(within) / static_cast<double>(end - begin)));
}

}  // namespace

std::string FactorBlocks(const std::vector<std::optional<double>>& factors) {
  static const char* const kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string out;
  for (const std::optional<double>& factor : factors) {
    const double octaves = factor ? std::log2(std::max(1.0, *factor)) : 4;  // 16 and more are the same
    out += kBlocks[std::clamp(static_cast<int>(std::lround(octaves / 4 * 7)), 0, 7)];
  }
  return out;
}

std::string CalibrationText(const std::vector<RunHeadline>& runs, const Ansi& ansi) {
  std::string out;
  for (const std::string& id : Questions(runs)) {
    const std::vector<Said> said = SaidOf(runs, id);
    if (!said.empty()) out += Question(id, said, ansi);
  }
  if (out.empty()) return "";
  std::vector<const PredictionScore*> scores;
  for (const RunHeadline& run : runs) {
    for (const PredictionScore& score : run.predictions) {
      if (Scored(score)) scores.push_back(&score);
    }
  }
  absl::StrAppend(&out, "  within a factor of two: ", Share(scores, 0, scores.size()));
  if (scores.size() >= 4) {
    const size_t half = scores.size() / 2;
    absl::StrAppend(&out, "; earlier ", Share(scores, 0, half), ", later ", Share(scores, half, scores.size()));
  }
  return absl::StrCat(out, "   (▁ is right, █ a factor of 16 or more)\n");
}

}  // namespace lab::bench::cli
