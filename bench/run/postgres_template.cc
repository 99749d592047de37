#include "bench/run/postgres_template.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_format.h"
#include "bench/host/family.h"
#include "bench/run/child.h"
#include "bench/run/copy_tree.h"
#include "bench/run/fingerprint.h"
#include "bench/run/journal.h"
#include "bench/run/ports.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kInitdb{60};
constexpr std::chrono::seconds kStart{30};
constexpr std::chrono::seconds kStop{30};
constexpr Millis kPoll{5};
constexpr Millis kProbe{500};
constexpr size_t kKept = 4;
constexpr int kFormat = 2;  // of what is made here: another number makes all anew

// From loopback the role lab alone, which is no superuser: a superuser may execute programs, and everybody on this host
// reaches loopback.
constexpr const char* kAccess =
    "local all all trust\n"
    "host all lab 127.0.0.1/32 trust\n"
    "host replication lab 127.0.0.1/32 trust\n";

// The boot belongs to it because nothing is synced, which would take longer than all the rest: what was made before a
// crash of the host may not be whole.
std::string HashOf(const ClusterSpec& spec, const std::optional<RunAs>& owner) {
  std::string text = Concat(kFormat, "\n", BootId(), "\n", spec.programs.postgres(), "\n", spec.version, "\n",
                            spec.checksums ? "checksums" : "", "\n", owner ? owner->user : geteuid(), "\n");
  for (const Schema& schema : spec.schemas) {
    text += Concat("database ", schema.database, "\n");
    for (const Migration& migration : schema.migrations) {
      text += Concat(migration.name, " ", migration.sql.size(), "\n", migration.sql);
    }
  }
  for (const Seed& seed : spec.seeds) {
    text += Concat("seed ", seed.database, " ", SeedDay(), " ", seed.sql.size(), "\n", seed.sql);
  }
  return Sha256(text).substr(0, 16);
}

absl::Status Broken(const std::string& path, int error) {
  return absl::UnavailableError(Concat("cannot make ", path, ": ", std::strerror(error)));
}

