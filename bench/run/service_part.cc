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
#include "bench/run/fingerprint.h"
#include "bench/run/part_kind.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr std::chrono::seconds kOwnSchema{10}, kForeignSchema{3};  // to tell it

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
    return ForLabs(SchemaOf(build.ServiceBinary(service_), kOwnSchema));
  }

  absl::StatusOr<std::vector<Catalogue::Knob>> KnobsOf(const Build& build, const std::string& binary) const override {
    if (absl::Status executable = CheckExecutable(binary); !executable.ok()) return executable;
    return ForLabs(Schema(build, binary));
  }

  std::vector<std::string> PortsOf(const Build& build, const std::map<std::string, std::string>& set) const override {
    const std::string binary = Given(set);
    const absl::StatusOr<std::vector<Catalogue::Knob>> schema =
        binary.empty() ? SchemaOf(build.ServiceBinary(service_), kOwnSchema) : Schema(build, binary);
    std::vector<std::string> ports;
    for (const std::string& port : port_names()) {
      if (!schema.ok() || Has(*schema, port + ".port")) ports.push_back(port);
    }
    return ports;
  }

  // Ports are free ones on loopback. Where its store is, too: pointed elsewhere, it would not notice the faults of the
  // store that is broken.
  std::set<std::string> Wired() const override {
    return {"http.port",  "http.host",     "grpc.port",     "grpc.host",     "redis.port",
            "redis.host", "postgres.port", "postgres.host", "replica.number"};
  }

  absl::StatusOr<std::string> Version(const Build&, const std::map<std::string, std::string>& set) const override {
    const std::string binary = Given(set);
    if (binary.empty()) return service_;
    const absl::StatusOr<std::string> sum = FileSha256(binary);
    if (!sum.ok()) return sum.status();
    return Concat(std::filesystem::path(binary).filename().string(), " as ", service_, " (sha256 ", sum->substr(0, 12),
                  ")");
  }

  absl::StatusOr<std::string> Program(const Build& build,
                                      const std::map<std::string, std::string>& set) const override {
    const std::string binary = Given(set);
    return FileSha256(binary.empty() ? build.ServiceBinary(service_) : binary);
  }

  absl::StatusOr<Command> Launch(const LaunchRequest& request) const override {
    const std::string given = Given(request.set);
    const std::string binary = given.empty() ? request.build.ServiceBinary(service_) : given;
    if (absl::Status executable = CheckExecutable(binary); !executable.ok()) {
      return absl::NotFoundError(Concat(executable.message(), given.empty() ? "; is it built?" : ""));
    }
    const absl::StatusOr<std::vector<Catalogue::Knob>> knobs =
        given.empty() ? SchemaOf(binary, kOwnSchema) : Schema(request.build, binary);
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
    const std::string given = Given(part.set);
    const std::string binary = given.empty() ? build.ServiceBinary(service_) : given;
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
    const auto grpc = ports.find("grpc");
    return answer.ok() && answer->status == 200 &&
           (grpc == ports.end() || Socket::Connect(kHost, grpc->second, Clock::now() + timeout).ok());
  }

  std::string ReadyMeans(const Ports& ports) const override {
    const auto grpc = ports.find("grpc");
    return Concat(
        "GET http://", kHost, ":", ports.at("http"), "/readyz (http.port of its configuration) answers 200",
        grpc == ports.end() ? "" : Concat(" and ", kHost, ":", grpc->second, " (grpc.port) takes connections"));
  }

 private:
  static std::string Given(const std::map<std::string, std::string>& set) {
    const auto given = set.find("binary");
    return given == set.end() ? "" : given->second;
  }

  static bool Has(const std::vector<Catalogue::Knob>& knobs, const std::string& path) {
    return std::any_of(knobs.begin(), knobs.end(), [&](const Catalogue::Knob& knob) { return knob.path == path; });
  }

  // What a lab may set of a schema.
  absl::StatusOr<std::vector<Catalogue::Knob>> ForLabs(absl::StatusOr<std::vector<Catalogue::Knob>> schema) const {
    if (!schema.ok()) return schema;
    const std::set<std::string> ours = Wired();
    std::erase_if(*schema, [&](const Catalogue::Knob& knob) { return ours.count(knob.path) > 0; });
    schema->push_back({"replicas", "int", "1", "1 … 16", "processes of it, instead of the system's replicas", {}});
    schema->push_back({"binary", "string", "", "", "a program of your own that speaks the same protocol", {}});
    return schema;
  }

  // A program that tells no schema of its own is configured, and checked, like the service whose place it takes.
  absl::StatusOr<std::vector<Catalogue::Knob>> Schema(const Build& build, const std::string& binary) const {
    absl::StatusOr<std::vector<Catalogue::Knob>> own = SchemaOf(binary, kForeignSchema);
    return own.ok() ? own : SchemaOf(build.ServiceBinary(service_), kOwnSchema);
  }

  // Asked once of each binary, and again when it has changed.
  static absl::StatusOr<std::vector<Catalogue::Knob>> SchemaOf(const std::string& binary, Nanos patience) {
    using Known = std::pair<std::filesystem::file_time_type, absl::StatusOr<std::vector<Catalogue::Knob>>>;
    static std::mutex mutex;
    static std::map<std::string, Known> known;
    const std::lock_guard lock(mutex);
    if (access(binary.c_str(), X_OK) != 0) return absl::NotFoundError(Concat("no binary ", binary, "; is it built?"));
    std::error_code error;
    const auto changed = std::filesystem::last_write_time(binary, error);
    if (const auto found = known.find(binary); found != known.end() && found->second.first == changed) {
      return found->second.second;
    }
    const absl::StatusOr<std::string> text = CaptureOutput(binary, {binary, "--print-config-schema"}, patience);
    absl::StatusOr<std::vector<Catalogue::Knob>> knobs =
        text.ok() ? ReadSchema(*text) : absl::StatusOr<std::vector<Catalogue::Knob>>(text.status());
    known.insert_or_assign(binary, Known(changed, knobs));
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
    std::erase_if(values, [&](const auto& value) { return !Has(knobs, value.first); });
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
