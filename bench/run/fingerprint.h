#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace lab::bench {

// SHA-256 (FIPS 180-4) as 64 hexadecimal digits.
std::string Sha256(const std::string& text);
// Of a file's bytes; kept in memory while the file does not change. NOT_FOUND when it cannot be read.
absl::StatusOr<std::string> FileSha256(const std::string& path);

}  // namespace lab::bench
