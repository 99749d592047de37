#pragma once

#include <sys/types.h>

#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/fault/target.h"
#include "bench/labfile/lab.h"
#include "bench/model/rest_request.h"
#include "bench/model/trial.h"
#include "bench/run/process.h"

namespace lab::bench {

using Ports = std::map<std::string, int>;  // name → loopback port

// Where a part finds what it is started from.
struct Build {
  std::string root;  // the checkout
  // build/<preset>/services/<kind>/<kind> of the build that this program is of; else of build/release.
  std::string ServiceBinary(const std::string& kind) const;
  std::string ProxyBinary() const;  // build/<preset>/bench/proxy/fault_proxy of the same
};

// One start of one replica.
struct LaunchRequest {
  const Build& build;
  std::string name;                        // "ratelimit", or "ratelimit-1" of several
  std::map<std::string, std::string> set;  // configuration; files are already paths ("@rules.yaml" → "/…/rules.yaml")
  std::string config_folder;               // its configuration is written here, and kept with the trial
  std::string data_folder;                 // its working folder; gone after the trial
  Ports ports;                             // of port_names()
  std::map<std::string, Ports> others;     // kind → ports of the part of that kind that was started before
  int replica = 0;                         // its number, from 0
  std::function<void(const std::string&)> tell = {};  // a line for whoever waits for it
};

// A kind of part: how it is started, asked and read. Registered by name in PartKinds(); one file each.
class PartKind {
 public:
  virtual ~PartKind() = default;
  virtual std::string name() const = 0;
  virtual std::string doc() const = 0;
  virtual std::vector<std::string> port_names() const = 0;
  virtual std::string metrics_port() const { return ""; }  // which of them serves /metrics
  virtual std::string redis_port() const { return ""; }    // which of them answers INFO
  // How its program is got where there is none, in words; "": it is a service of ours, and built.
  virtual std::string Remedy() const { return ""; }
  // What asks it to end, the gentlest first.
  virtual std::vector<int> StopSignals() const { return {SIGTERM}; }
  // Whether it works by processes of its own making: what they use is its use, and none of them outlives it.
  virtual bool MakesProcesses() const { return false; }
  // NOT_FOUND when the binary that knows them is not built yet.
  virtual absl::StatusOr<std::vector<Catalogue::Knob>> Knobs(const Build& build) const = 0;
  // Configuration that is nobody's to set: ports and addresses, which the runner gives.
  virtual std::set<std::string> Wired() const { return {}; }
  // The same of another program that is to take the place of its own. NOT_FOUND, FAILED_PRECONDITION: why it cannot.
  virtual absl::StatusOr<std::vector<Catalogue::Knob>> KnobsOf(const Build& build, const std::string& binary) const;
  // The ports that it is given when it is so configured.
  virtual std::vector<std::string> PortsOf(const Build& /*build*/,
                                           const std::map<std::string, std::string>& /*set*/) const {
    return port_names();
  }
  // "redis 7.0.15".
  virtual absl::StatusOr<std::string> Version(const Build& build,
                                              const std::map<std::string, std::string>& set) const = 0;
  // What it is, byte by byte: two programs that may behave differently differ here.
  virtual absl::StatusOr<std::string> Program(const Build& build, const std::map<std::string, std::string>& set) const {
    return Version(build, set);
  }
  // Writes configuration; the log, and the environment, are the caller's.
  virtual absl::StatusOr<Command> Launch(const LaunchRequest& request) const = 0;
  // Fills its data folder, which is empty, as it is before the first start; Launch does so too.
  virtual absl::Status FillData(const LaunchRequest& /*request*/) const { return absl::OkStatus(); }
  // Removes what its processes left outside of the data folder when they were killed; all of them have ended.
  virtual void CleanUp(const std::string& /*data_folder*/) const {}
  // One question by the path that clients use, and whether it is ready to serve; both within the time.
  virtual Look Ask(const Ports& ports, Nanos timeout) const = 0;
  virtual bool Ready(const Ports& ports, pid_t pid, Nanos timeout) const = 0;
  // "" or what is wrong with the options of the fault `failpoint` on this part, by the points that its program has.
  virtual std::string FailpointError(const Build& /*build*/, const PartSpec& /*part*/,
                                     const std::map<std::string, std::string>& /*options*/) const {
    return "";
  }
  // What Ready waits for, in words: "GET http://127.0.0.1:20000/readyz answers 200".
  virtual std::string ReadyMeans(const Ports& ports) const = 0;
  // What only it can tell after the load, as (name, value in base units).
  virtual std::map<std::string, double> FinalReads(const Ports& /*ports*/) const { return {}; }
  // After the load, of all replicas of it together: what each place has of the keys that were written. Nothing: it
  // keeps no copies.
  virtual std::optional<AtRest> ReadAtRest(const RestRequest& /*request*/) const { return std::nullopt; }
  // What only it can tell while it runs, asked once a second by one thread: (series, value). Null: nothing.
  virtual std::function<absl::StatusOr<std::map<std::string, double>>(Nanos timeout)> Watch(
      const Ports& /*ports*/) const {
    return nullptr;
  }
};

// Whether a file can be executed: OK, or NOT_FOUND with its path and what is wrong.
absl::Status CheckExecutable(const std::string& path);

std::unique_ptr<PartKind> MakeRedisPart();
std::unique_ptr<PartKind> MakePostgresPart();

// What is special of a service.
struct ServiceTraits {
  std::map<std::string, std::string> fixed;  // configuration that nobody sets: where in its stores its data lies
  AtRest (*read_at_rest)(const RestRequest& request) = nullptr;
};
std::unique_ptr<PartKind> MakeServicePart(const std::string& service, const std::string& doc,
                                          ServiceTraits traits = {});

// What stands on a link: a fault proxy with a port for each of the ports of the part behind it, under the same names.
// It answers like that part, through the proxy. Not among PartKinds: a lab file makes links, not parts of them.
std::unique_ptr<PartKind> MakeLinkPart(const PartKind& behind);

const std::vector<std::unique_ptr<PartKind>>& PartKinds();
const PartKind* FindPartKind(const std::string& name);

// For the catalogue of lab files: the knobs of each kind of part, the faults of each with their options. Kinds whose
// program is missing have no entry under knobs and are named in `not_here`. Targets, invariants and expressions are
// others'.
void DescribeParts(const std::string& root, Catalogue* catalogue);
// What there is to break: "redis.pause" → one sentence. For `lab list`.
std::map<std::string, std::string> FaultDocs();
// Names of build targets of the services among these part kinds: {"ratelimit"} of {"redis", "ratelimit"}.
std::vector<std::string> ServicesAmong(const std::vector<std::string>& kinds);

}  // namespace lab::bench
