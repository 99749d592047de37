#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "absl/strings/str_format.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
#include "bench/cli/disk.h"
#include "bench/cli/progress.h"
#include "bench/cli/run_request.h"
#include "bench/cli/terminal.h"
#include "bench/cli/up_systems.h"
#include "bench/report/sweep.h"
#include "bench/report/text.h"
#include "bench/run/needs.h"

namespace lab::bench::cli {
namespace {

constexpr double kBoot_s = 1.5;          // what starting, connecting and stopping take beside the phases
constexpr double kBytes = 100 << 20;     // the least that a sweep needs
constexpr double kTrialBytes = 8 << 20;  // what one trial writes

std::string Minutes(double seconds) {
  const int whole = static_cast<int>(seconds + 0.5);
  return whole < 90 ? absl::StrFormat("%d s", whole) : absl::StrFormat("%d min %02d s", whole / 60, whole % 60);
}

// "15 trials (3 values x 1 variant x 5 blocks) of 24 s: about 6 min 00 s".
std::string Plan(const Lab& lab, const SweepRequest& request, size_t trials) {
  const std::vector<Phase> phases = TimelineOf(lab, request.options.quick);
  const double one_s = kBoot_s + (phases.empty() ? 0 : phases.back().end_s);
  const size_t variants = request.options.variants.size();
  return absl::StrFormat("%s over %s: %d trials (%d values x %d variant%s x %d block%s) of %s: about %s", lab.name,
                         request.knob.name(), trials, request.plan.values.size(), variants, variants == 1 ? "" : "s",
                         request.options.repeat, request.options.repeat == 1 ? "" : "s", Minutes(one_s),
                         Minutes(one_s * static_cast<double>(trials)));
}

// A variant that sets the knob itself has the swept value instead, which may be all that it is about.
void TellOverridden(const Lab& lab, const SweepRequest& request) {
  for (const VariantSpec& variant : lab.variants) {
    const auto& names = request.options.variants;
    if (std::find(names.begin(), names.end(), variant.name) == names.end()) continue;
    const auto part = variant.set.find(request.plan.part);
    if (part == variant.set.end() || !part->second.contains(request.plan.key)) continue;
    std::fprintf(stderr, "lab: %s sets %s to %s itself; the sweep takes its place\n", variant.name.c_str(),
                 request.knob.name().c_str(), PrintableText(part->second.at(request.plan.key)).c_str());
  }
}

// Told before it is measured, for it costs only more of the same then.
void TellTooFewBlocks(const SweepRequest& request) {
  const size_t needed = BlocksToTell(request.plan.values.size(), request.options.variants.size());
  if (request.options.repeat <= 1 || static_cast<size_t>(request.options.repeat) >= needed) return;
  std::fprintf(stderr, "lab: %d blocks cannot say what moves with the knob over so many points; --repeat %zu can\n",
               request.options.repeat, needed);
}

absl::StatusOr<std::vector<Run>> RunShown(const Lab& lab, const SweepRequest& request, bool json, bool plain) {
  const std::unique_ptr<Progress> progress = MakeProgress(lab, request.options, json, plain);
  return RunSweep(lab, request.options, request.plan, *progress);
}

int RunASweep(const Session& session, const Arguments& arguments) {
  const Catalogue catalogue = MakeCatalogue(session.root);
  const absl::StatusOr<Lab> lab = OpenLab(session.root, arguments.operands[0], catalogue);
  if (!lab.ok()) return Fail(kUsage, lab.status());
  if (const absl::Status built = CheckBuilt(*lab, catalogue); !built.ok()) return Fail(kMissing, built);
  absl::StatusOr<SweepRequest> request = ReadSweepRequest(arguments, *lab, catalogue);
  if (!request.ok()) return Fail(kUsage, request.status());
  RunOptions& options = request->options;
  const size_t trials = request->plan.values.size() * options.variants.size() * static_cast<size_t>(options.repeat);
  const absl::Status disk = CheckDisk(session.root, std::max(kBytes, kTrialBytes * static_cast<double>(trials)));
  if (!disk.ok()) return Fail(kNotCompleted, disk);
  if (const absl::Status needs = CheckNeeds(*lab); !needs.ok()) return Fail(kSkipped, needs);

  const bool json = arguments.Has("--json"), plain = arguments.Has("--plain");
  std::fprintf(json ? stderr : stdout, "%s\n", Plan(*lab, *request, trials).c_str());
  std::fflush(stdout);
  TellOverridden(*lab, *request);
  TellTooFewBlocks(*request);
  TellWhatIsUp(session.root, "sweep");
  options.interrupted = &CatchSignals();
  options.root = session.root;
  options.command = session.command;
  absl::StatusOr<std::vector<Run>> runs = RunShown(*lab, *request, json, plain);
  if (!runs.ok()) return Fail(StatusOfError(runs.status()), runs.status());
  const Sweep sweep =
      MakeSweep(*lab, request->knob, request->plan.values, options.variants, options.repeat, std::move(*runs));
  const absl::Status written = WriteSweep(sweep);
  const std::string text =
      json ? SweepJson(sweep)
           : SweepSummary(sweep, StyleOf(STDOUT_FILENO, plain), ShortPath(sweep.folder + "/sweep.html"));
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  if (!written.ok()) return Fail(kNotCompleted, written);
  const int status = ExitStatus(sweep);
  if (status == kNotCompleted) {
    return Fail(status, "interrupted: everything was healed and stopped; the tables hold what there was");
  }
  return status;
}

}  // namespace

Command SweepCommand() {
  return {
      {"sweep",
       "<lab>",
       1,
       1,
       {{"--set", "PART.KEY=A,B,C", "the knob and its values; further --set with one value change other settings",
         true},
        {"--variants", "a,b", "these variants; otherwise the lab's reference alone", true},
        {"--repeat", "N", "interleaved blocks a point; 5 unless --quick, which takes 1"},
        {"--quick", "", "short phases"},
        {"--seed", "N", "the same arrivals as another run; otherwise a new seed"},
        {"--recalibrate", "", "look for the knee again, in a lab whose rates are shares of it"},
        {"--plain", "", "no colours, one status line a second"},
        {"--json", "", "only sweep.json on standard output, progress on standard error"}},
       "The same lab over values of one knob: a curve with intervals",
       "Examples\n"
       "  ./lab sweep rate-limit-outage --set ratelimit.redis.deadline=2ms,5ms,20ms\n"
       "  ./lab sweep rate-limit-outage --set ratelimit.redis.deadline=2ms,5ms,10ms --variants deny,local --quick\n\n"
       "Table on the terminal; sweep.html, sweep.md and sweep.json in a folder of their own under .lab/runs/<lab>/.\n"
       "What the lab expects is shown for each value and decides nothing.\n"
       "Exit status: 0 every point has its evidence, 2 points lack evidence, 64 usage or a bad lab file, 69 a needed\n"
       "part is missing, 70 not completed (interrupted: what there is is kept).\n"},
      &RunASweep};
}

}  // namespace lab::bench::cli
