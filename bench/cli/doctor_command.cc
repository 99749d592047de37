#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
#include "bench/cli/terminal.h"
#include "bench/cli/try_faults.h"
#include "bench/host/cgroup.h"
#include "bench/judge/judge.h"
#include "bench/observe/process_figures.h"
#include "bench/report/text.h"
#include "bench/run/evidence.h"
#include "bench/run/host.h"
#include "bench/run/neighbours.h"
#include "bench/run/part_kind.h"
#include "bench/run/postgres_template.h"
#include "bench/run/process.h"
#include "bench/run/run_folder.h"

namespace lab::bench::cli {
namespace {

constexpr double kMinMemory = 1.0 * (1 << 30);
constexpr double kMinDisk = 1.0 * (1 << 30);
constexpr Nanos kPatience = std::chrono::seconds(5);
constexpr Nanos kLook = std::chrono::seconds(1);

// Prints what was found; remembers whether something that a lab needs is missing.
class Findings {
 public:
  explicit Findings(bool color) : ansi_(color) {}

  void Heading(const std::string& text) { Print(absl::StrCat("\n", ansi_.Bold(text))); }
  void Good(const std::string& what, const std::string& found) { Line(State::kPass, what, found, ""); }
  void Note(const std::string& what, const std::string& found) { Line(State::kNotAsked, what, found, ""); }
  // Something is worse than it should be, but labs run.
  void Weak(const std::string& what, const std::string& found, const std::string& remedy) {
    Line(State::kInconclusive, what, found, remedy);
  }
  // The host does not allow it: labs that need it are skipped, all others run.
  void NotHere(const std::string& what, const std::string& found, const std::string& remedy) {
    Line(State::kFail, what, found, remedy);
  }
  void Missing(const std::string& what, const std::string& found, const std::string& remedy) {
    Line(State::kFail, what, found, remedy);
    sound_ = false;
  }
  bool sound() const { return sound_; }

