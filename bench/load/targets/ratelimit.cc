#include "bench/load/targets/ratelimit.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr char kPlaceholder[] = "{key}";

// "tenant={key}, path=/v1; plan=free": entries between commas, descriptors between semicolons.
absl::StatusOr<std::vector<std::vector<RateLimitRequest::Entry>>> ReadDescriptors(const std::string& text) {
  std::vector<std::vector<RateLimitRequest::Entry>> descriptors;
  for (absl::string_view part : absl::StrSplit(text, ';')) {
    std::vector<RateLimitRequest::Entry> entries;
    for (absl::string_view entry : absl::StrSplit(part, ',')) {
      entry = absl::StripAsciiWhitespace(entry);
      const size_t equals = entry.find('=');
      const std::string key(entry.substr(0, equals));
      if (key.empty()) {
        return absl::InvalidArgumentError(
            Concat("descriptors: write \"key=value, key=value; key=value\", not \"", text.substr(0, 60), "\""));
      }
      entries.emplace_back(key, equals == absl::string_view::npos ? "" : std::string(entry.substr(equals + 1)));
    }
    descriptors.push_back(std::move(entries));
  }
  return descriptors;
}

}  // namespace

std::vector<RequestField> RateLimitTemplate::Fields() {
  return {
      {"domain", "", "the domain of the rules"},
      {"key", "", "descriptor key; its value is value_prefix and the number of the key"},
      {"value_prefix", "k", "what stands before the number of the key"},
      {"hits", "0", "hits_addend of each request; 0: not sent, which means 1"},
      {"descriptors", "", "instead of `key`: \"tenant={key}, path=/v1; plan=free\""},
  };
}

absl::StatusOr<RateLimitTemplate> RateLimitTemplate::Read(const RequestFields& fields) {
  RateLimitTemplate result;
  result.request_.domain = fields.at("domain");
  result.value_prefix_ = fields.at("value_prefix");
  if (!absl::SimpleAtoi(fields.at("hits"), &result.request_.hits)) {
    return absl::InvalidArgumentError(Concat("hits: \"", fields.at("hits"), "\" is not a number from 0 to 4294967295"));
  }
  const std::string& key = fields.at("key");
  const std::string& descriptors = fields.at("descriptors");
  if (result.request_.domain.empty()) return absl::InvalidArgumentError("domain: is needed");
  if (key.empty() == descriptors.empty()) {
    return absl::InvalidArgumentError("write either `key` or `descriptors`");
  }
  if (descriptors.empty()) {
    result.request_.descriptors = {{{key, kPlaceholder}}};
    return result;
  }
  auto read = ReadDescriptors(descriptors);
  if (!read.ok()) return read.status();
  result.request_.descriptors = *std::move(read);
  return result;
}

RateLimitRequest RateLimitTemplate::For(uint32_t key) const {
  RateLimitRequest request = request_;
  const std::string value = Concat(value_prefix_, key);
  for (auto& descriptor : request.descriptors) {
    for (auto& entry : descriptor) entry.second = absl::StrReplaceAll(entry.second, {{kPlaceholder, value}});
  }
  return request;
}

}  // namespace lab::bench
