#include "services/runtime/obs/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <sstream>
#include <string>

#include "services/runtime/base/file.h"

namespace lab::obs {
namespace {

std::string Text(const std::string& path) { return ReadFile(path).value_or(""); }

// Field `number` of /proc/self/stat as proc(5) counts them; the name of the program, field 2, may hold blanks.
double StatField(const std::string& stat, int number) {
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  for (int at = 3; at <= number; ++at) fields >> field;
  return std::strtod(field.c_str(), nullptr);
}

double BootUnixSeconds() {
  const std::string stat = Text("/proc/stat");
  const size_t at = stat.find("\nbtime ");
  return at == std::string::npos ? 0 : std::strtod(stat.c_str() + at + 7, nullptr);
}

double CountOpenFds() {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  double count = -1;  // the folder's own descriptor
  while (const dirent* entry = readdir(folder)) count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}

}  // namespace

ProcessUsage ReadProcessUsage() {
  ProcessUsage usage;
  timespec cpu{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  usage.cpu_seconds = static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) * 1e-9;

  std::istringstream memory(Text("/proc/self/statm"));
  double total_pages = 0, resident_pages = 0;
  memory >> total_pages >> resident_pages;
  usage.resident_bytes = resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE));

  const std::string stat = Text("/proc/self/stat");
  usage.threads = StatField(stat, 20);
  usage.start_unix_seconds = BootUnixSeconds() + StatField(stat, 22) / static_cast<double>(sysconf(_SC_CLK_TCK));
  usage.open_fds = CountOpenFds();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.max_fds = static_cast<double>(limit.rlim_cur);
  return usage;
}

}  // namespace lab::obs
