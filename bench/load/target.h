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

// An answer as a target reads it. The views live as long as the call.
struct Reply {
  int code = 0;              // gRPC status or HTTP status
  std::string_view body;     // the message without framing
  std::string_view head;     // of HTTP: status line and header fields
  std::string_view request;  // as it was sent
  Ask ask = Ask::kRead;
};

// How an answer counts.
struct Reading {
  Outcome outcome = Outcome::kFailed;
  Answer answer = Answer::kNone;
  uint32_t version = 0;
};

// Writes the body of the request of one key: the message itself, without framing (the whole request of a target without
// `path`). A pure function of the key.
using BodyWriter = std::function<std::string(uint32_t key)>;
using RequestFields = std::map<std::string, std::string>;

// What one operation asks, and for whom, beside its key.
struct Question {
  Ask ask = Ask::kRead;
  uint16_t session = kNobodysSession;
};

// Of targets whose operations are not all the same question. Both null: they are.
struct Mixture {
  // From a number drawn for the operation, uniform over 64 bits and the same in every variant. A pure function.
  std::function<Question(uint64_t drawn)> question;
  // The request of a question that is not the plain one of its key (Ask::kRead). `unique` is the operation's own among
  // all runs of all generators, at most 100 bytes that need no quoting.
  std::function<std::string(uint32_t key, const Question& question, std::string_view unique)> write;
};

struct Target {
  std::string name;  // "ratelimit.grpc"
  std::string doc;   // one line
  std::string part;  // the kind of part that serves it: "ratelimit"
  std::string port;  // which of its ports: "grpc"
  Protocol protocol = Protocol::kGrpc;
  std::string path;  // ":path" of the method, or of the POST; "" of HTTP: the writer writes whole requests
  std::vector<RequestField> fields;
  // Checks the fields (unknown ones have been refused, missing ones filled in) and returns a writer.
  absl::StatusOr<BodyWriter> (*prepare)(const RequestFields& fields) = nullptr;
  // The same fields' mixture; null: there is none. Called when `prepare` found nothing wrong with them.
  Mixture (*mix)(const RequestFields& fields) = nullptr;
  // Called for every answer: cheap.
  Reading (*read)(const Reply& reply) = nullptr;
};

// All targets, by name.
const std::vector<Target>& Targets();
// Null when there is none of that name.
const Target* FindTarget(const std::string& name);
// The writer for these fields, with fallbacks filled in; unknown fields and values that cannot be are errors.
absl::StatusOr<BodyWriter> PrepareRequests(const Target& target, const RequestFields& fields);
// Of fields that PrepareRequests accepts.
Mixture PrepareMixture(const Target& target, const RequestFields& fields);

// For the catalogue of the lab file: target → names of its request fields.
std::map<std::string, std::vector<std::string>> TargetFields();

// Where the endpoints of a target come from.
struct EndpointSource {
  std::string part;  // kind of part
  std::string port;  // name of its port
};
absl::StatusOr<EndpointSource> TargetEndpoint(const std::string& target);

}  // namespace lab::bench
