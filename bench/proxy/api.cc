#include "bench/proxy/api.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::proxy {
namespace {

// One buffer for all connections: a read fills it, and it is sent on before the next one.
constexpr size_t kBufferBytes = 256 << 10;

http::Response Json(int status, std::string body) { return {status, "application/json", std::move(body), {}}; }
http::Response Nothing() { return {204, "", "", {}}; }

http::Response Error(const ApiError& error) {
  if (error.plain)
    return {error.status, "text/plain; charset=utf-8", Concat(error.text, error.text.empty() ? "" : "\n"), {}};
  return {error.status,
          "text/plain; charset=utf-8",
          Concat("{\"error\":", JsonString(error.text), ",\"status\":", error.status, "}\n"),
          {}};
}

http::Response Error(const absl::Status& status) {
  return Error(ApiError{500, std::string(status.message().data(), status.message().size())});
}

// The shortest text that reads back as the same float.
std::string FloatText(float value) {
  if (!std::isfinite(value)) return "0";
  char text[64];
  const bool plain = value == 0 || (std::abs(value) >= 1e-6f && std::abs(value) < 1e21f);
  const auto end = plain ? std::to_chars(text, text + sizeof(text), value, std::chars_format::fixed)
                         : std::to_chars(text, text + sizeof(text), value);
  return std::string(text, end.ptr);
}

std::string ListOf(const std::vector<std::string>& entries) {
  std::string out;
  for (const std::string& entry : entries) out += Concat(out.empty() ? "" : ",", entry);
  return Concat("[", out, "]");
}

// A populate that failed, with the proxies that it had made by then.
http::Response PopulateError(const ApiError& error, const std::vector<std::string>& made) {
  return Json(error.status, Concat("{\"error\":", JsonString(error.text), ",\"status\":", error.status,
                                   ",\"proxies\":", made.empty() ? "null" : ListOf(made), "}"));
}

std::string ToxicsJson(const Proxy& proxy) {
  std::string out;
  for (const Toxic& toxic : proxy.toxics()) out += Concat(out.empty() ? "" : ",", ToxicJson(toxic));
  return Concat("[", out, "]");
}

}  // namespace

std::string ToxicJson(const Toxic& toxic) {
  std::string attributes;
  for (size_t i = 0; i < toxic.values.size(); ++i) {
    attributes += Concat(i == 0 ? "" : ",", "\"", toxic.kind->attributes[i].name, "\":", toxic.values[i]);
  }
  return Concat("{\"attributes\":{", attributes, "},\"name\":", JsonString(toxic.name),
                ",\"type\":", JsonString(toxic.kind->name), ",\"stream\":", JsonString(toxic.stream_text),
                ",\"toxicity\":", FloatText(toxic.toxicity), "}");
}

std::string ProxyJson(const Proxy& proxy) {
  return Concat("{\"name\":", JsonString(proxy.name()), ",\"listen\":", JsonString(proxy.listen()),
                ",\"upstream\":", JsonString(proxy.upstream()), ",\"enabled\":", proxy.enabled() ? "true" : "false",
                ",\"toxics\":", ToxicsJson(proxy), "}");
}

Api::Api(boost::asio::io_context& io, uint64_t seed, std::function<std::string()> metrics)
    : io_(io), random_(seed), buffer_(kBufferBytes), metrics_(std::move(metrics)) {}

void Api::Serve(http::Server& server) {
  for (const char* method : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
    server.Handle(method, "/*",
                  [this](const http::Request& request, http::Server::Respond respond) { respond(Answer(request)); });
  }
}

http::Response Api::Answer(const http::Request& request) {
  // A page in somebody's browser must not be able to break links.
  if (absl::StartsWith(View(request.Header("user-agent")), "Mozilla/")) {
    return Error(ApiError{403, "User agent not allowed", true});
  }
  std::variant<Command, ApiError> command = ParseCommand(request.method, request.path, request.body);
  if (const auto* error = std::get_if<ApiError>(&command)) {
    if (request.path == "/populate" && !error->plain) return PopulateError(*error, {});
    return Error(*error);
  }
  return Execute(std::get<Command>(command));
}