 private:
  void Line(State state, const std::string& what, const std::string& found, const std::string& remedy) {
    Print(absl::StrCat("  ", ansi_.ByState(state, StateGlyph(state)), " ", PadRight(what, 22), " ",
                       PrintableText(found)));
    if (!remedy.empty()) Print(absl::StrCat("      → ", remedy));
  }
  static void Print(const std::string& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
  }
  const Ansi ansi_;
  bool sound_ = true;
};

// A run is inconclusive on a host whose time others take (bench/run/evidence.h).
void CheckQuiet(Findings& findings) {
  const double cores = std::max(1u, std::thread::hardware_concurrency());
  const NeighbourWatch neighbours;
  const std::optional<HostFigures> before = ReadHost();
  std::this_thread::sleep_for(kLook);
  const std::optional<HostFigures> after = ReadHost();
  if (!before || !after) return;
  const double seconds = std::chrono::duration<double>(kLook).count();
  const double busy = (after->cpu_s - before->cpu_s) / seconds, stolen = (after->steal_s - before->steal_s) / seconds;
  const std::string busiest = neighbours.Busiest();
  const std::string found =
      absl::StrFormat("%.1f cores busy%s, %.1f %% taken by the hypervisor", busy,
                      busiest.empty() ? "" : absl::StrCat(" (", busiest, ")"), stolen / cores * 100);
  if (busy > kNeighbourLimit * cores || stolen > kStealLimit * cores) {
    findings.Weak("quiet", found, "runs are inconclusive beside it: end what runs, or wait");
  } else if (stolen > kStealCaution * cores) {
    findings.Weak("quiet", found, "bounds that are missed narrowly are left open beside it");
  } else {
    findings.Good("quiet", found);
  }
}

void CheckMachine(Findings& findings) {
  const HostLimits limits = LimitsOfOurs();
  const double cores = std::min(limits.cpu_cores.value_or(1e9), 1.0 * std::thread::hardware_concurrency());
  if (cores >= 2) {
    findings.Good("cores", absl::StrCat(cores));
  } else {
    findings.Weak("cores", absl::StrCat(cores, limits.cpu_cores ? " by a CPU quota" : ""),
                  "labs want 2: with one the load generator often starves, and runs are inconclusive");
  }
  const double memory = std::min(limits.memory_bytes.value_or(1e18), AvailableMemory().value_or(0));
  if (memory >= kMinMemory) {
    findings.Good("memory available", FormatQuantity(memory, "bytes"));
  } else {
    findings.Missing("memory available", FormatQuantity(memory, "bytes"),
                     "labs want 1 GiB: close something, or give the machine more");
  }
  CheckQuiet(findings);
  const auto host = DescribeHost();
  for (const char* key : {"cpu", "kernel", "distribution", "virtualised", "governor", "cgroups", "limits"}) {
    const auto found = host.find(key);
    if (found != host.end() && !found->second.empty()) findings.Note(key, found->second);
  }
}

void CheckDisk(const std::string& root, Findings& findings) {
  const std::string state = StateFolder(root);
  std::error_code error;
  std::filesystem::create_directories(state, error);
  const std::string probe = absl::StrCat(state, "/.doctor-", getpid());
  const bool writable = std::ofstream(probe) << "x" << std::flush ? true : false;
  std::filesystem::remove(probe, error);
  if (!writable) {
    findings.Missing("state folder", state + " cannot be written",
                     "make it writable, or set LAB_STATE to another folder");
    return;
  }
  const std::filesystem::space_info disk = std::filesystem::space(state, error);
  const double free = error ? 0 : static_cast<double>(disk.available);
  if (free >= kMinDisk) {
    findings.Good("disk free", absl::StrCat(FormatQuantity(free, "bytes"), " in ", state));
  } else {
    findings.Missing(
        "disk free", absl::StrCat(FormatQuantity(free, "bytes"), " in ", state),
        absl::StrCat("a run takes up to some 100 MiB: remove ", state, "/runs, or set LAB_STATE to another disk"));
  }
}

void CheckPorts(Findings& findings) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound =
      fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 && listen(fd, 1) == 0;
  if (fd >= 0) close(fd);
  if (bound) {
    findings.Good("loopback ports", "free ones on 127.0.0.1");
  } else {
    findings.Missing("loopback ports", "cannot listen on 127.0.0.1",
                     "ip link set lo up; or allow more open files (ulimit -n)");
  }
}

void CheckParts(const std::string& root, Findings& findings) {
  const Build build{root};
  for (const std::unique_ptr<PartKind>& kind : PartKinds()) {
    const bool service = !ServicesAmong({kind->name()}).empty();
    const absl::StatusOr<std::string> version = kind->Version(build, {});
    const absl::Status knobs = kind->Knobs(build).status();
    if (version.ok() && knobs.ok()) {
      findings.Good(kind->name(), *version);
    } else if (service) {
      findings.Note(kind->name(), "not built yet; ./lab run builds what a lab needs");
    } else if (kind->name() == "redis") {  // every lab needs it
      findings.Missing(kind->name(), std::string((version.ok() ? knobs : version.status()).message()), kind->Remedy());
    } else {
      findings.NotHere(kind->name(), std::string((version.ok() ? knobs : version.status()).message()), kind->Remedy());
    }
  }
  if (const uint64_t bytes = TemplateBytes(StateFolder(root)); bytes > 0) {
    findings.Note("postgres templates",
                  absl::StrCat(FormatQuantity(static_cast<double>(bytes), "bytes"), " in ", StateFolder(root),
                               "/postgres; may be removed, made again when needed"));
  }
  for (const char* tool : {"g++", "cmake", "ninja", "git"}) {
    const std::string shell = absl::StrCat("command -v ", tool, " >/dev/null && ", tool, " --version");
    const absl::StatusOr<std::string> version = CaptureOutput("/bin/sh", {"sh", "-c", shell}, kPatience);
    findings.Note(tool, version.ok() ? version->substr(0, version->find('\n')) : "not here (only needed to build)");
  }
}

void CheckFaults(const std::string& root, Findings& findings) {
  for (const FaultTrial& trial : TryFaults(root)) {
    if (!trial.why_not_here.empty()) {
      const size_t split = trial.why_not_here.find("; ");
      const std::string remedy = split == std::string::npos ? "" : trial.why_not_here.substr(split + 2);
      findings.NotHere(trial.fault, trial.why_not_here.substr(0, split), remedy);
    } else if (trial.error.empty()) {
      findings.Good(trial.fault, trial.evidence);
    } else {
      findings.Weak(trial.fault, trial.error, "labs that need it are inconclusive on this host");
    }
  }
}

int Doctor(const Session& session, const Arguments& arguments) {
  Findings findings(StyleOf(STDOUT_FILENO, false).color);
  findings.Heading("This machine");
  CheckMachine(findings);
  CheckDisk(session.root, findings);
  CheckPorts(findings);
  findings.Heading("Parts and tools");
  CheckParts(session.root, findings);
  if (!arguments.Has("--fast")) {
    findings.Heading("Faults, each tried on a part of its own");
    CheckFaults(session.root, findings);
  }
  std::puts(findings.sound() ? "\nready" : "\nnot ready: see →");
  return findings.sound() ? 0 : kMissing;
}

}  // namespace

Command DoctorCommand() {
  return {{"doctor",
           "",
           0,
           0,
           {{"--fast", "", "without trying the faults"}},
           "What this host can do: resources, parts, faults, with the remedy for each ✗",
           "Exit status: 0 labs can run, 69 something they need is missing.\n"},
          &Doctor};
}

}  // namespace lab::bench::cli
