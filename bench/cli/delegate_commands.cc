// `test` and `bench` hand over to programs of the build; `targets` answers the script `lab`.

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
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

int Test(const Session&, const Arguments& arguments) {
  std::vector<std::string> words = {"--test-dir", BuildFolder(), "--output-on-failure", "--no-tests=error"};
  words.insert(words.end(), arguments.operands.begin(), arguments.operands.end());
  return Become("ctest", words);
}

int Bench(const Session&, const Arguments& arguments) {
  return Become(BuildFolder() + "/bench/micro/lab_bench", arguments.operands);
}

int Targets(const Session& session, const Arguments& arguments) {
  // A lab file with errors still names its parts in the message of the run; here nothing is to be built then.
  const absl::StatusOr<Lab> lab = OpenLab(session.root, arguments.operands[0], MakeCatalogue(session.root));
  if (!lab.ok()) return Fail(kUsage, lab.status());
  std::vector<std::string> kinds;
  for (const PartSpec& part : lab->system) kinds.push_back(part.kind.empty() ? part.name : part.kind);
  for (const std::string& target : ServicesAmong(kinds)) std::puts(target.c_str());
  return 0;
}

}  // namespace

Command TestCommand() {
  CommandSpec spec{"test",
                   "",
                   0,
                   0,
                   {},
                   "The test suite (what follows goes to ctest)",
                   "Examples\n  ./lab test\n  ./lab test --all\n"};
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
  CommandSpec spec{"targets", "<lab>", 1, 1, {}, "The build targets of the services that a lab starts", ""};
  spec.hidden = true;
  return {spec, &Targets};
}

}  // namespace lab::bench::cli
