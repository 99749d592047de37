#include <cstdint>
#include <string>
#include <string_view>

#include "bench/load/targets/ratelimit.h"

namespace lab::bench {
namespace {

// Field numbers of envoy/service/ratelimit/v3/rls.proto. Written and read by hand: a request is written once a key, and
// of an answer only the first field matters, where generated code would parse all of it on the cores under test.
constexpr int kDomain = 1, kDescriptors = 2, kHits = 3;  // RateLimitRequest
constexpr int kEntries = 1;                              // RateLimitDescriptor
constexpr int kEntryKey = 1, kEntryValue = 2;            // Entry
constexpr uint64_t kOverallCode = 1;                     // RateLimitResponse
constexpr uint64_t kCodeOk = 1, kCodeOverLimit = 2;

enum WireType : uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void PutVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

void PutBytes(int field, std::string_view bytes, std::string* out) {
  PutVarint(static_cast<uint64_t>(field) << 3 | kBytes, out);
  PutVarint(bytes.size(), out);
  out->append(bytes);
}

std::string Encode(const RateLimitRequest& request) {
  std::string message;
  PutBytes(kDomain, request.domain, &message);
  for (const auto& descriptor : request.descriptors) {
    std::string entries;
    for (const auto& [key, value] : descriptor) {
      std::string entry;
      PutBytes(kEntryKey, key, &entry);
      PutBytes(kEntryValue, value, &entry);
      PutBytes(kEntries, entry, &entries);
    }
    PutBytes(kDescriptors, entries, &message);
  }
  if (request.hits > 0) {
    PutVarint(uint64_t{kHits} << 3 | kVarint, &message);
    PutVarint(request.hits, &message);
  }
  return message;
}

// False at the end of the bytes or when they are no varint.
bool TakeVarint(std::string_view* bytes, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64 && !bytes->empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes->front());
    bytes->remove_prefix(1);
    *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool Skip(uint64_t wire_type, std::string_view* bytes) {
  uint64_t size = 0;
  switch (wire_type) {
    case kVarint:
      return TakeVarint(bytes, &size);
    case kFixed64:
      size = 8;
      break;
    case kFixed32:
      size = 4;
      break;
    case kBytes:
      if (!TakeVarint(bytes, &size)) return false;
      break;
    default:
      return false;
  }
  if (size > bytes->size()) return false;
  bytes->remove_prefix(size);
  return true;
}

// overall_code; fields may come in any order, although writers put it first. 0 when there is none.
uint64_t OverallCode(std::string_view message) {
  uint64_t tag = 0;
  while (TakeVarint(&message, &tag)) {
    if (tag == (kOverallCode << 3 | kVarint)) {
      uint64_t code = 0;
      return TakeVarint(&message, &code) ? code : 0;
    }
    if (!Skip(tag & 7, &message)) return 0;
  }
  return 0;
}

absl::StatusOr<BodyWriter> Prepare(const RequestFields& fields) {
  absl::StatusOr<RateLimitTemplate> form = RateLimitTemplate::Read(fields);
  if (!form.ok()) return form.status();
  return BodyWriter([form = *std::move(form)](uint32_t key) { return Encode(form.For(key)); });
}

Reading Read(const Reply& reply) {
  if (reply.code != 0) return {Outcome::kFailed, Answer::kNone};
  switch (OverallCode(reply.body)) {
    case kCodeOk:
      return {Outcome::kOk, Answer::kAdmitted};
    case kCodeOverLimit:
      return {Outcome::kOk, Answer::kLimited};
    default:
      return {Outcome::kFailed, Answer::kNone};  // no decision in it
  }
}

}  // namespace

Target RateLimitGrpcTarget() {
  Target target;
  target.name = "ratelimit.grpc";
  target.doc = "ShouldRateLimit of envoy.service.ratelimit.v3 over gRPC";
  target.part = "ratelimit";
  target.port = "grpc";
  target.protocol = Protocol::kGrpc;
  target.path = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
  target.fields = RateLimitTemplate::Fields();
  target.prepare = Prepare;
  target.read = Read;
  return target;
}

}  // namespace lab::bench
