#include "bench/cli/keep_request.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/cli/run_request.h"
#include "bench/live/steady_load.h"
#include "bench/load/endless_arrivals.h"
#include "bench/run/calibrate.h"
#include "services/runtime/base/nearest.h"

namespace lab::bench::cli {
namespace {

constexpr std::chrono::seconds kShortest{10};
constexpr std::chrono::hours kLongest{24};

}  // namespace

absl::StatusOr<KeepRequest> ReadKeepRequest(const Arguments& arguments, const Lab& lab, const Catalogue& catalogue,
                                            const std::string& root) {
  KeepRequest request;
  request.lab = lab;
  std::vector<std::string> errors;
  // --set and --seed mean what they mean for a run.
  const absl::StatusOr<RunOptions> options = ReadRunOptions(arguments, lab, catalogue);
  if (options.ok()) {
    request.set = options->set;
    request.seed = options->seed;
    RunOptions run = *options;
    run.root = root;
    if (absl::StatusOr<Lab> rated = AtKnownKnee(lab, run); rated.ok()) {
      request.lab = *std::move(rated);
    } else {
      errors.emplace_back(rated.status().message());
    }
  } else {
    errors.emplace_back(options.status().message());
  }
  std::vector<std::string> variants;
  for (const VariantSpec& variant : lab.variants) variants.push_back(variant.name);
  request.variant = arguments.Get("--variant", lab.reference.empty() ? variants.front() : lab.reference);
  if (std::find(variants.begin(), variants.end(), request.variant) == variants.end()) {
    errors.push_back(absl::StrCat("--variant: ", lab.name, " has no variant \"", request.variant, "\"",
                                  Suggestion(request.variant, variants)));
  }
  const absl::StatusOr<std::string> phase = live::SteadyPhase(request.lab, arguments.Get("--phase"));
  if (!phase.ok()) {
    errors.push_back(absl::StrCat("--phase: ", std::string(phase.status().message())));
  } else {
    request.phase = *phase;
    for (const LoadSpec& load : live::SteadyLoads(request.lab.load, *phase)) {
      if (const absl::Status endless = CheckEndless(load); !endless.ok()) errors.emplace_back(endless.message());
    }
  }
  if (arguments.Has("--for")) {
    const absl::StatusOr<Nanos> length = ParseDuration(arguments.Get("--for"));
    if (!length.ok() || *length < kShortest || *length > kLongest) {
      errors.push_back(absl::StrCat("--for takes a time from 10s to 24h, not \"", arguments.Get("--for"), "\""));
    } else {
      request.length = *length;
    }
  }
  if (!errors.empty()) return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
  return request;
}

}  // namespace lab::bench::cli
