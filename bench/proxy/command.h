#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bench/proxy/toxic.h"

namespace lab::proxy {

// A request to the API as data: what the method, path and body of an HTTP request say, before any proxy is looked at.
// The routes, defaults, statuses and texts are those of Toxiproxy 2.12.

enum class Action {
  kListProxies,
  kCreateProxy,
  kPopulate,
  kShowProxy,
  kUpdateProxy,
  kDeleteProxy,
  kListToxics,
  kCreateToxic,
  kShowToxic,
  kUpdateToxic,
  kDeleteToxic,
  kReset,
  kVersion,
  kMetrics,
};

struct ApiError {
  int status = 400;
  std::string text;
  bool plain = false;  // the body is the text itself, not {"error", "status"}
};

// What a body says of a proxy; absent is what it does not say.
struct ProxyFields {
  std::optional<std::string> name, listen, upstream;
  std::optional<bool> enabled;
};

// What a body says of a toxic's attributes, in the order of the values of its kind.
using AttributeFields = std::vector<std::optional<int64_t>>;

struct Command {
  Action action = Action::kVersion;
  std::string proxy, toxic;          // of the path
  ProxyFields fields;                // create, update
  std::vector<ProxyFields> proxies;  // populate
  Toxic new_toxic;                   // create: complete, with its defaults
  std::string body;                  // update of a toxic: read when its kind is known (ParseToxicUpdate)
  std::optional<ApiError> wrong;     // what is wrong with the body, which is said once the proxy was found
};

// A pure function of its arguments, for any bytes.
std::variant<Command, ApiError> ParseCommand(std::string_view method, std::string_view path, const std::string& body);

struct ToxicUpdate {
  std::optional<float> toxicity;
  AttributeFields attributes;
};
std::variant<ToxicUpdate, ApiError> ParseToxicUpdate(const ToxicKind& kind, const std::string& body);

}  // namespace lab::proxy
