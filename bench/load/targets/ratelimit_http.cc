#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "bench/load/targets/ratelimit.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted.push_back('\\');
      quoted.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += absl::StrFormat("\\u%04x", static_cast<unsigned char>(c));
    } else {
      quoted.push_back(c);
    }
  }
  return quoted + "\"";
}

// The JSON form of the protobuf message (proto3 JSON mapping: lowerCamelCase names).
std::string Encode(const RateLimitRequest& request) {
  std::string descriptors;
  for (const auto& descriptor : request.descriptors) {
    std::string entries;
    for (const auto& [key, value] : descriptor) {
      if (!entries.empty()) entries += ",";
      entries += Concat("{\"key\":", Quoted(key), ",\"value\":", Quoted(value), "}");
    }
    if (!descriptors.empty()) descriptors += ",";
    descriptors += Concat("{\"entries\":[", entries, "]}");
  }
  const std::string hits = request.hits > 0 ? Concat(",\"hitsAddend\":", request.hits) : "";
  return Concat("{\"domain\":", Quoted(request.domain), ",\"descriptors\":[", descriptors, "]", hits, "}");
}

absl::StatusOr<BodyWriter> Prepare(const RequestFields& fields) {
  absl::StatusOr<RateLimitTemplate> form = RateLimitTemplate::Read(fields);
  if (!form.ok()) return form.status();
  return BodyWriter([form = *std::move(form)](uint32_t key) { return Encode(form.For(key)); });
}

Reading Read(const Reply& reply) {
  if (reply.code == 200) return {Outcome::kOk, Answer::kAdmitted};
  if (reply.code == 429) return {Outcome::kOk, Answer::kLimited};
  return {Outcome::kFailed, Answer::kNone};
}

}  // namespace

Target RateLimitHttpTarget() {
  Target target;
  target.name = "ratelimit.http";
  target.doc = "POST /json of the rate limiter over HTTP/1.1";
  target.part = "ratelimit";
  target.port = "http";
  target.protocol = Protocol::kHttp;
  target.path = "/json";
  target.fields = RateLimitTemplate::Fields();
  target.prepare = Prepare;
  target.read = Read;
  return target;
}

}  // namespace lab::bench
