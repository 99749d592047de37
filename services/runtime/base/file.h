#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lab {

// The whole file; an error that names the path when it is missing, unreadable, larger than `max_bytes` or not a regular
// file (a FIFO, a device, a folder). Never waits for another process.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes = 16 << 20);

// Writes to a temporary file in the same folder, syncs and renames: readers see the old or the new text, never a part.
// A full disk is an error that says so and leaves the old file.
absl::Status WriteFileAtomic(const std::string& path, std::string_view text);

}  // namespace lab
