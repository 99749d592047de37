// `test` hands over to tests/run, `bench` to a program of the build; `targets` answers the script `lab`.

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
#include "bench/cli/run_request.h"
#include "bench/run/part_kind.h"

namespace lab::bench::cli {
namespace {

namespace fs = std::filesystem;

// The build folder that this program is of.
std::string BuildFolder() {
  std::error_code ignored;
  const fs::path self = fs::read_symlink("/proc/self/exe", ignored);
  for (fs::path folder = self.parent_path(); folder.has_relative_path(); folder = folder.parent_path()) {
    if (fs::exists(folder / "CMakeCache.txt", ignored)) return folder.string();
  }
  return self.parent_path().string();
}

// Becomes `program`; returns only when that failed.
int Become(const std::string& program, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(program.c_str(), argv.data());
  return Fail(kMissing, absl::StrCat(program, ": ", std::strerror(errno)));
}

int Test(const Session& session, const Arguments& arguments) {
  return Become(session.root + "/tests/run", arguments.operands);
}

int Bench(const Session&, const Arguments& arguments) {
  return Become(BuildFolder() + "/bench/micro/lab_bench", arguments.operands);
}

// The words are those behind `run` or `up`, read as that reads them: "--seed 5 rate-limit-outage" asks for
// rate-limit-outage. `sweep` has no option that `run` has not, but takes several values in one --set.
int Targets(const Session& session, const Arguments& words) {
  absl::StatusOr<Arguments> arguments = ParseArguments(RunCommand().spec, words.operands);
  if (!arguments.ok()) {
    if (absl::StatusOr<Arguments> of_up = ParseArguments(UpCommand().spec, words.operands); of_up.ok()) {
      arguments = std::move(of_up);
    }
  }
  if (!arguments.ok()) return Fail(kUsage, arguments.status());
  if (arguments->Has("--help") || arguments->operands.empty()) return 0;
  // For a lab file or options with errors nothing is to be built; the run tells them.
  const Catalogue catalogue = MakeCatalogue(session.root);
  const absl::StatusOr<Lab> lab = OpenLab(session.root, arguments->operands[0], catalogue);
  if (!lab.ok()) return Fail(kUsage, lab.status());
  if (const auto options = ReadRunOptions(*arguments, *lab, catalogue);
      !options.ok() && !ReadSweepRequest(*arguments, *lab, catalogue).ok()) {
    return Fail(kUsage, options.status());
  }
  std::vector<std::string> kinds;
  for (const PartSpec& part : lab->system) kinds.push_back(part.kind.empty() ? part.name : part.kind);
  for (const std::string& target : ServicesAmong(kinds)) std::puts(target.c_str());
  if (!lab->links.empty()) std::puts("fault_proxy");
  return 0;
}

}  // namespace

Command TestCommand() {
  CommandSpec spec{"test",
                   "",
                   0,
                   0,
                   {},
                   "The test suite (what follows goes to tests/run)",
                   "Examples\n  ./lab test\n  ./lab test --all\n  ./lab test --stage unit\n  ./lab test --help\n"};
  spec.passes_on = true;
  return {spec, &Test};
}

Command BenchCommand() {
  CommandSpec spec{"bench",
                   "",
                   0,
                   0,
                   {},
                   "The benchmarks (what follows goes to the benchmark driver)",
                   "Examples\n  ./lab bench\n  ./lab bench --peer envoyproxy-ratelimit\n"};
  spec.passes_on = true;
  return {spec, &Bench};
}

Command TargetsCommand() {
  CommandSpec spec{"targets", "<words of run or up>", 0, 0, {}, "The build targets of the services that a run starts",
                   ""};
  spec.passes_on = true;
  spec.hidden = true;
  return {spec, &Targets};
}

}  // namespace lab::bench::cli
