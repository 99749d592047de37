#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/run/process.h"

namespace lab::bench {

// How a server is got, in words.
extern const char* const kPostgresRemedy;

// One version of PostgreSQL on this host: its server and what makes its clusters, in one folder.
struct PostgresPrograms {
  std::string folder;               // "/usr/lib/postgresql/15/bin"
  std::string server = "postgres";  // its file there
  std::string postgres() const { return folder + "/" + server; }
  std::string initdb() const { return folder + "/initdb"; }
};

// The one whose server is `binary`; for "" the newest of the host's (/usr/lib/postgresql/*/bin) that has both programs,
// else the newest that the script lab has unpacked for this checkout. NOT_FOUND with what is missing.
absl::StatusOr<PostgresPrograms> FindPostgres(const std::string& root, const std::string& binary);
// The same, looked for in these places: folders with one of a version each, in which there is "bin".
absl::StatusOr<PostgresPrograms> FindPostgresIn(const std::vector<std::string>& places);

// "15.18 (Debian 15.18-0+deb12u1)".
absl::StatusOr<std::string> PostgresVersion(const PostgresPrograms& programs);

// Whom its processes must become: PostgreSQL refuses root. Absent for anybody else; for root the user `postgres`, else
// `nobody`; in a user namespace that has only root, that user by a namespace more. NOT_FOUND when there is neither.
absl::StatusOr<std::optional<RunAs>> ClusterOwner();

// A command of these programs, as the owner of its data folder, which they find at kHeldFolder: `-D` kHeldFolder. Their
// working folder is / until they enter it, as the server does: on the way PostgreSQL 15 leaves its working folder and
// comes back by its path, which may be closed to it.
absl::StatusOr<Command> PostgresCommand(const std::string& binary, std::vector<std::string> arguments,
                                        const std::string& data_folder);

}  // namespace lab::bench
