// A service of ours: a binary of the build that tells its configuration itself (--print-config-schema), with an HTTP
// port for /metrics and /readyz and a gRPC port.

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "bench/fault/failpoint_options.h"
#include "bench/observe/http_get.h"
#include "bench/observe/socket.h"
#include "bench/run/part_kind.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr const char* kHost = "127.0.0.1";

absl::StatusOr<std::vector<Catalogue::Knob>> ReadSchema(const std::string& text) {
  const nlohmann::json fields = nlohmann::json::parse(text, nullptr, false);
  if (!fields.is_array()) return absl::DataLossError("--print-config-schema did not print a JSON list");
  std::vector<Catalogue::Knob> knobs;
  for (const nlohmann::json& field : fields) {
    if (!field.is_object()) return absl::DataLossError("--print-config-schema: a field is not an object");
    const auto member = [&field](const char* key) {
      const auto found = field.find(key);
      if (found == field.end() || found->is_null()) return std::string();
      return found->is_string() ? found->get<std::string>() : found->dump();
    };
    Catalogue::Knob knob{member("path"), member("type"), member("default"), member("range"), member("doc"), {}};
    if (const auto names = field.find("names"); names != field.end() && names->is_array()) {
      for (const nlohmann::json& name : *names)
        knob.names.push_back(name.is_string() ? name.get<std::string>() : name.dump());
    }
    knobs.push_back(std::move(knob));
  }
  return knobs;
}

class ServicePart : public PartKind {
 public:
  ServicePart(std::string service, std::string doc) : service_(std::move(service)), doc_(std::move(doc)) {}

  std::string name() const override { return service_; }
  std::string doc() const override { return doc_; }
  std::vector<std::string> port_names() const override { return {"grpc", "http"}; }
  std::string metrics_port() const override { return "http"; }

  absl::StatusOr<std::vector<Catalogue::Knob>> Knobs(const Build& build) const override {
    absl::StatusOr<std::vector<Catalogue::Knob>> knobs = KnobsOf(build.ServiceBinary(service_));
    if (!knobs.ok()) return knobs;
    const std::set<std::string> ours = Wired();
    std::erase_if(*knobs, [&](const Catalogue::Knob& knob) { return ours.count(knob.path) > 0; });
    knobs->push_back({"replicas", "int", "1", "1 … 16", "processes of it, instead of the system's replicas", {}});
    knobs->push_back({"binary", "string", "", "", "another binary that takes the same configuration", {}});
    return knobs;
  }

  // Ports are free ones on loopback. Where its store is, too: pointed elsewhere, it would not notice the faults of the
  // store that is broken.
  std::set<std::string> Wired() const override {
    return {"http.port", "http.host", "grpc.port", "grpc.host", "redis.port", "redis.host", "replica.number"};
  }

  absl::StatusOr<std::string> Version(const Build&, const std::map<std::string, std::string>& set) const override {
    const auto given = set.find("binary");
    return given == set.end() || given->second.empty() ? service_ : Concat(service_, " (", given->second, ")");
  }

  absl::StatusOr<Command> Launch(const LaunchRequest& request) const override {
    const std::string own = request.build.ServiceBinary(service_);
    const auto given = request.set.find("binary");
    const std::string binary = given == request.set.end() || given->second.empty() ? own : given->second;
    if (access(binary.c_str(), X_OK) != 0) return absl::NotFoundError(Concat("no binary ", binary, "; is it built?"));
    const absl::StatusOr<std::vector<Catalogue::Knob>> knobs = KnobsOf(binary);
    if (!knobs.ok()) return knobs.status();

    const std::string traces = TraceFolder(request);
    std::error_code error;
    std::filesystem::create_directories(traces, error);
    if (error) return absl::UnavailableError(Concat("cannot make ", traces, ": ", error.message()));
    const std::string file = Concat(request.config_folder, "/", request.name, ".yaml");
    if (absl::Status written = WriteFileAtomic(file, Config(request, *knobs)); !written.ok()) return written;
    Command command;
    command.binary = binary;
    command.folder = request.data_folder;
    command.arguments = {service_, "--config", file};
    return command;
  }

