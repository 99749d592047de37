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
                              Question& question) {
  if (from.entries_size() > bounds.max_entries) {
    return TooLarge(Concat("the number of entries of descriptors[", index, "]"), from.entries_size(),
                    "limits.max_entries", bounds.max_entries);
  }
  Question::Descriptor& to = question.descriptors.emplace_back();
  to.first = static_cast<uint32_t>(question.entries.size());
  to.size = static_cast<uint32_t>(from.entries_size());
  size_t bytes = 0;
  for (const auto& entry : from.entries()) {
    question.entries.emplace_back(entry.key(), entry.value());
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
    to.limit = Question::Override{from.limit().requests_per_unit(), known ? static_cast<Unit>(unit) : Unit::kUnknown};
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

// Fills the headers of a response one after the other, in those that are there already, and drops the rest.
class HeaderWriter {
 public:
  explicit HeaderWriter(rls::RateLimitResponse& response) : response_(response) {}
  ~HeaderWriter() {
    while (response_.response_headers_to_add_size() > used_) response_.mutable_response_headers_to_add()->RemoveLast();
  }
  // The empty value of a new header.
  std::string* Add(const char* key) {
    auto* header = used_ < response_.response_headers_to_add_size() ? response_.mutable_response_headers_to_add(used_)
                                                                    : response_.add_response_headers_to_add();
    ++used_;
    header->set_key(key);
    header->mutable_value()->clear();
    return header->mutable_value();
  }

 private:
  rls::RateLimitResponse& response_;
  int used_ = 0;
};

void AddPolicies(const Pending& pending, HeaderWriter& headers) {
  std::string* value = nullptr;
  for (size_t i = 0; i < pending.statuses.size(); ++i) {
    const Pending::Status& status = pending.statuses[i];
    if (status.limit == nullptr || !First(pending, i)) continue;
    if (value != nullptr) value->append(", ");
    if (value == nullptr) value = headers.Add("RateLimit-Policy");
    value->append(OwnedBy(status.rule, status.limit) ? status.rule->policy_field
                                                     : PolicyField(FieldName(status, i), *status.limit));
  }
}

void AddLimits(const Pending& pending, HeaderWriter& headers) {
  std::string* value = nullptr;
  for (size_t i = 0; i < pending.statuses.size(); ++i) {
    if (pending.statuses[i].limit == nullptr || !First(pending, i)) continue;
    const Pending::Status& status = Tightest(pending, i);
    if (!status.known) continue;
    if (value != nullptr) value->append(", ");
    if (value == nullptr) value = headers.Add("RateLimit");
    if (status.rule != nullptr) {
      value->append(status.rule->field_name);
    } else {
      value->append(FieldName(status, i));
    }
    value->append(";r=");
    Append(status.remaining, *value);
    value->append(";t=");
    Append(SecondsUp(status.reset_after_us), *value);
  }
}

void AddHeaders(const Pending& pending, HeaderWriter& headers) {
  AddPolicies(pending, headers);
  AddLimits(pending, headers);
  const bool wait_helps = pending.retry_after_us > 0 && pending.retry_after_us != kNever;
  if (pending.over_limit && wait_helps) Append(SecondsUp(pending.retry_after_us), *headers.Add("Retry-After"));
}

rls::RateLimitResponse::Code Code(bool over_limit) {
  return over_limit ? rls::RateLimitResponse::OVER_LIMIT : rls::RateLimitResponse::OK;
}

// Sets or clears every field that this service uses.
void EncodeStatus(const Pending::Status& from, rls::RateLimitResponse::DescriptorStatus& to) {
  to.set_code(Code(from.over_limit));
  to.set_limit_remaining(from.unlimited ? std::numeric_limits<uint32_t>::max() : from.remaining);
  if (from.limit == nullptr) {
    to.clear_current_limit();
  } else {
    auto* limit = to.mutable_current_limit();
    limit->set_requests_per_unit(from.limit->requests);
    limit->set_unit(static_cast<rls::RateLimitResponse::RateLimit::Unit>(from.unit));
    if (from.rule != nullptr) {
      limit->set_name(from.rule->name);
    } else {
      limit->clear_name();
    }
  }
  if (!from.known) {
    to.clear_duration_until_reset();
    return;
  }
  auto* reset = to.mutable_duration_until_reset();
  reset->set_seconds(from.reset_after_us / kSecondUs);
  reset->set_nanos(static_cast<int32_t>(from.reset_after_us % kSecondUs * 1000));
}

}  // namespace

absl::Status Decode(const rls::RateLimitRequest& request, const Bounds& bounds, Question& question) {
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
  question.domain = request.domain();
  question.entries.clear();
  question.descriptors.clear();
  const uint64_t hits = std::max<uint32_t>(1, request.hits_addend());
  for (int i = 0; i < request.descriptors_size(); ++i) {
    absl::Status status = DecodeDescriptor(request.descriptors(i), i, hits, bounds, question);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void Encode(const Pending& pending, bool headers, rls::RateLimitResponse& response) {
  response.set_overall_code(Code(pending.over_limit));
  const auto count = static_cast<int>(pending.statuses.size());
  while (response.statuses_size() > count) response.mutable_statuses()->RemoveLast();
  for (int i = 0; i < count; ++i) {
    auto* status = i < response.statuses_size() ? response.mutable_statuses(i) : response.add_statuses();
    EncodeStatus(pending.statuses[static_cast<size_t>(i)], *status);
  }
  HeaderWriter writer(response);
  if (headers) AddHeaders(pending, writer);
}

}  // namespace lab::ratelimit
