#pragma once

// The gRPC status codes that the load generator itself gives or reads; also for HTTP calls that never got a status.
// (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md)
namespace lab::bench::grpc_code {

inline constexpr int kOk = 0;
inline constexpr int kUnknown = 2;
inline constexpr int kDeadlineExceeded = 4;
inline constexpr int kPermissionDenied = 7;
inline constexpr int kUnimplemented = 12;
inline constexpr int kInternal = 13;
inline constexpr int kUnavailable = 14;
inline constexpr int kUnauthenticated = 16;

}  // namespace lab::bench::grpc_code
