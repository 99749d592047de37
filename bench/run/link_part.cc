// A link: our fault proxy (bench/proxy) before one replica of a part.

#include <unistd.h>

#include "bench/observe/http_get.h"
#include "bench/run/part_kind.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr const char* kApi = "api";

class LinkPart : public PartKind {
 public:
  explicit LinkPart(const PartKind& behind) : behind_(behind) {}

  std::string name() const override { return "link"; }
  std::string doc() const override { return "a fault proxy between two parts"; }
  std::vector<std::string> port_names() const override {
    std::vector<std::string> names = behind_.port_names();
    names.emplace_back(kApi);
    return names;
  }
  std::string metrics_port() const override { return kApi; }
  absl::StatusOr<std::vector<Catalogue::Knob>> Knobs(const Build&) const override {
    return std::vector<Catalogue::Knob>();
  }
  absl::StatusOr<std::string> Version(const Build&, const std::map<std::string, std::string>&) const override {
    return "fault_proxy";
  }

  absl::StatusOr<Command> Launch(const LaunchRequest& request) const override {
    Command command;
    command.binary = request.build.ProxyBinary();
    if (access(command.binary.c_str(), X_OK) != 0) {
      return absl::NotFoundError(Concat("no binary ", command.binary, "; is it built? (ninja fault_proxy)"));
    }
    const std::string file = Concat(request.config_folder, "/", request.name, ".json");
    if (absl::Status written = WriteFileAtomic(file, Config(request)); !written.ok()) return written;
    command.folder = request.data_folder;
    command.arguments = {"fault_proxy", "--port", std::to_string(request.ports.at(kApi)), "--config", file};
    return command;
  }

  // Through the proxy, on the path that clients use.
  Look Ask(const Ports& ports, Nanos timeout) const override { return behind_.Ask(ports, timeout); }
  bool Ready(const Ports& ports, pid_t, Nanos timeout) const override {
    const absl::StatusOr<HttpAnswer> answer = HttpGet(kHost, ports.at(kApi), "/version", timeout);
    return answer.ok() && answer->status == 200 && behind_.Ask(ports, timeout) == Look::kAnswers;
  }
  std::string ReadyMeans(const Ports& ports) const override {
    return Concat("GET http://", kHost, ":", ports.at(kApi), "/version answers 200, and the part behind it answers");
  }

 private:
  // One proxy for each port of the part behind it, called like the port.
  std::string Config(const LaunchRequest& request) const {
    std::string proxies;
    for (const auto& [port, number] : request.others.at(behind_.name())) {
      proxies += Concat(proxies.empty() ? "" : ",\n ", "{\"name\": ", JsonString(port), ", \"listen\": \"", kHost, ":",
                        request.ports.at(port), "\", \"upstream\": \"", kHost, ":", number, "\"}");
    }
    return Concat("[", proxies, "]\n");
  }

  const PartKind& behind_;
};

}  // namespace

std::unique_ptr<PartKind> MakeLinkPart(const PartKind& behind) { return std::make_unique<LinkPart>(behind); }

}  // namespace lab::bench
