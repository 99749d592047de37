#include "bench/cli/disk.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "bench/judge/judge.h"
#include "bench/run/run_folder.h"

namespace lab::bench::cli {

absl::Status CheckDisk(const std::string& root, double bytes) {
  std::filesystem::path folder = StateFolder(root);
  std::error_code error;
  while (!std::filesystem::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  const std::filesystem::space_info disk = std::filesystem::space(folder, error);
  if (error) return absl::OkStatus();
  const auto free = static_cast<double>(disk.available);
  if (free >= bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("no space left for a run in ", StateFolder(root), ": ",
                                                   FormatQuantity(free, "bytes"), " are free, it takes up to ",
                                                   FormatQuantity(bytes, "bytes"),
                                                   "\nremove old runs there, or set LAB_STATE to another disk"));
}

}  // namespace lab::bench::cli
