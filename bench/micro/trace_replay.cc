#include "bench/micro/trace_replay.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

namespace {

using eviction::EvictionKind;

constexpr std::string_view kBlanks = " \t\r";

// The next word of a line, or "".
std::string_view NextWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

bool IsNumber(std::string_view word, uint64_t& number) {
  return !word.empty() && word[0] != '+' && absl::SimpleAtoi(View(word), &number);
}

absl::Status TooLong() {
  return absl::ResourceExhaustedError(Concat("a trace of more than ", kMostTraceRequests, " requests"));
}

absl::Status AddArcLine(std::string_view line, Trace& trace) {
  uint64_t start = 0, count = 0;
  if (!IsNumber(NextWord(line), start) || !IsNumber(NextWord(line), count) || NextWord(line).empty() ||
      NextWord(line).empty() || !NextWord(line).empty()) {
    return absl::InvalidArgumentError("not \"start count ignored request\"");
  }
  if (count > kMostTraceRequests - trace.size()) return TooLong();
  for (uint64_t i = 0; i < count; ++i) trace.push_back(start + i);
  return absl::OkStatus();
}

absl::Status AddKeyLine(std::string_view line, Trace& trace) {
  if (trace.size() == kMostTraceRequests) return TooLong();
  uint64_t key = 0;
  if (!IsNumber(line, key)) key = Mix(std::hash<std::string_view>()(line));
  trace.push_back(key);
  return absl::OkStatus();
}

absl::StatusOr<Trace> ParseLines(std::string_view text, absl::Status (*add)(std::string_view, Trace&)) {
  Trace trace;
  for (size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = line.substr(0, line.find_last_not_of(kBlanks) + 1);
    if (line.empty()) continue;
    if (const absl::Status status = add(line, trace); !status.ok()) {
      return absl::Status(status.code(), Concat("line ", number, ": ", std::string(status.message())));
    }
  }
  return trace;
}

uint64_t LittleEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

absl::StatusOr<Trace> ParseRecords(std::string_view text) {
  constexpr size_t kRecord = 24, kKeyAt = 4;
  if (text.size() % kRecord != 0) {
    return absl::InvalidArgumentError(
        Concat("record ", text.size() / kRecord + 1, ": ", text.size() % kRecord, " of 24 bytes"));
  }
  if (text.size() / kRecord > kMostTraceRequests) return TooLong();
  Trace trace;
  trace.reserve(text.size() / kRecord);
  for (size_t at = 0; at < text.size(); at += kRecord) {
    trace.push_back(LittleEndian(text.substr(at + kKeyAt, sizeof(uint64_t))));
  }
  return trace;
}

struct Page : eviction::EvictionItem {
  uint64_t key = 0;
};

}  // namespace

std::optional<TraceFormat> TraceFormatOf(std::string_view name) {
  if (name == "arc") return TraceFormat::kArc;
  if (name == "keys") return TraceFormat::kKeys;
  if (name == "oracle_general") return TraceFormat::kOracleGeneral;
  return std::nullopt;
}

absl::StatusOr<Trace> ParseTrace(std::string_view text, TraceFormat format) {
  switch (format) {
    case TraceFormat::kArc:
      return ParseLines(text, AddArcLine);
    case TraceFormat::kKeys:
      return ParseLines(text, AddKeyLine);
    case TraceFormat::kOracleGeneral:
      return ParseRecords(text);
  }
  return absl::InvalidArgumentError("an unknown format");
}

ReplayResult Replay(const Trace& trace, eviction::EvictionKind kind, size_t entries) {
  const std::unique_ptr<eviction::Eviction> policy = eviction::MakeEviction(kind, entries);
  std::deque<Page> pages;
  std::vector<Page*> free;
  absl::flat_hash_map<uint64_t, Page*> index;
  ReplayResult result;
  for (const uint64_t key : trace) {
    ++result.requests;
    const auto [place, added] = index.try_emplace(key, nullptr);
    if (!added) {
      ++result.hits;
      policy->Use(*place->second);
      continue;
    }
    if (free.empty()) free.push_back(&pages.emplace_back());
    Page& page = *free.back();
    free.pop_back();
    page.key = key;
    page.hash = Mix(key);
    place->second = &page;
    policy->Add(page);
    while (policy->weight() > entries) {
      auto& victim = static_cast<Page&>(policy->Evict());
      index.erase(victim.key);
      free.push_back(&victim);
    }
  }
  return result;
}

}  // namespace lab::bench
