#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "bench/run/process.h"

namespace lab::bench {

// Copies all that is in a folder into one that is there and empty: folders, plain files and symbolic links with their
// modes, owned by `owner` (absent, or one by a namespace: by us). Files share their blocks with the original until one
// of both is written, where the file system can do that (FICLONE: btrfs, XFS), else they are copied within the kernel.
// RESOURCE_EXHAUSTED when there is no room.
absl::Status CopyTree(const std::string& from, const std::string& to, const std::optional<RunAs>& owner);

// Gives one file or folder to `owner`, if that is somebody else; keeps its mode.
absl::Status GiveTo(const std::string& path, const std::optional<RunAs>& owner);

}  // namespace lab::bench