  std::string FailpointError(const Build& build, const PartSpec& part,
                             const std::map<std::string, std::string>& options) const override {
    const auto given = part.set.find("binary");
    const std::string binary = given == part.set.end() ? build.ServiceBinary(service_) : given->second;
    const absl::StatusOr<std::string> points =
        CaptureOutput(binary, {binary, "--print-failpoints"}, std::chrono::seconds(10));
    // A program that is not built yet is checked when it runs, like its configuration.
    return points.ok() ? bench::FailpointError(*points, options) : "";
  }

  Look Ask(const Ports& ports, Nanos timeout) const override {
    const absl::Status status = HttpGet(kHost, ports.at("http"), "/healthz", timeout).status();
    return status.ok() ? Look::kAnswers : absl::IsDeadlineExceeded(status) ? Look::kSilent : Look::kRefused;
  }

  bool Ready(const Ports& ports, pid_t, Nanos timeout) const override {
    const absl::StatusOr<HttpAnswer> answer = HttpGet(kHost, ports.at("http"), "/readyz", timeout);
    return answer.ok() && answer->status == 200 &&
           Socket::Connect(kHost, ports.at("grpc"), Clock::now() + timeout).ok();
  }

 private:
  // Asked once of each binary, and again when it has changed.
  static absl::StatusOr<std::vector<Catalogue::Knob>> KnobsOf(const std::string& binary) {
    using Known = std::pair<std::filesystem::file_time_type, std::vector<Catalogue::Knob>>;
    static std::mutex mutex;
    static std::map<std::string, Known> known;
    const std::lock_guard lock(mutex);
    if (access(binary.c_str(), X_OK) != 0) return absl::NotFoundError(Concat("no binary ", binary, "; is it built?"));
    std::error_code error;
    const auto changed = std::filesystem::last_write_time(binary, error);
    if (const auto found = known.find(binary); found != known.end() && found->second.first == changed) {
      return found->second.second;
    }
    const absl::StatusOr<std::string> text =
        CaptureOutput(binary, {binary, "--print-config-schema"}, std::chrono::seconds(10));
    if (!text.ok()) return text.status();
    absl::StatusOr<std::vector<Catalogue::Knob>> knobs = ReadSchema(*text);
    if (knobs.ok()) known[binary] = {changed, *knobs};
    return knobs;
  }

  // Kept with the trial, beside its configuration.
  static std::string TraceFolder(const LaunchRequest& request) {
    return (std::filesystem::path(request.config_folder).parent_path() / "traces").string();
  }

  // Flat "path: value" lines: its ports, where its store is and where its spans go, as far as it has such fields; and
  // then what the lab sets, which wins.
  static std::string Config(const LaunchRequest& request, const std::vector<Catalogue::Knob>& knobs) {
    std::map<std::string, std::string> values = {{"http.host", kHost}, {"grpc.host", kHost}};
    values["trace.file"] = Concat(TraceFolder(request), "/", request.name, ".jsonl");
    values["replica.number"] = std::to_string(request.replica);
    for (const auto& [port, number] : request.ports) values[port + ".port"] = std::to_string(number);
    for (const auto& [kind, ports] : request.others) {
      const auto port = ports.find(kind);  // the port of a kind that is called like it: redis.port
      if (port == ports.end()) continue;
      values[kind + ".host"] = kHost;
      values[kind + ".port"] = std::to_string(port->second);
    }
    std::erase_if(values, [&](const auto& value) {
      return std::none_of(knobs.begin(), knobs.end(), [&](const auto& knob) { return knob.path == value.first; });
    });
    for (const auto& [path, value] : request.set) {
      if (path != "binary") values[path] = value;
    }
    std::string text;
    for (const auto& [path, value] : values) text += Concat(path, ": ", Scalar(value), "\n");
    return text;
  }

  // Plain where YAML reads it back unchanged.
  static std::string Scalar(const std::string& value) {
    constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-";
    const bool plain = !value.empty() && value[0] != '-' && value.find_first_not_of(kPlain) == std::string::npos;
    return plain ? value : JsonString(value);
  }

  const std::string service_, doc_;
};

}  // namespace

std::unique_ptr<PartKind> MakeServicePart(const std::string& service, const std::string& doc) {
  return std::make_unique<ServicePart>(service, doc);
}

}  // namespace lab::bench
