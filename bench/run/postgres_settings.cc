#include "bench/run/postgres_settings.h"

#include <cmath>

#include "bench/labfile/quantity.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/time.h"

namespace lab::bench {
namespace {

struct Setting {
  Catalogue::Knob knob;
  bool always = false;  // given also when the lab does not set it
};

Setting Choice(const char* name, const char* fallback, const char* doc, std::vector<std::string> names) {
  return {{name, "one of", fallback, "", doc, std::move(names)}};
}
Setting OnOff(const char* name, const char* fallback, const char* doc) {
  return Choice(name, fallback, doc, {"on", "off"});
}
Setting Of(const char* type, const char* name, const char* fallback, const char* range, const char* doc) {
  return {{name, type, fallback, range, doc, {}}};
}
Setting Always(Setting setting) {
  setting.always = true;
  return setting;
}

std::vector<Setting> Connections() {
  return {
      Always(Of("int", "max_connections", "100", "4 … 5000", "connections at most, three of them for superusers")),
      Of("int", "max_prepared_transactions", "0", "0 … 5000",
         "transactions prepared at a time; 0: no two-phase commit"),
      Of("duration", "statement_timeout", "0s", "0 s … 1 h", "a statement that takes longer fails; 0: none"),
      Of("duration", "lock_timeout", "0s", "0 s … 1 h", "waiting longer for a lock fails; 0: never"),
      Of("duration", "deadlock_timeout", "1s", "1 ms … 1 min", "waiting for a lock before a deadlock is looked for"),
      Of("duration", "idle_in_transaction_session_timeout", "0s", "0 s … 1 h",
         "a session idle in a transaction for longer is ended; 0: never"),
      Choice("default_transaction_isolation", "read committed", "of transactions that ask for none",
             {"read committed", "repeatable read", "serializable"}),
  };
}

std::vector<Setting> Durability() {
  return {
      OnOff("fsync", "on", "whether writes reach the disk before they count; off: a crash of the host may corrupt"),
      Choice("synchronous_commit", "on", "what a commit waits for; off loses the last commits in a crash",
             {"on", "off", "local", "remote_write", "remote_apply"}),
      OnOff("full_page_writes", "on", "whole pages in the log after a checkpoint"),
      Always(Choice("wal_level", "logical", "what the log is good for", {"replica", "logical"})),
      Of("size", "max_wal_size", "1gb", "32mb … 64gb", "log between checkpoints, about"),
      Of("size", "min_wal_size", "80mb", "32mb … 64gb", "log files that are kept for use again"),
      Always(Of("size", "max_slot_wal_keep_size", "1gb", "0b … 64gb",
                "log kept at most for a replication slot; one that is further behind is lost")),
      Of("int", "max_replication_slots", "10", "0 … 100", ""),
      Of("int", "max_wal_senders", "10", "0 … 100", "streams of the log at a time"),
      Of("duration", "wal_writer_delay", "200ms", "1 ms … 10 s",
         "between writes of the log; synchronous_commit off loses up to three of them"),
      Of("int", "commit_delay", "0", "0 … 100000", "µs that a commit waits for others to share its write"),
      Of("int", "commit_siblings", "5", "0 … 1000", "open transactions without which commit_delay is not waited for"),
      Of("duration", "checkpoint_timeout", "5m", "30 s … 1 h", "between checkpoints at most"),
  };
}

std::vector<Setting> Resources() {
  return {
      Always(Of("size", "shared_buffers", "128mb", "1mb … 64gb", "cache of pages, shared by all sessions")),
      Of("size", "work_mem", "4mb", "64kb … 4gb", "of each sort or hash, before it goes to disk"),
      Of("size", "maintenance_work_mem", "64mb", "1mb … 4gb", "of vacuum and building indexes"),
      Of("size", "effective_cache_size", "4gb", "1mb … 1024gb", "what the planner takes for cached"),
      Of("number", "random_page_cost", "4", "0 … 1000", "against 1 for the next page"),
      Of("int", "max_parallel_workers_per_gather", "2", "0 … 64", "processes that help a query; 0: none"),
      Of("int", "max_worker_processes", "8", "0 … 64", ""),
      OnOff("autovacuum", "on", ""),
      OnOff("jit", "on", "whether expensive queries are compiled, where LLVM is there"),
      Choice("plan_cache_mode", "auto", "plans of prepared statements",
             {"auto", "force_generic_plan", "force_custom_plan"}),
      OnOff("track_io_timing", "off", "whether reads and writes are timed"),
      Always(Of("duration", "log_min_duration_statement", "1h", "0 s … 1 h", "statements that take longer are logged")),
  };
}

const std::vector<Setting>& All() {
  static const std::vector<Setting> all = [] {
    std::vector<Setting> settings;
    for (auto* group : {&Connections, &Durability, &Resources}) {
      for (Setting& setting : group()) settings.push_back(std::move(setting));
    }
    return settings;
  }();
  return all;
}

// The parser of lab files has checked it, except for what programs set.
absl::StatusOr<std::string> InPostgresUnits(const Catalogue::Knob& knob, const std::string& value) {
  if (knob.type == "duration") {
    const absl::StatusOr<Nanos> duration = ParseDuration(value);
    if (!duration.ok()) return absl::InvalidArgumentError(Concat(knob.path, ": ", duration.status().message()));
    return Concat(std::chrono::ceil<Millis>(*duration).count(), "ms");
  }
  if (knob.type != "size") return value;
  const absl::StatusOr<Quantity> size = QuantityOf(value);
  if (!size.ok() || !size->unit.SameKind(Unit::Bytes())) {
    return absl::InvalidArgumentError(Concat(knob.path, ": \"", value, "\" is no size, as 64mb"));
  }
  return Concat(std::llround(std::ceil(size->value / 1024)), "kB");
}

}  // namespace

std::vector<Catalogue::Knob> PostgresSettings() {
  std::vector<Catalogue::Knob> knobs;
  for (const Setting& setting : All()) knobs.push_back(setting.knob);
  return knobs;
}

absl::StatusOr<std::vector<std::string>> PostgresArguments(const std::map<std::string, std::string>& set) {
  std::vector<std::string> arguments;
  for (const Setting& setting : All()) {
    const auto given = set.find(setting.knob.path);
    if (given == set.end() && !setting.always) continue;
    const absl::StatusOr<std::string> value =
        InPostgresUnits(setting.knob, given == set.end() ? setting.knob.fallback : given->second);
    if (!value.ok()) return value.status();
    arguments.emplace_back("-c");
    arguments.push_back(Concat(setting.knob.path, "=", *value));
  }
  return arguments;
}

}  // namespace lab::bench
