// A real PostgreSQL: a cluster of its own in its data folder, on a port of its own, its socket in that folder too.

#include <sys/shm.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <thread>

#include "absl/strings/numbers.h"
#include "bench/observe/pg_wire.h"
#include "bench/observe/process_figures.h"
#include "bench/run/fingerprint.h"
#include "bench/run/part_kind.h"
#include "bench/run/postgres_programs.h"
#include "bench/run/postgres_settings.h"
#include "bench/run/postgres_template.h"
#include "bench/run/run_folder.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/time.h"

namespace lab::bench {
namespace {

constexpr Millis kRead{1000}, kDetached{1000};
constexpr const char* kHost = "127.0.0.1";

// Of all databases but the one that probes ask. A session counts what it did at most a second late.
constexpr const char* kCounters =
    "SELECT 'commits', sum(xact_commit) FROM pg_stat_database WHERE datname <> 'postgres' "
    "UNION ALL SELECT 'rollbacks', sum(xact_rollback) FROM pg_stat_database WHERE datname <> 'postgres' "
    "UNION ALL SELECT 'deadlocks', sum(deadlocks) FROM pg_stat_database WHERE datname <> 'postgres' "
    "UNION ALL SELECT 'tuples_returned', sum(tup_returned) FROM pg_stat_database WHERE datname <> 'postgres' "
    "UNION ALL SELECT 'tuples_fetched', sum(tup_fetched) FROM pg_stat_database WHERE datname <> 'postgres' "
    "UNION ALL SELECT 'tuples_inserted', sum(tup_inserted) FROM pg_stat_database WHERE datname <> 'postgres' "
    "UNION ALL SELECT 'tuples_updated', sum(tup_updated) FROM pg_stat_database WHERE datname <> 'postgres' "
    "UNION ALL SELECT 'tuples_deleted', sum(tup_deleted) FROM pg_stat_database WHERE datname <> 'postgres' "
    "UNION ALL SELECT 'blocks_read', sum(blks_read) FROM pg_stat_database WHERE datname <> 'postgres' "
    "UNION ALL SELECT 'blocks_hit', sum(blks_hit) FROM pg_stat_database WHERE datname <> 'postgres' "
    "UNION ALL SELECT 'temporary_bytes', sum(temp_bytes) FROM pg_stat_database WHERE datname <> 'postgres' "
    "UNION ALL SELECT 'wal_bytes', wal_bytes FROM pg_stat_wal ";

constexpr const char* kSessions =
    "UNION ALL SELECT 'connections', count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
    "AND datname <> 'postgres' "
    "UNION ALL SELECT 'connections_active', count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
    "AND datname <> 'postgres' AND state = 'active' "
    "UNION ALL SELECT 'connections_idle_in_transaction', count(*) FROM pg_stat_activity "
    "WHERE datname <> 'postgres' AND state LIKE 'idle in transaction%' "
    "UNION ALL SELECT 'connections_waiting_for_lock', count(*) FROM pg_stat_activity "
    "WHERE datname <> 'postgres' AND wait_event_type = 'Lock' ";

constexpr const char* kSize =
    "UNION ALL SELECT 'size', sum(pg_database_size(datname)) FROM pg_database "
    "WHERE datname <> 'postgres' AND NOT datistemplate";

std::map<std::string, double> ValuesOf(const PgReply& reply) {
  std::map<std::string, double> values;
  for (const std::vector<std::string>& row : reply.rows) {
    double value = 0;
    if (row.size() == 2 && absl::SimpleAtod(row[1], &value)) values[row[0]] = value;
  }
  return values;
}

bool IsGauge(const std::string& name) { return name.rfind("connections", 0) == 0; }

std::string Given(const std::map<std::string, std::string>& set, const char* name) {
  const auto given = set.find(name);
  return given == set.end() ? "" : given->second;
}

class PostgresPart : public PartKind {
 public:
  std::string name() const override { return "postgres"; }
  std::string doc() const override { return "PostgreSQL, the host's own programs, with a cluster of its own"; }
  std::vector<std::string> port_names() const override { return {"postgres"}; }
  std::string Remedy() const override { return kPostgresRemedy; }
  // Fast shutdown, then immediate. https://www.postgresql.org/docs/current/server-shutdown.html
  std::vector<int> StopSignals() const override { return {SIGINT, SIGQUIT}; }
  bool MakesProcesses() const override { return true; }