http::Response Api::Populate(const std::string& body) {
  http::Request request;
  request.method = "POST";
  request.path = "/populate";
  request.body = body;
  return Answer(request);
}

void Api::StopAll() {
  for (const auto& [name, proxy] : proxies_) proxy->Stop();
}

http::Response Api::Execute(const Command& command) {
  switch (command.action) {
    case Action::kListProxies: {
      std::string all;
      for (const auto& [name, proxy] : proxies_) {
        all += Concat(all.empty() ? "" : ",", JsonString(name), ":", ProxyJson(*proxy));
      }
      return Json(200, Concat("{", all, "}"));
    }
    case Action::kCreateProxy:
      return CreateProxy(command.fields);
    case Action::kPopulate:
      return PopulateAll(command.proxies);
    case Action::kReset:
      return Reset();
    case Action::kVersion:
      return {200, "application/json;charset=utf-8", "{\"version\": \"2.12.0\"}\n", {}};
    case Action::kMetrics:
      return {200, "text/plain; version=0.0.4; charset=utf-8", MetricsText(), {}};
    default:
      break;
  }
  const auto found = proxies_.find(command.proxy);
  if (found == proxies_.end()) return Error(ApiError{404, "proxy not found"});
  if (command.wrong) return Error(*command.wrong);
  Proxy& proxy = *found->second;
  switch (command.action) {
    case Action::kShowProxy:
      return Json(200, ProxyJson(proxy));
    case Action::kUpdateProxy:
      return UpdateProxy(proxy, command.fields);
    case Action::kDeleteProxy:
      proxies_.erase(found);
      return Nothing();
    case Action::kListToxics:
      return Json(200, ToxicsJson(proxy));
    case Action::kCreateToxic:
      return CreateToxic(proxy, command.new_toxic);
    default:
      break;
  }
  const Toxic* toxic = proxy.FindToxic(command.toxic);
  if (toxic == nullptr) return Error(ApiError{404, "toxic not found"});
  if (command.action == Action::kShowToxic) return Json(200, ToxicJson(*toxic));
  if (command.action == Action::kUpdateToxic) return UpdateToxic(proxy, command);
  proxy.RemoveToxic(command.toxic);
  return Nothing();
}

std::unique_ptr<Proxy> Api::Make(const ProxyFields& fields) {
  return std::make_unique<Proxy>(io_, std::span<char>(buffer_), random_, *fields.name, fields.listen.value_or(""),
                                 *fields.upstream);
}

http::Response Api::CreateProxy(const ProxyFields& fields) {
  if (proxies_.count(*fields.name) > 0) return Error(ApiError{409, "proxy already exists"});
  std::unique_ptr<Proxy> proxy = Make(fields);
  if (fields.enabled.value_or(true)) {
    if (const absl::Status started = proxy->Start(); !started.ok()) return Error(started);
  }
  http::Response response = Json(201, ProxyJson(*proxy));
  proxies_[*fields.name] = std::move(proxy);
  return response;
}

http::Response Api::PopulateAll(const std::vector<ProxyFields>& all) {
  std::vector<std::string> shown;
  for (const ProxyFields& fields : all) {
    const auto existing = proxies_.find(*fields.name);
    if (existing != proxies_.end()) {
      const absl::StatusOr<bool> differs = existing->second->Differs(fields.listen.value_or(""), *fields.upstream);
      if (!differs.ok()) return PopulateError({500, std::string(differs.status().message())}, shown);
      if (!*differs) {
        shown.push_back(ProxyJson(*existing->second));
        continue;
      }
      existing->second->Stop();
    }
    std::unique_ptr<Proxy> proxy = Make(fields);
    if (fields.enabled.value_or(true)) {
      if (const absl::Status started = proxy->Start(); !started.ok()) {
        return PopulateError({500, std::string(started.message())}, shown);
      }
    }
    shown.push_back(ProxyJson(*proxy));
    proxies_[*fields.name] = std::move(proxy);
  }
  return Json(201, Concat("{\"proxies\":", ListOf(shown), "}"));
}

