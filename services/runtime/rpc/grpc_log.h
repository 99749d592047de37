#pragma once

namespace lab::rpc {

// From here on, what gRPC logs in this process leaves as lines of ours: event "grpc_log" with its text, and file and
// line in gRPC's sources. That text may hold bytes of a client, which raw lines would mix into our log as they are. At
// most one line a second of each level, with the number of those left out. May be called again, from any thread.
void RouteGrpcLog();

}  // namespace lab::rpc