  absl::StatusOr<std::vector<Catalogue::Knob>> Knobs(const Build&) const override {
    std::vector<Catalogue::Knob> knobs = {
        {"binary", "string", "", "", "another postgres, with initdb beside it", {}},
        {"databases",
         "string",
         "",
         "",
         "with a schema in deploy/sql/<database>, separated by commas; lab is always there",
         {}},
        {"seed",
         "string",
         "",
         "",
         "what a database of these holds at first, by its seed.sql: insights(brands=1000, posts=200000)",
         {}},
        {"data_checksums", "one of", "off", "", "whether pages carry checksums", {"on", "off"}},
    };
    for (Catalogue::Knob& knob : PostgresSettings()) knobs.push_back(std::move(knob));
    return knobs;
  }

  absl::StatusOr<std::string> Version(const Build& build,
                                      const std::map<std::string, std::string>& set) const override {
    const absl::StatusOr<std::string> version = FullVersion(build, set);
    if (!version.ok()) return version.status();
    return Concat("postgres ", version->substr(0, version->find(' ')));
  }

  absl::StatusOr<std::string> Program(const Build& build,
                                      const std::map<std::string, std::string>& set) const override {
    const absl::StatusOr<PostgresPrograms> programs = FindPostgres(build.root, Given(set, "binary"));
    if (!programs.ok()) return programs.status();
    const absl::StatusOr<std::vector<Schema>> schemas = ReadSchemas(build.root, Given(set, "databases"));
    if (!schemas.ok()) return schemas.status();
    const absl::StatusOr<std::string> sum = FileSha256(programs->postgres());
    if (!sum.ok()) return sum.status();
    std::string text = *sum;  // a schema is as much of what it is as its program
    for (const Schema& schema : *schemas) {
      for (const Migration& migration : schema.migrations) text += Concat("\n", migration.file, "\n", migration.sql);
    }
    const absl::StatusOr<std::vector<Seed>> seeds = ReadSeeds(build.root, Given(set, "seed"), *schemas);
    if (!seeds.ok()) return seeds.status();
    for (const Seed& seed : *seeds) text += Concat("\n", seed.database, "\n", seed.sql);
    return Sha256(text);
  }

  absl::Status FillData(const LaunchRequest& request) const override {
    ClusterSpec spec;
    absl::StatusOr<PostgresPrograms> programs = FindPostgres(request.build.root, Given(request.set, "binary"));
    if (!programs.ok()) return programs.status();
    absl::StatusOr<std::string> version = FullVersion(request.build, request.set);
    if (!version.ok()) return version.status();
    absl::StatusOr<std::vector<Schema>> schemas = ReadSchemas(request.build.root, Given(request.set, "databases"));
    if (!schemas.ok()) return schemas.status();
    absl::StatusOr<std::vector<Seed>> seeds = ReadSeeds(request.build.root, Given(request.set, "seed"), *schemas);
    if (!seeds.ok()) return seeds.status();
    spec.seeds = *std::move(seeds);
    spec.programs = *std::move(programs);
    spec.version = *std::move(version);
    spec.checksums = Given(request.set, "data_checksums") == "on";
    spec.schemas = *std::move(schemas);
    return MakeCluster(spec, StateFolder(request.build.root), request.data_folder, request.tell);
  }

  absl::StatusOr<Command> Launch(const LaunchRequest& request) const override {
    const absl::StatusOr<PostgresPrograms> programs = FindPostgres(request.build.root, Given(request.set, "binary"));
    if (!programs.ok()) return programs.status();
    const absl::StatusOr<std::vector<std::string>> settings = PostgresArguments(request.set);
    if (!settings.ok()) return settings.status();
    std::error_code error;
    // On other ports after a first attempt: anew.
    for (const auto& entry : std::filesystem::directory_iterator(request.data_folder, error)) {
      std::filesystem::remove_all(entry.path(), error);
    }
    if (absl::Status filled = FillData(request); !filled.ok()) return filled;
    std::vector<std::string> arguments = {"postgres", "-D", kHeldFolder};
    for (const std::string& setting :
         {std::string("listen_addresses=127.0.0.1"), Concat("port=", request.ports.at("postgres")),
          std::string("unix_socket_directories=."), Concat("cluster_name=", request.name),
          std::string("dynamic_shared_memory_type=mmap"),  // files in its folder, which go with it
          std::string("timezone=UTC"), std::string("log_timezone=UTC")}) {
      arguments.emplace_back("-c");
      arguments.push_back(setting);
    }
    arguments.insert(arguments.end(), settings->begin(), settings->end());
    return PostgresCommand(programs->postgres(), std::move(arguments), request.data_folder);
  }

