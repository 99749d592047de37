#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/model/op.h"

// What a load can be aimed at. A target knows how to write the request of a key and what an answer means; it knows
// nothing of connections and schedules. One file each below targets/, listed in target.cc.
namespace lab::bench {

enum class Protocol { kGrpc, kHttp };

struct RequestField {
  std::string name;  // as in `request:` of the lab file
  std::string fallback;
  std::string doc;
};

// How an answer counts. `code` is the gRPC status or the HTTP status, `body` the message without framing.
struct Reading {
  Outcome outcome = Outcome::kFailed;
  Answer answer = Answer::kNone;
};

// Writes the body of the request of one key: the message itself, without framing. A pure function of the key.
using BodyWriter = std::function<std::string(uint32_t key)>;
using RequestFields = std::map<std::string, std::string>;

struct Target {
  std::string name;  // "ratelimit.grpc"
  std::string doc;   // one line
  std::string part;  // the kind of part that serves it: "ratelimit"
  std::string port;  // which of its ports: "grpc"
  Protocol protocol = Protocol::kGrpc;
  std::string path;  // ":path" of the method, or of the POST
  std::vector<RequestField> fields;
  // Checks the fields (unknown ones have been refused, missing ones filled in) and returns a writer.
  absl::StatusOr<BodyWriter> (*prepare)(const RequestFields& fields) = nullptr;
  // Called for every answer: cheap.
  Reading (*read)(int code, std::string_view body) = nullptr;
};

// All targets, by name.
const std::vector<Target>& Targets();
// Null when there is none of that name.
const Target* FindTarget(const std::string& name);
// The writer for these fields, with fallbacks filled in; unknown fields and values that cannot be are errors.
absl::StatusOr<BodyWriter> PrepareRequests(const Target& target, const RequestFields& fields);

// For the catalogue of the lab file: target → names of its request fields.
std::map<std::string, std::vector<std::string>> TargetFields();

// Where the endpoints of a target come from.
struct EndpointSource {
  std::string part;  // kind of part
  std::string port;  // name of its port
};
absl::StatusOr<EndpointSource> TargetEndpoint(const std::string& target);

}  // namespace lab::bench