absl::Status Lock(const Descriptor& file, int how) {
  while (flock(file.get(), how) != 0) {
    if (errno != EINTR) return absl::UnavailableError(Concat("flock: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

uint64_t BytesIn(const fs::path& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; entry != end && !error; entry.increment(error)) {
    std::error_code gone;
    if (entry->is_regular_file(gone)) bytes += entry->file_size(gone);
  }
  return bytes;
}

// One that is being made, in a folder of its own until it is whole.
class Making {
 public:
  Making(const ClusterSpec& spec, std::string folder, std::optional<RunAs> owner, const Tell& tell)
      : spec_(spec), folder_(std::move(folder)), owner_(owner), tell_(tell) {}

  absl::Status Run() {
    if (mkdir(folder_.c_str(), 0700) != 0) return Broken(folder_, errno);
    if (absl::Status given = GiveTo(folder_, owner_); !given.ok()) return given;
    if (absl::Status made = InitDb(); !made.ok()) return made;
    if (absl::Status made = MakeDatabases(); !made.ok()) return made;
    const bool schemas = std::any_of(spec_.schemas.begin(), spec_.schemas.end(),
                                     [](const Schema& schema) { return !schema.migrations.empty(); });
    if (schemas) {
      if (absl::Status applied = ApplySchemas(); !applied.ok()) return applied;
    }
    std::error_code ignored;  // counters of a trial begin at zero
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_ + "/pg_stat", ignored)) {
      fs::remove(entry.path(), ignored);
    }
    fs::remove(folder_ + "/postmaster.opts", ignored);
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::string> Capture(const std::string& binary, std::vector<std::string> arguments,
                                      const std::string& input = "") const {
    absl::StatusOr<Command> command = PostgresCommand(binary, std::move(arguments), folder_);
    if (!command.ok()) return command.status();
    command->input = input;
    return CaptureOutput(*command, kInitdb);
  }

  // https://www.postgresql.org/docs/current/app-initdb.html
  absl::Status InitDb() const {
    std::vector<std::string> arguments = {"initdb",           "-D",
                                          kHeldFolder,        "--username=postgres",
                                          "--auth=trust",     "--encoding=UTF8",
                                          "--locale=C.UTF-8", "--lc-messages=C",
                                          "--no-sync",        "--no-instructions"};
    if (spec_.checksums) arguments.emplace_back("--data-checksums");
    if (absl::Status made = Capture(spec_.programs.initdb(), arguments).status(); !made.ok()) return made;
    std::ofstream access(folder_ + "/pg_hba.conf", std::ios::trunc);  // stays its owner's
    access << kAccess << std::flush;
    return access ? absl::OkStatus() : Broken(folder_ + "/pg_hba.conf", errno);
  }

  // By the server's single-user mode, a line a command: no port is open while there is a superuser at work.
  absl::Status MakeDatabases() const {
    std::string sql =
        "CREATE ROLE lab LOGIN CREATEDB REPLICATION;\n"
        "GRANT pg_monitor, pg_signal_backend TO lab;\n"
        "CREATE DATABASE lab OWNER lab;\n"
        // A fifth of all that is copied, for databases of another encoding only.
        "UPDATE pg_database SET datistemplate = false WHERE datname = 'template0';\n"
        "DROP DATABASE template0;\n";
    for (const Schema& schema : spec_.schemas) sql += Concat("CREATE DATABASE ", schema.database, " OWNER lab;\n");
    const std::string file = folder_ + ".sql";
    if (absl::Status written = WriteFileAtomic(file, sql); !written.ok()) return written;
    const absl::Status made =
        Capture(spec_.programs.postgres(),
                {"postgres", "--single", "-D", kHeldFolder, "-c", "exit_on_error=on", "-c", "fsync=off", "postgres"},
                file)
            .status();
    std::error_code ignored;
    fs::remove(file, ignored);
    return made;
  }

  absl::Status ApplySchemas() const {
    const absl::StatusOr<int> port = FreePort();
    if (!port.ok()) return port.status();
    absl::StatusOr<Command> command =
        PostgresCommand(spec_.programs.postgres(),
                        {"postgres", "-D", kHeldFolder, "-c", "listen_addresses=127.0.0.1", "-c",
                         Concat("port=", *port), "-c", "unix_socket_directories=.", "-c",
                         "dynamic_shared_memory_type=mmap", "-c", "fsync=off", "-c", "wal_level=logical",
                         // What a seed wrote to the log is not kept to be copied with every cluster.
                         "-c", "wal_recycle=off", "-c", "min_wal_size=32MB"},
                        folder_);
    if (!command.ok()) return command.status();
    command->log = folder_ + ".log";
    Spawner spawner(nullptr);
    const absl::StatusOr<pid_t> pid = spawner.Spawn("postgres", *command);
    if (!pid.ok()) return pid.status();
    Process server(*pid);
    absl::Status status = AwaitServer(server, *port, command->log);
    for (size_t i = 0; status.ok() && i < spec_.schemas.size(); ++i) {
      PgConnection connection("127.0.0.1", *port, {.database = spec_.schemas[i].database, .application = "migrations"});
      status = ApplySchema(spec_.schemas[i], connection);
    }
    for (size_t i = 0; status.ok() && i < spec_.seeds.size(); ++i) {
      if (tell_) tell_(Concat("filling the database ", spec_.seeds[i].database, " once: ", spec_.seeds[i].call));
      PgConnection connection("127.0.0.1", *port, {.database = spec_.seeds[i].database, .application = "seed"});
      status = ApplySeed(spec_.seeds[i], connection);
    }
    const bool ended = server.Stop(kStop, {SIGINT});  // its fast shutdown: everything is in the files afterwards
    if (status.ok() && !ended) status = absl::DeadlineExceededError("PostgreSQL did not end after its migrations");
    std::error_code ignored;
    fs::remove(command->log, ignored);
    return status;
  }

  static absl::Status AwaitServer(Process& server, int port, const std::string& log) {
    const Clock::time_point give_up = Clock::now() + kStart;
    PgConnection connection("127.0.0.1", port);
    while (!connection.Query("SELECT 1", kProbe).ok()) {
      if (const std::optional<int> end = server.Poll()) {
        return absl::UnavailableError(Concat("PostgreSQL ended while it started: ", DescribeEnd(*end),
                                             "; it printed:\n", ReadFile(log).value_or("")));
      }
      if (Clock::now() > give_up) return absl::DeadlineExceededError("PostgreSQL did not answer in time");
      std::this_thread::sleep_for(kPoll);
    }
    return absl::OkStatus();
  }

  const ClusterSpec& spec_;
  const std::string folder_;
  const std::optional<RunAs> owner_;
  const Tell& tell_;
};

// Those that were not used for longest go, and what was broken off. With the lock.
void Prune(const fs::path& templates) {
  std::vector<std::pair<fs::file_time_type, fs::path>> whole;
  std::error_code error;
  std::vector<fs::path> gone;
  for (const fs::directory_entry& entry : fs::directory_iterator(templates, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;
    if (name.rfind("making", 0) == 0) {
      gone.push_back(entry.path());
    } else if (entry.is_directory(ignored)) {
      whole.emplace_back(entry.last_write_time(ignored), entry.path());
    }
  }
  std::sort(whole.rbegin(), whole.rend());
  for (size_t i = kKept; i < whole.size(); ++i) gone.push_back(whole[i].second);
  for (const fs::path& path : gone) fs::remove_all(path, error);
}

absl::Status MakeTemplate(const ClusterSpec& spec, const fs::path& templates, const std::string& whole,
                          const std::optional<RunAs>& owner, const Tell& tell) {
  const std::string making = (templates / "making").string();
  // What a killed one left may still run for a moment.
  EndProcessesIn(making, spec.programs.postgres());
  Prune(templates);
  const Clock::time_point begin = Clock::now();
  if (absl::Status made = Making(spec, making, owner, tell).Run(); !made.ok()) {
    Prune(templates);
    return made;
  }
  const uint64_t bytes = BytesIn(making);
  if (rename(making.c_str(), whole.c_str()) != 0) return Broken(whole, errno);
  Prune(templates);
  if (tell) {
    tell(absl::StrFormat("made a template cluster of PostgreSQL %s once, in %.1f s: %.0f MiB in %s", spec.version,
                         std::chrono::duration<double>(Clock::now() - begin).count(),
                         static_cast<double>(bytes) / (1 << 20), whole));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MakeCluster(const ClusterSpec& spec, const std::string& state, const std::string& data_folder,
                         const Tell& tell) {
  const absl::StatusOr<std::optional<RunAs>> owner = ClusterOwner();
  if (!owner.ok()) return owner.status();
  const fs::path templates = fs::path(state) / "postgres";
  std::error_code error;
  fs::create_directories(templates, error);
  const std::string lock_file = (templates / "lock").string();
  const Descriptor lock(open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.get() < 0) return Broken(lock_file, errno);
  const std::string whole = (templates / HashOf(spec, *owner)).string();
  // Shared to copy, so that trials of several runs copy at once; alone to make. It is whole once it has its name.
  absl::Status status = Lock(lock, LOCK_SH);
  if (status.ok() && !fs::exists(whole, error)) {
    status = Lock(lock, LOCK_EX);
    if (status.ok() && !fs::exists(whole, error)) status = MakeTemplate(spec, templates, whole, *owner, tell);
  }
  if (!status.ok()) return status;
  fs::last_write_time(whole, fs::file_time_type::clock::now(), error);
  status = CopyTree(whole, data_folder, *owner);
  if (absl::IsResourceExhausted(status)) {
    return absl::ResourceExhaustedError(Concat(status.message(), "; a cluster takes ", BytesIn(whole) >> 20,
                                               " MiB before anything is in it, and its log grows"));
  }
  if (!status.ok()) return status;
  if (chmod(data_folder.c_str(), 0700) != 0) return Broken(data_folder, errno);
  return GiveTo(data_folder, *owner);
}

uint64_t TemplateBytes(const std::string& state) { return BytesIn(fs::path(state) / "postgres"); }

}  // namespace lab::bench
