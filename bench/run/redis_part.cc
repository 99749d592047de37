// A real redis-server on a port and in a folder of its own.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "absl/strings/str_split.h"
#include "bench/observe/resp.h"
#include "bench/run/fingerprint.h"
#include "bench/run/part_kind.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kRead{500};
constexpr int kMaxScans = 400;  // of 1,000 keys each
constexpr size_t kMaxGroups = 32;
constexpr int kSamplesPerGroup = 200;

// In the order of the search path, then Debian's server without the package that starts a service: redis-server is a
// link to redis-check-rdb, which looks at argv[0] to know what it is.
std::string FindBinary() {
  const char* path = std::getenv("PATH");
  for (const char* name : {"redis-server", "redis-check-rdb"}) {
    for (absl::string_view folder : absl::StrSplit(path == nullptr ? "/usr/bin" : path, ':')) {
      const std::string candidate = Concat(folder, "/", name);
      if (access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    if (const std::string usual = Concat("/usr/bin/", name); access(usual.c_str(), X_OK) == 0) return usual;
  }
  return "";
}

absl::StatusOr<std::string> BinaryOf(const std::map<std::string, std::string>& set) {
  const auto given = set.find("binary");
  const std::string binary = given == set.end() || given->second.empty() ? FindBinary() : given->second;
  if (binary.empty())
    return absl::NotFoundError("no redis-server on this host (Debian: the package redis-tools has it)");
  return binary;
}

// What is counted together: "rl:{domain}:g:2s:gcra=17" belongs to "g", the algorithm, and to "gcra", its first
// descriptor.
std::vector<std::string> GroupsOf(const std::string& key) {
  if (key.rfind("rl:{", 0) != 0) return {};
  const size_t domain_end = key.find("}:");
  if (domain_end == std::string::npos) return {};
  const std::vector<std::string> fields = absl::StrSplit(key.substr(domain_end + 2), absl::MaxSplits(':', 2));
  std::vector<std::string> groups = {fields[0]};
  if (fields.size() == 3) groups.push_back(fields[2].substr(0, fields[2].find_first_of("=|")));
  if (groups.size() == 2 && groups[0] == groups[1]) groups.pop_back();
  return groups;
}

struct Group {
  double keys = 0, sampled = 0, bytes = 0;
};

class RedisPart : public PartKind {
 public:
  std::string name() const override { return "redis"; }
  std::string doc() const override { return "Redis, the host's own binary, without persistence unless asked for"; }
  std::vector<std::string> port_names() const override { return {"redis"}; }
  std::string redis_port() const override { return "redis"; }
  std::string Remedy() const override {
    return "as root: apt-get install redis-tools   (or redis-server; the lab runs its own copy)";
  }

  absl::StatusOr<std::vector<Catalogue::Knob>> Knobs(const Build&) const override {
    return std::vector<Catalogue::Knob>{
        {"binary", "string", "", "", "another redis-server", {}},
        {"maxmemory", "string", "0", "", "bytes, or 64mb; 0: no limit", {}},
        {"maxmemory-policy",
         "one of",
         "noeviction",
         "",
         "what goes when memory is full",
         {"noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
          "volatile-random", "volatile-ttl"}},
        {"appendonly", "one of", "no", "", "whether every write is logged to disk", {"no", "yes"}},
        {"appendfsync", "one of", "everysec", "", "when the log is synced", {"always", "everysec", "no"}},
        {"save", "string", "", "", "snapshots: \"60 1000\"; empty: none", {}},
        {"io-threads", "int", "1", "1 … 128", "threads that read and write sockets", {}},
        {"maxclients", "int", "10000", "1 … 100000", "connections at most", {}},
        {"hz", "int", "10", "1 … 500", "background turns a second", {}},
    };
  }

  absl::StatusOr<std::string> Version(const Build&, const std::map<std::string, std::string>& set) const override {
    const absl::StatusOr<std::string> binary = BinaryOf(set);
    if (!binary.ok()) return binary.status();
    const absl::StatusOr<std::string> text =
        CaptureOutput(*binary, {"redis-server", "--version"}, std::chrono::seconds(5));
    if (!text.ok()) return text.status();
    const size_t at = text->find("v=");
    if (at == std::string::npos) return absl::UnavailableError(Concat(*binary, " does not say which version it is"));
    return Concat("redis ", text->substr(at + 2, text->find(' ', at) - at - 2));
  }

  absl::StatusOr<std::string> Program(const Build&, const std::map<std::string, std::string>& set) const override {
    const absl::StatusOr<std::string> binary = BinaryOf(set);
    return binary.ok() ? FileSha256(*binary) : binary.status();
  }

  absl::StatusOr<Command> Launch(const LaunchRequest& request) const override {
    const absl::StatusOr<std::string> binary = BinaryOf(request.set);
    if (!binary.ok()) return binary.status();
    std::map<std::string, std::string> options = {{"save", ""}, {"appendonly", "no"}};
    for (const auto& [key, value] : request.set) {
      if (key != "binary") options[key] = value;
    }
    Command command;
    command.binary = *binary;
    command.folder = request.data_folder;
    command.arguments = {"redis-server",
                         "--port",
                         std::to_string(request.ports.at("redis")),
                         "--bind",
                         "127.0.0.1",
                         "--dir",
                         request.data_folder,
                         "--daemonize",
                         "no",
                         "--logfile",
                         ""};
    for (const auto& [key, value] : options) {
      command.arguments.push_back("--" + key);
      command.arguments.push_back(value);
    }
    return command;
  }

  Look Ask(const Ports& ports, Nanos timeout) const override {
    RespConnection connection("127.0.0.1", ports.at("redis"));
    const absl::Status status = connection.Command({"PING"}, timeout).status();
    return status.ok() ? Look::kAnswers : absl::IsDeadlineExceeded(status) ? Look::kSilent : Look::kRefused;
  }

  std::string ReadyMeans(const Ports& ports) const override {
    return Concat("it answers INFO and GET on 127.0.0.1:", ports.at("redis"));
  }

  // Another server that took the port meanwhile would answer PING too, but with a process id of its own.
  bool Ready(const Ports& ports, pid_t pid, Nanos timeout) const override {
    RespConnection connection("127.0.0.1", ports.at("redis"));
    const absl::StatusOr<RespValue> info = connection.Command({"INFO", "SERVER"}, timeout);
    return info.ok() && info->text.find(Concat("process_id:", pid, "\r\n")) != std::string::npos &&
           connection.Command({"GET", "lab:ready"}, timeout).value_or(RespValue{RespValue::Kind::kError}).kind !=
               RespValue::Kind::kError;  // an error while it loads its data
  }

  std::map<std::string, double> FinalReads(const Ports& ports) const override {
    RespConnection connection("127.0.0.1", ports.at("redis"));
    std::map<std::string, double> finals;
    ReadKeys(connection, &finals);
    const absl::StatusOr<RespValue> info = connection.Command({"INFO", "ALL"}, kRead);
    for (absl::string_view line : absl::StrSplit(info.ok() ? info->text : "", "\r\n")) {
      const std::pair<std::string, std::string> field = absl::StrSplit(line, absl::MaxSplits(':', 1));
      if (field.first == "used_memory") finals["used_memory"] = std::atof(field.second.c_str());
      if (field.first == "total_commands_processed") finals["commands"] = std::atof(field.second.c_str());
      if (field.first.rfind("cmdstat_", 0) == 0 && field.second.rfind("calls=", 0) == 0) {
        finals[Concat("calls.", field.first.substr(8))] = std::atof(field.second.c_str() + 6);
      }
    }
    return finals;
  }

 private:
  static void ReadKeys(RespConnection& connection, std::map<std::string, double>* finals) {
    std::map<std::string, Group> groups;
    std::set<std::string> seen;  // SCAN may give a key twice
    std::string cursor = "0";
    for (int scan = 0; scan < kMaxScans; ++scan) {
      const absl::StatusOr<RespValue> page =
          connection.Command({"SCAN", cursor, "MATCH", "rl:{*", "COUNT", "1000"}, kRead);
      if (!page.ok() || page->items.size() != 2) return;
      for (const RespValue& key : page->items[1].items) {
        if (seen.insert(key.text).second) ReadKey(connection, key.text, &groups);
      }
      cursor = page->items[0].text;
      if (cursor == "0") break;
    }
    if (cursor != "0") return;  // more keys than the bound: no figure rather than that of a part
    for (const auto& [name, group] : groups) {
      (*finals)[Concat("keys.", name)] = group.keys;
      if (group.sampled > 0) (*finals)[Concat("bytes_per_key.", name)] = group.bytes / group.sampled;
    }
  }

  static void ReadKey(RespConnection& connection, const std::string& key, std::map<std::string, Group>* groups) {
    std::vector<Group*> of;
    bool sample = false;
    for (const std::string& name : GroupsOf(key)) {
      if (groups->size() >= kMaxGroups && groups->count(name) == 0) continue;
      of.push_back(&(*groups)[name]);
      sample = sample || of.back()->sampled < kSamplesPerGroup;
    }
    double bytes = 0;
    if (sample) {
      const absl::StatusOr<RespValue> usage = connection.Command({"MEMORY", "USAGE", key, "SAMPLES", "0"}, kRead);
      // It has expired meanwhile, and counts nowhere: all groups speak of the same keys.
      if (!usage.ok() || usage->kind != RespValue::Kind::kInteger) return;
      bytes = static_cast<double>(usage->integer);
    }
    for (Group* group : of) {
      ++group->keys;
      if (group->sampled >= kSamplesPerGroup) continue;
      ++group->sampled;
      group->bytes += bytes;
    }
  }
};

}  // namespace

std::unique_ptr<PartKind> MakeRedisPart() { return std::make_unique<RedisPart>(); }

}  // namespace lab::bench
