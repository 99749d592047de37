#include "bench/run/postgres_programs.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "bench/run/part_kind.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

constexpr char kUnpacked[] = "/.lab/debian/usr/lib/postgresql";

bool IsComplete(const PostgresPrograms& programs) {
  return CheckExecutable(programs.postgres()).ok() && CheckExecutable(programs.initdb()).ok();
}

// Whether a user of this number is there to become, as seen from our user namespace: user_namespaces(7), uid_map.
bool IsMapped(uid_t user) {
  std::ifstream map("/proc/self/uid_map");
  uint64_t inside = 0, outside = 0, count = 0;
  while (map >> inside >> outside >> count) {
    if (user >= inside && user - inside < count) return true;
  }
  return false;
}

std::optional<RunAs> UserNamed(const char* name) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer;
  if (getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return RunAs{entry.pw_uid, entry.pw_gid, false};
}

}  // namespace

const char* const kPostgresRemedy =
    "rm -f .lab/packages-* && ./lab doctor, which unpacks one below .lab; or as root: apt-get install postgresql (its "
    "own "
    "cluster is not touched)";

absl::StatusOr<PostgresPrograms> FindPostgresIn(const std::vector<std::string>& places) {
  for (const std::string& place : places) {
    int newest = 0;
    PostgresPrograms found;
    std::error_code error;
    // Who becomes somebody else goes by the real path: a link may lie where that one may not enter.
    for (const fs::directory_entry& version : fs::directory_iterator(fs::weakly_canonical(place, error), error)) {
      int number = 0;
      const PostgresPrograms programs{(version.path() / "bin").string()};
      if (!absl::SimpleAtoi(version.path().filename().string(), &number) || number <= newest) continue;
      if (!IsComplete(programs)) continue;  // of the client alone there is a bin, too
      newest = number;
      found = programs;
    }
    if (newest > 0) return found;
  }
  return absl::NotFoundError(
      Concat("no PostgreSQL server on this host (postgres and initdb in ", places.front(), "/*/bin)"));
}

absl::StatusOr<PostgresPrograms> FindPostgres(const std::string& root, const std::string& binary) {
  if (binary.empty()) {
    std::vector<std::string> places = {"/usr/lib/postgresql", root + kUnpacked};
    // What ./lab has unpacked lies above the program that it has built, wherever the root of a test is.
    std::error_code error;
    for (fs::path above = fs::read_symlink("/proc/self/exe", error).parent_path(); above.has_relative_path();
         above = above.parent_path()) {
      places.push_back(above.string() + kUnpacked);
    }
    return FindPostgresIn(places);
  }
  const fs::path path(binary);
  const PostgresPrograms programs{path.parent_path().string(), path.filename().string()};
  if (absl::Status executable = CheckExecutable(binary); !executable.ok()) return executable;
  if (absl::Status executable = CheckExecutable(programs.initdb()); !executable.ok()) {
    return absl::NotFoundError(Concat(executable.message(), ", which makes clusters for ", binary));
  }
  return programs;
}

absl::StatusOr<std::string> PostgresVersion(const PostgresPrograms& programs) {
  const absl::StatusOr<std::string> text =
      CaptureOutput(programs.postgres(), {"postgres", "--version"}, std::chrono::seconds(5));
  if (!text.ok()) return text.status();
  constexpr std::string_view kBefore = "(PostgreSQL) ";
  const size_t at = text->find(kBefore);
  if (at == std::string::npos) {
    return absl::UnavailableError(Concat(programs.postgres(), " does not say which version it is"));
  }
  const size_t begin = at + kBefore.size();
  return text->substr(begin, text->find('\n', begin) - begin);
}

absl::StatusOr<std::optional<RunAs>> ClusterOwner() {
  if (geteuid() != 0) return std::optional<RunAs>();
  for (const char* name : {"postgres", "nobody"}) {
    std::optional<RunAs> user = UserNamed(name);
    if (!user) continue;
    user->by_namespace = !IsMapped(user->user);
    return user;
  }
  return absl::NotFoundError(
      "PostgreSQL refuses to run as root, and this host has neither a user postgres nor nobody; adduser --system "
      "--no-create-home postgres");
}

absl::StatusOr<Command> PostgresCommand(const std::string& binary, std::vector<std::string> arguments,
                                        const std::string& data_folder) {
  const absl::StatusOr<std::optional<RunAs>> owner = ClusterOwner();
  if (!owner.ok()) return owner.status();
  Command command;
  command.binary = binary;
  command.arguments = std::move(arguments);
  command.arguments.front() = binary;  // by which it finds its own files; a bare name it would look for in PATH
  command.environment = CleanEnvironment();
  command.folder = std::string("/");
  command.held = data_folder;
  command.as = *owner;
  return command;
}

}  // namespace lab::bench
