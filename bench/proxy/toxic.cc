#include "bench/proxy/toxic.h"

#include "absl/strings/match.h"
#include "services/runtime/base/text.h"

namespace lab::proxy {

const std::vector<ToxicKind>& ToxicKinds() {
  static const std::vector<ToxicKind> kinds = {
      {ToxicType::kLatency, "latency", "LatencyToxic", {{"latency", "int64"}, {"jitter", "int64"}}},
      {ToxicType::kBandwidth, "bandwidth", "BandwidthToxic", {{"rate", "int64"}}},
      {ToxicType::kSlowClose, "slow_close", "SlowCloseToxic", {{"delay", "int64"}}},
      {ToxicType::kTimeout, "timeout", "TimeoutToxic", {{"timeout", "int64"}}},
      {ToxicType::kResetPeer, "reset_peer", "ResetToxic", {{"timeout", "int64"}}},
      {ToxicType::kSlicer,
       "slicer",
       "SlicerToxic",
       {{"average_size", "int"}, {"size_variation", "int"}, {"delay", "int"}}},
      {ToxicType::kLimitData, "limit_data", "LimitDataToxic", {{"bytes", "int64"}}},
      {ToxicType::kNoop, "noop", "NoopToxic", {}},
  };
  return kinds;
}

const ToxicKind* FindToxicKind(std::string_view name) {
  for (const ToxicKind& kind : ToxicKinds()) {
    if (name == kind.name) return &kind;
  }
  return nullptr;
}

std::optional<Stream> ParseStream(std::string_view text) {
  if (absl::EqualsIgnoreCase(View(text), "upstream")) return Stream::kUpstream;
  if (absl::EqualsIgnoreCase(View(text), "downstream")) return Stream::kDownstream;
  return std::nullopt;
}

}  // namespace lab::proxy
