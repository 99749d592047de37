#pragma once

#include <optional>
#include <string>

#include "bench/labfile/lab.h"
#include "bench/run/runner.h"

// Knees that were found are kept: <state>/knees/<key>.json.
namespace lab::bench {

// Everything the knee of this lab's reference depends on, as 16 hexadecimal digits of a SHA-256: the programs of its
// parts, byte by byte, their configuration with --set, the loads that are shares of the knee, the objective and the
// host. NOT_FOUND when a program is missing.
absl::StatusOr<std::string> KneeKey(const Lab& lab, const RunOptions& options);

// Absent when there is none, or none that can be read: then it is looked for again.
std::optional<Knee> KeptKnee(const std::string& root, const std::string& key);
// Keeps it, and of all that are kept the 50 newest. A knee that cannot be kept costs time, no more.
void KeepKnee(const std::string& root, const std::string& key, const Knee& knee);

// "p99 <= 20 ms, errors <= 0.1 %".
std::string ObjectiveText(const KneeSpec& knee);

}  // namespace lab::bench
