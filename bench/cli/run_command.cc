#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
#include "bench/cli/disk.h"
#include "bench/cli/predictions.h"
#include "bench/cli/progress.h"
#include "bench/cli/run_page.h"
#include "bench/cli/run_request.h"
#include "bench/cli/terminal.h"
#include "bench/cli/up_systems.h"
#include "bench/judge/judge.h"
#include "bench/report/card.h"
#include "bench/report/report.h"
#include "bench/report/result_json.h"
#include "bench/report/text.h"
#include "bench/run/needs.h"
#include "bench/run/runner.h"

namespace lab::bench::cli {
namespace {

// How this run shows itself.
struct Manner {
  bool json = false;  // only result.json on standard output
  bool ask = false;   // for predictions
  bool plain = false;
  bool page = false;  // beside the rest, in a browser
  int page_port = 0;
};

absl::StatusOr<Manner> MannerOf(const Arguments& arguments) {
  Manner manner;
  const absl::StatusOr<std::optional<uint64_t>> port = arguments.Number("--ui-port", 0, 65535);
  if (!port.ok()) return port.status();
  manner.page = arguments.Has("--ui") || *port;
  manner.page_port = static_cast<int>(port->value_or(0));
  manner.json = arguments.Has("--json");
  manner.plain = arguments.Has("--plain");
  manner.ask = !manner.json && !arguments.Has("--no-predict") && !arguments.Has("--yes") && IsTerminal(STDOUT_FILENO) &&
               isatty(STDIN_FILENO) == 1;
  return manner;
}

absl::StatusOr<Run> RunShown(const Lab& lab, const RunOptions& options, const Manner& manner, RunPage* page) {
  const std::unique_ptr<Progress> progress = MakeProgress(lab, options, manner.json, manner.plain);
  if (page == nullptr) return RunLab(lab, options, *progress);
  BothProgress both(*progress, page->progress());
  return RunLab(lab, options, both);
}

// Null without --ui.
absl::StatusOr<std::unique_ptr<RunPage>> OpenPage(const Lab& lab, const RunOptions& options, const Manner& manner) {
  if (!manner.page) return std::unique_ptr<RunPage>();
  absl::StatusOr<std::unique_ptr<RunPage>> page = RunPage::Start(lab, options, manner.page_port);
  if (page.ok()) std::fprintf(stderr, "watch it at %s\n", (*page)->url().c_str());
  return page;
}

// A person who opened the page wants to read the verdict there; a script wants the exit status.
void LeavePage(RunPage& page, const Manner& manner, const std::atomic<int>& interrupted) {
  if (manner.json || !IsTerminal(STDOUT_FILENO) || isatty(STDIN_FILENO) != 1 || interrupted != 0) return;
  std::fprintf(stderr, "the page stays at %s; Enter ends it\n", page.url().c_str());
  page.AwaitLeave(interrupted);
}

int Conclude(const Lab& lab, Run run, const CardTemplate& card, const Manner& manner, RunPage* page) {
  run.verdict = Judge(lab, run);
  Report report = MakeReport(lab, std::move(run));
  for (Trial& trial : report.run.trials) std::vector<Op>().swap(trial.ops);  // in files by now, and large
  const int status = ExitStatus(report.run);
  const absl::Status written = WriteReports(report, card.text, card.file);
  if (page != nullptr) page->progress().Judged(report);
  if (manner.json) {
    std::fputs(ResultJson(report).c_str(), stdout);
  } else {
    const TerminalStyle style = StyleOf(STDOUT_FILENO, manner.plain);
    std::fputs(Summary(report, style, ShortPath(report.run.folder + "/report.html")).c_str(), stdout);
  }
  std::fflush(stdout);
  if (report.run.over_budget() && ShowsLive(manner.json, manner.plain)) {  // plain lines have said it already
    std::fprintf(stderr, "the run took %.1f s, more than its budget of %.0f s\n", report.run.duration_s,
                 report.run.budget_s);
  }
  if (!written.ok()) return Fail(kNotCompleted, written);
  if (status == kNotCompleted) {
    return Fail(status, report.run.interrupted
                            ? "interrupted: everything was healed and stopped; the verdict is of what there was"
                            : "not completed; the verdict is of what there was");
  }
  return status;
}

int RunALab(const Session& session, const Arguments& arguments) {
  const Catalogue catalogue = MakeCatalogue(session.root);
  const absl::StatusOr<Lab> lab = OpenLab(session.root, arguments.operands[0], catalogue);
  if (!lab.ok()) return Fail(kUsage, lab.status());
  absl::StatusOr<RunOptions> options = ReadRunOptions(arguments, *lab, catalogue);
  if (!options.ok()) return Fail(kUsage, options.status());
  if (const absl::Status built = CheckBuilt(*lab, catalogue); !built.ok()) return Fail(kMissing, built);
  const absl::StatusOr<CardTemplate> card = ReadCardTemplate(*lab);
  if (!card.ok()) return Fail(kUsage, card.status());
  if (const absl::Status checked = CheckCard(card->text, card->file, *lab); !checked.ok()) return Fail(kUsage, checked);

  constexpr double kQuickBytes = 16 << 20, kBytes = 100 << 20;  // quick runs write 10 MB, full ones 20 and more
  const absl::Status disk = CheckDisk(session.root, options->quick ? kQuickBytes : kBytes);
  if (!disk.ok()) return Fail(kNotCompleted, disk);

  if (const absl::Status needs = CheckNeeds(*lab); !needs.ok()) return Fail(kSkipped, needs);
  TellWhatIsUp(session.root, "run");
  const absl::StatusOr<Manner> manner = MannerOf(arguments);
  if (!manner.ok()) return Fail(kUsage, manner.status());
  const absl::StatusOr<std::unique_ptr<RunPage>> opened = OpenPage(*lab, *options, *manner);
  if (!opened.ok()) return Fail(kNotCompleted, opened.status());
  RunPage* const page = opened->get();
  options->interrupted = &CatchSignals(!manner->ask);
  if (manner->ask) AskPredictions(*lab, std::cin, std::cout, *options);
  CatchSignals();
  if (*options->interrupted != 0) return Fail(kNotCompleted, "interrupted before anything was started");
  options->root = session.root;
  options->command = session.command;
  absl::StatusOr<Run> run = RunShown(*lab, *options, *manner, page);
  if (!run.ok()) return Fail(StatusOfError(run.status()), run.status());
  const int status = Conclude(*lab, std::move(*run), *card, *manner, page);
  if (page != nullptr) LeavePage(*page, *manner, *options->interrupted);
  return status;
}

}  // namespace

Command RunCommand() {
  return {
      {"run",
       "<lab>",
       1,
       1,
       {{"--quick", "", "short phases, once: absolute expectations only (at most 45 s)"},
        {"--variants", "a,b", "only these variants", true},
        {"--repeat", "N", "each variant N times, interleaved; comparisons need at least 4"},
        {"--seed", "N", "the same arrivals as another run; otherwise a new seed"},
        {"--set", "PART.KEY=VALUE", "change a setting in every variant; repeatable", true},
        {"--predict", "ID=VALUE", "your prediction, \"p99-deny=50ms\"; repeatable, not asked then", true},
        {"--no-predict", "", "do not ask for predictions"},
        {"--yes", "", "ask nothing at all"},
        {"--plain", "", "no colours, one status line a second"},
        {"--ui", "", "also a page on this machine: prints its address, and on a terminal stays until Enter"},
        {"--ui-port", "PORT", "the port of that page (implies --ui); otherwise a free one"},
        {"--json", "", "only result.json on standard output, progress on standard error"},
        {"--schedule", "MOVES", "of a lab that explores: this one schedule, \"W:delete R:get …\", with its diagram"},
        {"--recalibrate", "", "look for the knee again, in a lab whose rates are shares of it"},
        {"--starve-load", "SHARE",
         "keep the load generator from running that share of the time: the lab must then say"
         " inconclusive"}},
       "Run a lab: boot, load, break, judge, report",
       "Examples\n"
       "  ./lab run rate-limit-outage\n"
       "  ./lab run rate-limit-outage --quick --variants deny,local\n"
       "  ./lab run rate-limit-outage --set ratelimit.redis.deadline=2ms    what a shorter deadline buys\n"
       "  ./lab run rate-limit-outage --variants no-deadline                the broken one alone: exit status 1\n"
       "  ./lab run rate-limit-outage --quick --starve-load 0.9             a sick generator: exit status 2\n"
       "  ./lab run rate-limit-outage --ui                                  watch it in a browser\n"
       "  ./lab run cache-consistency --variants delete-before-update --schedule \"W:delete R:get R:select R:set "
       "W:commit\"\n"
       "  ./lab run path/to/lab.yaml                                        a lab file of your own\n\n"
       "Exit status: 0 every expectation held, 1 one was falsified, 2 not enough evidence, 64 usage or a bad lab "
       "file,\n"
       "69 a needed part is missing, 70 not completed (interrupted, a part could not start).\n"
       "Ctrl-C heals and stops everything; a second one ends at once, and the next start cleans up.\n"},
      &RunALab};
}

}  // namespace lab::bench::cli
