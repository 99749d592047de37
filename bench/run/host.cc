#include "bench/run/host.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "bench/host/cgroup.h"
#include "bench/run/process.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr std::chrono::seconds kGit{5};

// The value of the first line "key<blanks><separator><blanks>value", without quotes; "" without one.
std::string ValueOf(const std::string& path, const std::string& key, char separator) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t at = line.find(separator);
    if (at == std::string::npos || absl::StripAsciiWhitespace(line.substr(0, at)) != key) continue;
    std::string value(absl::StripAsciiWhitespace(line.substr(at + 1)));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    return value;
  }
  return "";
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "cpu 1.5 cores, memory 2.0 GiB": what a container or a service manager leaves of the host.
std::string Limits() {
  const HostLimits limits = LimitsOfOurs();
  std::string text;
  if (limits.cpu_cores) text = absl::StrFormat("cpu %.2g cores", *limits.cpu_cores);
  if (limits.memory_bytes) {
    text += absl::StrFormat("%smemory %.1f GiB", text.empty() ? "" : ", ", *limits.memory_bytes / (1 << 30));
  }
  return text.empty() ? "none" : text;
}

std::string Virtualised() {
  const std::string product = FirstLine("/sys/class/dmi/id/product_name");
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("flags", 0) == 0) {
      if ((line + " ").find(" hypervisor ") == std::string::npos) return "no";
      return product.empty() ? "yes" : Concat("yes (", product, ")");
    }
  }
  return "unknown";
}

}  // namespace

std::optional<double> AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  for (double kib = 0; file >> name >> kib; std::getline(file, unit)) {
    if (name == "MemAvailable:") return kib * 1024;
  }
  return std::nullopt;
}

std::map<std::string, std::string> DescribeHost() {
  std::map<std::string, std::string> host;
  std::string cpu = ValueOf("/proc/cpuinfo", "model name", ':');
  utsname names{};
  uname(&names);
  host["cpu"] = cpu.empty() ? std::string(names.machine) : cpu;
  host["cores"] = std::to_string(std::thread::hardware_concurrency());
  const double bytes = std::atof(ValueOf("/proc/meminfo", "MemTotal", ':').c_str()) * 1024;
  host["memory"] = absl::StrFormat("%.1f GiB", bytes / (1 << 30));
  host["kernel"] = Concat(names.sysname, " ", names.release);
  host["distribution"] = ValueOf("/etc/os-release", "PRETTY_NAME", '=');
  host["virtualised"] = Virtualised();
  const std::string governor = FirstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  host["governor"] = governor.empty() ? "not told" : governor;
  host["cgroups"] = DescribeCgroups();
  host["limits"] = Limits();
  host["co_located"] = "load, service and stores share these cores";
  return host;
}

std::string GitRevision(const std::string& root) {
  for (const char* git : {"/usr/bin/git", "/usr/local/bin/git"}) {
    if (access(git, X_OK) != 0) continue;
    // A checkout of another user (root in a container) is refused unless it is named safe.
    const std::string safe = Concat("safe.directory=", root);
    const auto revision = CaptureOutput(git, {"git", "-c", safe, "-C", root, "rev-parse", "--short=12", "HEAD"}, kGit);
    if (!revision.ok()) break;
    const auto changes = CaptureOutput(
        git, {"git", "-c", safe, "-C", root, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"},
        kGit);
    std::string text(absl::StripAsciiWhitespace(*revision));
    return changes.ok() && changes->empty() ? text : text + "+changes";
  }
  return "unknown";
}

}  // namespace lab::bench
