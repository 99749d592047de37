#include "bench/proxy/command.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/match.h"
#include "services/runtime/base/text.h"

namespace lab::proxy {
namespace {

using nlohmann::json;

// Errors of a body, thrown within this file only.
struct BadBody {
  std::string text;
};

ApiError BadRequest(const std::string& text) { return {400, Concat("bad request body: ", text)}; }

// The first value of the body; what follows it is not looked at.
json ReadBody(const std::string& body) {
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) throw BadBody{"EOF"};
  std::istringstream in(body);
  json value;
  try {
    in >> value;
  } catch (const json::exception& problem) {
    throw BadBody{problem.what()};
  }
  return value;
}

const char* KindOf(const json& value) {
  switch (value.type()) {
    case json::value_t::boolean:
      return "bool";
    case json::value_t::string:
      return "string";
    case json::value_t::array:
      return "array";
    case json::value_t::object:
      return "object";
    default:
      return "number";
  }
}

[[noreturn]] void WrongType(const json& value, const std::string& field, const char* type) {
  std::string what = KindOf(value);
  if (value.is_number() && std::string_view(type).substr(0, 3) == "int") what += Concat(" ", value.dump());
  throw BadBody{field.empty()
                    ? Concat("json: cannot unmarshal ", what, " into Go value of type ", type)
                    : Concat("json: cannot unmarshal ", what, " into Go struct field ", field, " of type ", type)};
}

// A member by its name in any case of letters, or null: what is null counts as absent.
const json* Member(const json& object, const char* name) {
  const json* found = nullptr;
  if (!object.is_object()) return nullptr;
  for (const auto& [key, value] : object.items()) {
    if (absl::EqualsIgnoreCase(key, name) && !value.is_null()) found = &value;
  }
  return found;
}

std::optional<std::string> Text(const json& object, const char* name, const char* of) {
  const json* value = Member(object, name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) WrongType(*value, Concat(of, ".", name), "string");
  return value->get<std::string>();
}

std::optional<bool> Truth(const json& object, const char* name, const char* of) {
  const json* value = Member(object, name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) WrongType(*value, Concat(of, ".", name), "bool");
  return value->get<bool>();
}

std::optional<float> Share(const json& object, const char* name, const char* of) {
  const json* value = Member(object, name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) WrongType(*value, Concat(of, ".", name), "float32");
  const double number = value->get<double>();
  if (std::abs(number) > static_cast<double>(std::numeric_limits<float>::max())) {
    WrongType(*value, Concat(of, ".", name), "float32");
  }
  return static_cast<float>(number);
}

ProxyFields ReadProxy(const json& value) {
  if (!value.is_object() && !value.is_null()) WrongType(value, "", "toxiproxy.Proxy");
  return {Text(value, "name", "Proxy"), Text(value, "listen", "Proxy"), Text(value, "upstream", "Proxy"),
          Truth(value, "enabled", "Proxy")};
}

AttributeFields ReadAttributes(const json& body, const ToxicKind& kind) {
  AttributeFields fields(kind.attributes.size());
  const json* attributes = Member(body, "attributes");
  if (attributes == nullptr) return fields;
  if (!attributes->is_object()) WrongType(*attributes, ".attributes", "toxics.Toxic");
  for (size_t i = 0; i < fields.size(); ++i) {
    const AttributeKind& attribute = kind.attributes[i];
    const json* value = Member(*attributes, attribute.name);
    if (value == nullptr) continue;
    const bool fits = value->is_number_integer() &&
                      (!value->is_number_unsigned() ||
                       value->get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
    if (!fits) WrongType(*value, Concat(kind.reader, ".attributes.", attribute.name), attribute.number);
    fields[i] = value->get<int64_t>();
  }
  return fields;
}

std::optional<ApiError> ReadToxic(Toxic& toxic, const std::string& body) {
  const json value = ReadBody(body);
  if (!value.is_object() && !value.is_null()) WrongType(value, "", "toxics.ToxicWrapper");
  const std::string type = Text(value, "type", "ToxicWrapper").value_or("");
  toxic.name = Text(value, "name", "ToxicWrapper").value_or("");
  toxic.stream_text = Text(value, "stream", "ToxicWrapper").value_or("downstream");
  toxic.toxicity = Share(value, "toxicity", "ToxicWrapper").value_or(1.0f);
  const std::optional<Stream> stream = ParseStream(toxic.stream_text);
  if (!stream) return ApiError{400, "stream was invalid, can be either upstream or downstream"};
  toxic.stream = *stream;
  if (toxic.name.empty()) toxic.name = Concat(type, "_", toxic.stream_text);
  toxic.kind = FindToxicKind(type);
  if (toxic.kind == nullptr) return ApiError{400, "invalid toxic type"};
  for (const std::optional<int64_t>& attribute : ReadAttributes(value, *toxic.kind)) {
    toxic.values.push_back(attribute.value_or(0));
  }
  return std::nullopt;
}

std::variant<Command, ApiError> ReadCreate(Command command, const std::string& body) {
  command.fields = ReadProxy(ReadBody(body));
  if (command.fields.name.value_or("").empty()) return ApiError{400, "missing required field: name"};
  if (command.fields.upstream.value_or("").empty()) return ApiError{400, "missing required field: upstream"};
  return command;
}

std::variant<Command, ApiError> ReadPopulate(Command command, const std::string& body) {
  const json value = ReadBody(body);
  if (!value.is_array() && !value.is_null()) WrongType(value, "", "[]toxiproxy.Proxy");
  for (const json& entry : value.is_array() ? value : json::array()) command.proxies.push_back(ReadProxy(entry));
  for (size_t i = 0; i < command.proxies.size(); ++i) {
    for (const auto& [name, field] :
         {std::pair("name", &command.proxies[i].name), std::pair("upstream", &command.proxies[i].upstream)}) {
      if (field->value_or("").empty()) {
        return ApiError{400, Concat("missing required field: ", name, " at proxy ", i + 1)};
      }
    }
  }
  return command;
}

struct Route {
  size_t depth;  // segments of the path
  const char* first;
  const char* third;
  const char* method;
  Action action;
};

constexpr Route kRoutes[] = {
    {1, "proxies", "", "GET", Action::kListProxies},
    {1, "proxies", "", "POST", Action::kCreateProxy},
    {1, "populate", "", "POST", Action::kPopulate},
    {1, "reset", "", "POST", Action::kReset},
    {1, "version", "", "GET", Action::kVersion},
    {1, "metrics", "", "GET", Action::kMetrics},
    {2, "proxies", "", "GET", Action::kShowProxy},
    {2, "proxies", "", "POST", Action::kUpdateProxy},
    {2, "proxies", "", "PATCH", Action::kUpdateProxy},
    {2, "proxies", "", "DELETE", Action::kDeleteProxy},
    {3, "proxies", "toxics", "GET", Action::kListToxics},
    {3, "proxies", "toxics", "POST", Action::kCreateToxic},
    {4, "proxies", "toxics", "GET", Action::kShowToxic},
    {4, "proxies", "toxics", "POST", Action::kUpdateToxic},
    {4, "proxies", "toxics", "PATCH", Action::kUpdateToxic},
    {4, "proxies", "toxics", "DELETE", Action::kDeleteToxic},
};

std::vector<std::string> Segments(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    path.remove_prefix(1);
    const size_t slash = std::min(path.find('/'), path.size());
    segments.emplace_back(path.substr(0, slash));
    path.remove_prefix(slash);
  }
  return segments;
}

}  // namespace