http::Response Api::UpdateProxy(Proxy& proxy, const ProxyFields& fields) {
  const bool enabled = fields.enabled.value_or(proxy.enabled());
  const absl::Status changed =
      proxy.Change(fields.listen.value_or(proxy.listen()), fields.upstream.value_or(proxy.upstream()));
  if (!changed.ok()) return Error(changed);
  if (!enabled) {
    proxy.Stop();
  } else if (const absl::Status started = proxy.Start(); !started.ok()) {
    return Error(started);
  }
  return Json(200, ProxyJson(proxy));
}

http::Response Api::CreateToxic(Proxy& proxy, const Toxic& toxic) {
  if (proxy.FindToxic(toxic.name) != nullptr) return Error(ApiError{409, "toxic already exists"});
  proxy.AddToxic(toxic);
  return Json(200, ToxicJson(toxic));
}

http::Response Api::UpdateToxic(Proxy& proxy, const Command& command) {
  Toxic toxic = *proxy.FindToxic(command.toxic);
  const std::variant<ToxicUpdate, ApiError> parsed = ParseToxicUpdate(*toxic.kind, command.body);
  if (const auto* error = std::get_if<ApiError>(&parsed)) return Error(*error);
  const ToxicUpdate& update = std::get<ToxicUpdate>(parsed);
  toxic.toxicity = update.toxicity.value_or(toxic.toxicity);
  for (size_t i = 0; i < update.attributes.size(); ++i) {
    if (update.attributes[i]) toxic.values[i] = *update.attributes[i];
  }
  proxy.UpdateToxic(toxic);
  return Json(200, ToxicJson(toxic));
}

http::Response Api::Reset() {
  for (const auto& [name, proxy] : proxies_) {
    if (const absl::Status started = proxy->Start(); !started.ok()) return Error(started);
    for (const Toxic& toxic : proxy->toxics()) proxy->RemoveToxic(toxic.name);
  }
  return Nothing();
}

std::string Api::MetricsText() const {
  struct Family {
    const char* name;
    const char* type;
    const char* help;
    std::function<std::vector<std::pair<const char*, double>>(const Proxy&)> values;  // by direction; "" for none
  };
  const auto number = [](uint64_t value) { return static_cast<double>(value); };
  const std::vector<Family> families = {
      {"toxiproxy_proxy_received_bytes_total", "counter", "Bytes read from clients (upstream) and upstreams",
       [&](const Proxy& proxy) -> std::vector<std::pair<const char*, double>> {
         return {{"upstream", number(proxy.counters().upstream.received)},
                 {"downstream", number(proxy.counters().downstream.received)}};
       }},
      {"toxiproxy_proxy_sent_bytes_total", "counter", "Bytes sent to upstreams (upstream) and clients",
       [&](const Proxy& proxy) -> std::vector<std::pair<const char*, double>> {
         return {{"upstream", number(proxy.counters().upstream.sent)},
                 {"downstream", number(proxy.counters().downstream.sent)}};
       }},
      {"toxiproxy_proxy_connections_total", "counter", "Clients accepted",
       [&](const Proxy& proxy) -> std::vector<std::pair<const char*, double>> {
         return {{"", number(proxy.counters().accepted)}};
       }},
      {"toxiproxy_proxy_connect_failures_total", "counter", "Clients whose upstream could not be reached",
       [&](const Proxy& proxy) -> std::vector<std::pair<const char*, double>> {
         return {{"", number(proxy.counters().not_connected)}};
       }},
      {"toxiproxy_proxy_open_connections", "gauge", "Open connections",
       [&](const Proxy& proxy) -> std::vector<std::pair<const char*, double>> {
         return {{"", number(proxy.connections())}};
       }},
  };
  std::string out = metrics_();
  for (const Family& family : families) {
    out += Concat("# HELP ", family.name, " ", family.help, "\n# TYPE ", family.name, " ", family.type, "\n");
    for (const auto& [name, proxy] : proxies_) {
      for (const auto& [direction, value] : family.values(*proxy)) {
        const bool directed = *direction != '\0';
        out += Concat(family.name, "{", directed ? Concat("direction=\"", direction, "\",") : "",
                      "proxy=", JsonString(name), ",listener=", JsonString(proxy->listen()),
                      ",upstream=", JsonString(proxy->upstream()), "} ", JsonNumber(value), "\n");
      }
    }
  }
  return out;
}

}  // namespace lab::proxy
