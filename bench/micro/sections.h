#pragma once

#include <string>

#include "absl/status/status.h"
#include "bench/micro/setup.h"

// The sections of `./lab bench`, one file each. Each prints its table; an error means that it could not be measured.
namespace lab::bench {

absl::Status BenchStore(const Setup& setup);
absl::Status BenchEdge(const Setup& setup);
absl::Status BenchLoad(const Setup& setup);
absl::Status BenchProxy(const Setup& setup);
struct PeerOptions {
  std::string binary;  // of the reference service; "": made by `go install` below the state folder
  std::string client;  // external_client.h; "": our own generator
};
absl::Status BenchPeer(const Setup& setup, const PeerOptions& options);
absl::Status BenchCache(const Setup& setup);
struct TraceOptions {
  std::string path;    // "": none, Zipf loads instead
  std::string format;  // bench/micro/trace_replay.h; "": by the file's name
};
absl::Status BenchHits(const TraceOptions& options);
absl::Status BenchPostgres(const Setup& setup);
absl::Status BenchPieces(const Setup& setup);

}  // namespace lab::bench
