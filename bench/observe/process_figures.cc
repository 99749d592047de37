#include "bench/observe/process_figures.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bench/host/family.h"
#include "services/runtime/base/file.h"

namespace lab::bench {
namespace {

double Ticks(absl::string_view text) {
  static const double per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  double ticks = 0;
  return absl::SimpleAtod(text, &ticks) ? ticks / per_second : 0;
}

}  // namespace

std::optional<ProcessFigures> ReadProcess(pid_t pid) {
  absl::StatusOr<std::string> text = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!text.ok()) return std::nullopt;
  // The name in brackets may hold blanks and brackets: fields count from the last bracket (proc(5), field 3 on).
  const size_t name_begin = text->find('('), name_end = text->rfind(')');
  if (name_begin == std::string::npos || name_end == std::string::npos) return std::nullopt;
  const std::vector<std::string> fields = absl::StrSplit(text->substr(name_end + 2), ' ');
  if (fields.size() < 22) return std::nullopt;
  ProcessFigures figures;
  figures.name = text->substr(name_begin + 1, name_end - name_begin - 1);
  (void)absl::SimpleAtoi(fields[1], &figures.parent);
  (void)absl::SimpleAtoi(fields[2], &figures.group);
  (void)absl::SimpleAtoi(fields[19], &figures.start_ticks);
  figures.state = fields[0].empty() ? '?' : fields[0][0];
  figures.cpu_s = Ticks(fields[11]) + Ticks(fields[12]);
  figures.ended_cpu_s = Ticks(fields[13]) + Ticks(fields[14]);
  (void)absl::SimpleAtoi(fields[9], &figures.major_faults);
  (void)absl::SimpleAtoi(fields[10], &figures.ended_major_faults);
  (void)absl::SimpleAtoi(fields[17], &figures.threads);
  double pages = 0;
  (void)absl::SimpleAtod(fields[21], &pages);
  figures.memory_bytes = pages * static_cast<double>(sysconf(_SC_PAGESIZE));
  return figures;
}

namespace {

// statm(5) in pages: size, resident, shared.
double SharedBytes(pid_t pid) {
  const std::string text = ReadFile(absl::StrCat("/proc/", pid, "/statm")).value_or("");
  const std::vector<std::string> fields = absl::StrSplit(text, ' ');
  double pages = 0;
  if (fields.size() < 3 || !absl::SimpleAtod(fields[2], &pages)) return 0;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace

std::optional<ProcessFigures> ReadFamily(pid_t pid) {
  std::optional<ProcessFigures> sum = ReadProcess(pid);
  if (!sum) return std::nullopt;
  double own_bytes = 0;
  sum->cpu_s = sum->memory_bytes = 0;
  sum->major_faults = 0;
  sum->threads = 0;
  for (const pid_t member : FamilyOf(pid)) {
    const std::optional<ProcessFigures> figures = ReadProcess(member);
    if (!figures) continue;
    const double shared = std::min(SharedBytes(member), figures->memory_bytes);
    own_bytes += figures->memory_bytes - shared;
    sum->shared_bytes = std::max(sum->shared_bytes, shared);
    sum->cpu_s += figures->cpu_s + figures->ended_cpu_s;
    sum->major_faults += figures->major_faults + figures->ended_major_faults;
    sum->threads += figures->threads;
  }
  sum->ended_cpu_s = 0;
  sum->ended_major_faults = 0;
  sum->memory_bytes = own_bytes + sum->shared_bytes;
  return sum;
}

std::optional<HostFigures> ReadHost() {
  absl::StatusOr<std::string> text = ReadFile("/proc/stat");
  if (!text.ok()) return std::nullopt;
  const std::vector<std::string> fields = absl::StrSplit(text->substr(0, text->find('\n')), ' ', absl::SkipEmpty());
  if (fields.size() < 9 || fields[0] != "cpu") return std::nullopt;
  HostFigures figures;
  for (size_t i : {1, 2, 3, 6, 7}) figures.cpu_s += Ticks(fields[i]);  // user, nice, system, irq, softirq
  figures.steal_s = Ticks(fields[8]);
  return figures;
}

}  // namespace lab::bench