std::variant<Command, ApiError> ParseCommand(std::string_view method, std::string_view path, const std::string& body) {
  const ApiError unknown{404, "404 page not found", true};
  if (path.empty() || path.front() != '/') return unknown;
  const std::vector<std::string> segments = Segments(path);
  const bool hollow = std::any_of(segments.begin(), segments.end(), [](const std::string& s) { return s.empty(); });
  if (hollow) return unknown;
  const Route* found = nullptr;
  bool other_method = false;
  for (const Route& route : kRoutes) {
    if (route.depth != segments.size() || segments[0] != route.first) continue;
    if (route.depth > 2 && segments[2] != route.third) continue;
    other_method = true;
    if (method == route.method) found = &route;
  }
  if (found == nullptr) return other_method ? ApiError{405, "", true} : unknown;

  Command command;
  command.action = found->action;
  if (segments.size() > 1) command.proxy = segments[1];
  if (segments.size() > 3) command.toxic = segments[3];
  try {
    if (found->action == Action::kCreateProxy) return ReadCreate(std::move(command), body);
    if (found->action == Action::kPopulate) return ReadPopulate(std::move(command), body);
  } catch (const BadBody& bad) {
    return BadRequest(bad.text);
  }
  try {
    if (found->action == Action::kUpdateProxy) command.fields = ReadProxy(ReadBody(body));
    if (found->action == Action::kCreateToxic) command.wrong = ReadToxic(command.new_toxic, body);
    if (found->action == Action::kUpdateToxic) command.body = body;
  } catch (const BadBody& bad) {
    command.wrong = BadRequest(bad.text);
  }
  return command;
}

std::variant<ToxicUpdate, ApiError> ParseToxicUpdate(const ToxicKind& kind, const std::string& body) {
  try {
    const json value = ReadBody(body);
    if (!value.is_object() && !value.is_null()) WrongType(value, "", "struct");
    return ToxicUpdate{Share(value, "toxicity", ""), ReadAttributes(value, kind)};
  } catch (const BadBody& bad) {
    return BadRequest(bad.text);
  }
}

}  // namespace lab::proxy
