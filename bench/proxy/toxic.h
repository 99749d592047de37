#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lab::proxy {

// Which way bytes go: from the client to what is behind the proxy, or back.
enum class Stream { kUpstream, kDownstream };

// What can be wrong with a link, with the names, attributes and units of Toxiproxy 2.12 (its README, "Toxics").
enum class ToxicType { kLatency, kBandwidth, kSlowClose, kTimeout, kResetPeer, kSlicer, kLimitData, kNoop };

struct AttributeKind {
  const char* name;
  const char* number;  // the type that Toxiproxy reads it as, which its errors name
};

struct ToxicKind {
  ToxicType type;
  const char* name;
  const char* reader;  // what Toxiproxy reads its attributes as, which its errors name too
  std::vector<AttributeKind> attributes;
};

// All of them, and the one of that name or null.
const std::vector<ToxicKind>& ToxicKinds();
const ToxicKind* FindToxicKind(std::string_view name);

// One toxic of a proxy. Values are in the order of its kind's attributes and 0 unless given.
struct Toxic {
  const ToxicKind* kind = nullptr;
  std::string name;
  Stream stream = Stream::kDownstream;
  std::string stream_text = "downstream";  // as it was written, which is how Toxiproxy shows it
  float toxicity = 1;                      // share of the connections that it affects
  std::vector<int64_t> values;
};

// "upstream" or "downstream" in any case of letters.
std::optional<Stream> ParseStream(std::string_view text);

}  // namespace lab::proxy
