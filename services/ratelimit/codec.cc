#include "services/ratelimit/codec.h"

#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/numbers.h"
#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "services/runtime/base/text.h"

namespace lab::ratelimit {

namespace {

namespace rls = envoy::service::ratelimit::v3;
using RateLimitDescriptor = envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;

absl::Status TooLarge(const std::string& what, int is, const char* field, int max) {
  return absl::ResourceExhaustedError(Concat(what, " is ", is, ", at most ", max, " (", field, ")"));
}

absl::Status DecodeDescriptor(const RateLimitDescriptor& from, int index, uint64_t hits, const Bounds& bounds,
                              Pending& pending) {
  if (from.entries_size() > bounds.max_entries) {
    return TooLarge(Concat("the number of entries of descriptors[", index, "]"), from.entries_size(),
                    "limits.max_entries", bounds.max_entries);
  }
  Pending::Descriptor& to = pending.descriptors.emplace_back();
  to.first = static_cast<uint32_t>(pending.entries.size());
  to.size = static_cast<uint32_t>(from.entries_size());
  size_t bytes = 0;
  for (const auto& entry : from.entries()) {
    pending.entries.emplace_back(entry.key(), entry.value());
    bytes += entry.key().size() + entry.value().size();
  }
  if (bytes > static_cast<size_t>(bounds.max_key_bytes)) {
    return TooLarge(Concat("the size of descriptors[", index, "]"), static_cast<int>(bytes), "limits.max_key_bytes",
                    bounds.max_key_bytes);
  }
  to.hits = from.has_hits_addend() ? from.hits_addend().value() : hits;
  if (from.has_limit()) {
    const int unit = from.limit().unit();
    const bool known = unit > 0 && unit <= static_cast<int>(Unit::kWeek);
    to.limit = Pending::Override{from.limit().requests_per_unit(), known ? static_cast<Unit>(unit) : Unit::kUnknown};
  }
  return absl::OkStatus();
}

void Append(int64_t value, std::string& out) {
  char digits[absl::numbers_internal::kFastToBufferSize];
  const char* end = absl::numbers_internal::FastIntToBuffer(value, digits);
  out.append(digits, static_cast<size_t>(end - digits));
}

int64_t SecondsUp(int64_t us) { return us / kSecondUs + (us % kSecondUs > 0 ? 1 : 0); }

// A rule that several descriptors match stands in the fields once: the first stands for it, with the least remaining.
bool First(const Pending& pending, size_t index) {
  const Pending::Status& status = pending.statuses[index];
  return std::none_of(
      pending.statuses.begin(), pending.statuses.begin() + static_cast<ptrdiff_t>(index),
      [&](const Pending::Status& earlier) { return earlier.rule == status.rule && earlier.limit == status.limit; });
}

const Pending::Status& Tightest(const Pending& pending, size_t index) {
  const Pending::Status* tightest = &pending.statuses[index];
  for (const Pending::Status& other : pending.statuses) {
    const bool same = other.rule == tightest->rule && other.limit == tightest->limit;
    if (same && other.remaining < tightest->remaining) tightest = &other;
  }
  return *tightest;
}

// Names by place for overrides that no rule matches, which have none.
std::string FieldName(const Pending::Status& status, size_t index) {
  return status.rule != nullptr ? status.rule->field_name : QuoteField(Concat("descriptor-", index));
}

void AddHeaders(const Pending& pending, rls::RateLimitResponse& response) {
  std::string* policies = nullptr;
  std::string* limits = nullptr;
  const auto add = [&](const char* key) {
    auto* header = response.add_response_headers_to_add();
    header->set_key(key);
    return header->mutable_value();
  };
  for (size_t i = 0; i < pending.statuses.size(); ++i) {
    const Pending::Status& status = pending.statuses[i];
    if (status.limit == nullptr || !First(pending, i)) continue;
    if (policies == nullptr) {
      policies = add("RateLimit-Policy");
    } else {
      policies->append(", ");
    }
    const bool of_rule = status.rule != nullptr && status.limit == &status.rule->limit;
    policies->append(of_rule ? status.rule->policy_field : PolicyField(FieldName(status, i), *status.limit));
  }
  for (size_t i = 0; i < pending.statuses.size(); ++i) {
    if (pending.statuses[i].limit == nullptr || !First(pending, i)) continue;
    const Pending::Status& status = Tightest(pending, i);
    if (!status.known) continue;
    if (limits == nullptr) {
      limits = add("RateLimit");
    } else {
      limits->append(", ");
    }
    if (status.rule != nullptr) {
      limits->append(status.rule->field_name);
    } else {
      limits->append(FieldName(status, i));
    }
    limits->append(";r=");
    Append(status.remaining, *limits);
    limits->append(";t=");
    Append(SecondsUp(status.reset_after_us), *limits);
  }
  const bool wait_helps = pending.retry_after_us > 0 && pending.retry_after_us != kNever;
  if (pending.over_limit && wait_helps) Append(SecondsUp(pending.retry_after_us), *add("Retry-After"));
}

}  // namespace

absl::Status Decode(const rls::RateLimitRequest& request, const Bounds& bounds, Pending& pending) {
  if (request.domain().empty()) return absl::InvalidArgumentError("domain must not be empty");
  if (request.descriptors_size() == 0) return absl::InvalidArgumentError("descriptors must not be empty");
  if (request.descriptors_size() > bounds.max_descriptors) {
    return TooLarge("the number of descriptors", request.descriptors_size(), "limits.max_descriptors",
                    bounds.max_descriptors);
  }
  if (request.domain().size() > static_cast<size_t>(bounds.max_key_bytes)) {
    return TooLarge("the size of domain", static_cast<int>(request.domain().size()), "limits.max_key_bytes",
                    bounds.max_key_bytes);
  }
  pending.domain = request.domain();
  pending.entries.clear();
  pending.descriptors.clear();
  const uint64_t hits = std::max<uint32_t>(1, request.hits_addend());
  for (int i = 0; i < request.descriptors_size(); ++i) {
    absl::Status status = DecodeDescriptor(request.descriptors(i), i, hits, bounds, pending);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void Encode(const Pending& pending, bool headers, rls::RateLimitResponse& response) {
  const auto code = [](bool over) { return over ? rls::RateLimitResponse::OVER_LIMIT : rls::RateLimitResponse::OK; };
  response.set_overall_code(code(pending.over_limit));
  bool limited = false;
  for (const Pending::Status& from : pending.statuses) {
    auto* to = response.add_statuses();
    to->set_code(code(from.over_limit));
    if (from.unlimited) to->set_limit_remaining(std::numeric_limits<uint32_t>::max());
    if (from.limit == nullptr) continue;
    limited = true;
    auto* limit = to->mutable_current_limit();
    limit->set_requests_per_unit(from.limit->requests);
    limit->set_unit(static_cast<rls::RateLimitResponse::RateLimit::Unit>(from.unit));
    if (from.rule != nullptr && !from.rule->name.empty()) limit->set_name(from.rule->name);
    if (!from.known) continue;
    to->set_limit_remaining(from.remaining);
    auto* reset = to->mutable_duration_until_reset();
    reset->set_seconds(from.reset_after_us / kSecondUs);
    reset->set_nanos(static_cast<int32_t>(from.reset_after_us % kSecondUs * 1000));
  }
  if (headers && limited) AddHeaders(pending, response);
}

}  // namespace lab::ratelimit