  // A System V segment of some bytes, by which a start knows whether processes of an earlier one still live. A server
  // that was killed leaves it; postmaster.pid has its key and number in line 7.
  void CleanUp(const std::string& data_folder) const override {
    std::ifstream file(data_folder + "/postmaster.pid");
    for (int line = 0; line < 6; ++line) file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    int64_t key = 0;
    int id = -1;
    shmid_ds info{};
    if (!(file >> key >> id)) return;
    const auto is_its = [&] {
      return shmctl(id, IPC_STAT, &info) == 0 &&
             static_cast<uint32_t>(info.shm_perm.__key) == static_cast<uint32_t>(key);
    };
    // A process that has just been killed holds it for a moment longer than it can be seen by its program.
    const Clock::time_point deadline = Clock::now() + kDetached;
    while (is_its() && info.shm_nattch > 0 && Clock::now() < deadline) std::this_thread::sleep_for(Millis(1));
    if (is_its() && info.shm_nattch == 0) shmctl(id, IPC_RMID, nullptr);
  }

  // A new connection and a query. What the server refuses in words is an answer, except while it starts or ends.
  Look Ask(const Ports& ports, Nanos timeout) const override {
    PgConnection connection(kHost, ports.at("postgres"));
    const absl::Status status = connection.Query("SELECT 1", timeout).status();
    if (absl::IsUnavailable(status)) return Look::kRefused;
    return absl::IsDeadlineExceeded(status) ? Look::kSilent : Look::kAnswers;
  }

  // Another server that took the port meanwhile would answer too, but by a process that is no child of ours.
  bool Ready(const Ports& ports, pid_t pid, Nanos timeout) const override {
    PgConnection connection(kHost, ports.at("postgres"));
    if (!connection.Query("SELECT 1", timeout).ok()) return false;
    const std::optional<ProcessFigures> answering = ReadProcess(connection.server_pid());
    return answering && answering->parent == pid;
  }
  std::string ReadyMeans(const Ports& ports) const override {
    return Concat("it answers SELECT 1 to the user lab on ", kHost, ":", ports.at("postgres"));
  }

  std::map<std::string, double> FinalReads(const Ports& ports) const override {
    PgConnection connection(kHost, ports.at("postgres"));
    const absl::StatusOr<PgReply> reply = connection.Query(Concat(kCounters, kSize), kRead);
    return reply.ok() ? ValuesOf(*reply) : std::map<std::string, double>();
  }

  std::function<absl::StatusOr<std::map<std::string, double>>(Nanos timeout)> Watch(const Ports& ports) const override {
    const auto connection = std::make_shared<PgConnection>(kHost, ports.at("postgres"));  // kept: it is no load
    return [connection](Nanos timeout) -> absl::StatusOr<std::map<std::string, double>> {
      const absl::StatusOr<PgReply> reply = connection->Query(Concat(kCounters, kSessions), timeout);
      if (!reply.ok()) return reply.status();
      std::map<std::string, double> series;
      for (const auto& [name, value] : ValuesOf(*reply)) {
        series[Concat("postgres_", name, IsGauge(name) ? "" : "_total")] = value;
      }
      return series;
    };
  }

 private:
  static absl::StatusOr<std::string> FullVersion(const Build& build, const std::map<std::string, std::string>& set) {
    const absl::StatusOr<PostgresPrograms> programs = FindPostgres(build.root, Given(set, "binary"));
    return programs.ok() ? PostgresVersion(*programs) : programs.status();
  }
};

}  // namespace

std::unique_ptr<PartKind> MakePostgresPart() { return std::make_unique<PostgresPart>(); }

}  // namespace lab::bench
