#pragma once

#include <string>

#include "absl/status/status.h"
#include "bench/micro/setup.h"

// The sections of `./lab bench`. Each prints its table; an error means that it could not be measured.
namespace lab::bench {

absl::Status BenchStore(const Setup& setup);
absl::Status BenchEdge(const Setup& setup, Spawner& spawner);
absl::Status BenchLoad(const Setup& setup, Spawner& spawner);
// `binary`: the reference service; "": made by `go install` below the state folder.
absl::Status BenchPeer(const Setup& setup, Spawner& spawner, std::string binary, const std::string& state);
absl::Status BenchPieces(const Setup& setup);

}  // namespace lab::bench
