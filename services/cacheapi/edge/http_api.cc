#include "services/cacheapi/edge/http_api.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "services/cacheapi/edge/http_call.h"
#include "services/cacheapi/edge/json_body.h"
#include "services/cacheapi/edge/openapi.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"
#include "services/runtime/http/traced.h"

namespace lab::cacheapi {
namespace {

constexpr char kPrefix[] = "/v1/brands/";

// "/v1/brands/acme/insights" → "acme"; none for another path.
std::optional<std::string> BrandOf(std::string_view path, std::string_view resource) {
  const size_t prefix = sizeof(kPrefix) - 1;
  if (path.size() <= prefix + 1 + resource.size() || path.substr(0, prefix) != kPrefix) return std::nullopt;
  path.remove_prefix(prefix);
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos || path.substr(slash + 1) != resource) return std::nullopt;
  return std::string(path.substr(0, slash));
}

std::string_view CacheWord(Via via) {
  switch (via) {
    case Via::kLocal:
    case Via::kShared:
    case Via::kBloom:
      return "hit";
    case Via::kStale:
      return "stale";
    case Via::kOrigin:
      return "miss";
    case Via::kCoalesced:
      return "coalesced";
    case Via::kError:
      return "error";
  }
  return "error";
}

void AddCacheHeaders(const Answer& answer, http::Response& response) {
  response.headers.emplace_back("X-Cache", std::string(CacheWord(answer.via)));
  if (answer.via == Via::kLocal || answer.via == Via::kShared || answer.via == Via::kBloom) {
    response.headers.emplace_back("X-Cache-Tier", std::string(Name(answer.via)));
  }
}

void AddCaching(const CacheFacts& facts, http::Response& response) {
  CacheHeaders headers = HeadersOf(facts);
  response.headers.emplace_back("Age", std::move(headers.age));
  response.headers.emplace_back("Cache-Control", std::move(headers.cache_control));
}

// Fields of one name are one list (RFC 9110, 5.3).
std::string ListOf(const http::Request& request, std::string_view name) {
  std::string list;
  for (const auto& [known, value] : request.headers) {
    if (known == name) list += (list.empty() ? "" : ", ") + value;
  }
  return list;
}

// {"posts": 5, "note": "…"}; bounds are the API's.
absl::Status ReadCorrection(const std::string& body, Correction& correction) {
  const nlohmann::json json = ParseBody(body);
  if (!json.is_object()) return absl::InvalidArgumentError("the body is no JSON object, like {\"posts\": 5}");
  for (const auto& [key, value] : json.items()) {
    const bool beyond = value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(kMostPosts);
    if (key == "posts" && value.is_number_integer() && !beyond) {
      correction.posts = value.get<int64_t>();
    } else if (key == "note" && value.is_string()) {
      correction.note = value.get<std::string>();
    } else {
      return absl::InvalidArgumentError(Concat(JsonString(std::string_view(key).substr(0, 32)),
                                               ": known are posts, a whole number of ", kMostPosts,
                                               " at most, and note, a text"));
    }
  }
  if (!json.contains("posts")) return absl::InvalidArgumentError("posts is missing");
  return absl::OkStatus();
}

// An Idempotency-Key that is there names this write: an empty one, or two, would leave it without protection.
absl::Status ReadRequestId(const http::Request& request, std::string& id) {
  int given = 0;
  for (const auto& [name, value] : request.headers) {
    if (name != "idempotency-key") continue;
    ++given;
    id = value;
  }
  if (given > 1) return absl::InvalidArgumentError("idempotency key: more than one is given");
  if (given == 1 && id.empty()) return absl::InvalidArgumentError("idempotency key: is empty");
  return absl::OkStatus();
}

absl::Status CheckQuery(const http::Request& request) {
  for (const auto& [name, value] : request.query) {
    if (name != "window") {
      return absl::InvalidArgumentError(Concat(JsonString(std::string_view(name).substr(0, 32)), ": known is window"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void HttpApi::Register(http::Server& server) {
  server.Handle("GET", "/openapi.json", [](const http::Request&, http::Server::Respond respond) {
    http::Response response;
    response.content_type = "application/json";
    response.body = kOpenApi;
    respond(std::move(response));
  });
  const auto handle = [&](const char* method, const char* span, http::Server::Handler handler) {
    server.Handle(method, "/v1/brands/*", http::Traced(tracer_, span, std::move(handler)));
  };
  handle("GET", "cacheapi.http.get",
         [this](const http::Request& request, http::Server::Respond respond) { Get(request, std::move(respond)); });
  handle("PUT", "cacheapi.http.put", [this](const http::Request& request, http::Server::Respond respond) {
    Write(request, false, std::move(respond));
  });
  handle("DELETE", "cacheapi.http.delete", [this](const http::Request& request, http::Server::Respond respond) {
    Write(request, true, std::move(respond));
  });
}

void HttpApi::Get(const http::Request& request, http::Server::Respond respond) {
  const std::optional<std::string> brand = BrandOf(request.path, "insights");
  if (!brand) return respond(http::Problem(404, "not found", "known below /v1/brands/{brand}: insights, correction"));
  if (const absl::Status wrong = CheckQuery(request); !wrong.ok()) return respond(http::FromStatus(wrong));
  const auto window = request.query.find("window");
  api_.Get(CallerOf(request), *brand, window == request.query.end() ? Name(kDefaultWindow) : window->second,
           [if_none_match = ListOf(request, "if-none-match"), respond = std::move(respond)](Api::Read read) mutable {
             respond(ToResponse(std::move(read), if_none_match));
           });
}

http::Response HttpApi::ToResponse(Api::Read read, std::string_view if_none_match) {
  http::Response response;
  const Answer& answer = read.answer;
  if (!read.status.ok()) {
    response = http::FromStatus(read.status);
  } else if (answer.value.negative) {
    response = http::Problem(404, "no such brand", "there is no brand of this id");
    AddCaching(read.facts, response);  // else a cache may guess how long (RFC 9110, 15.1)
  } else {
    const std::string tag = EntityTag(answer.value, read.window);
    const bool known = Matches(if_none_match, tag);
    response.status = known ? 304 : 200;
    response.content_type = "application/json";
    if (!known) response.body = std::move(read.answer.value.body);
    response.headers.emplace_back("ETag", tag);
    AddCaching(read.facts, response);
    response.headers.emplace_back("X-Version", std::to_string(answer.value.version));
  }
  AddCacheHeaders(answer, response);
  AddLimit(read.limit, response);
  return response;
}

void HttpApi::Write(const http::Request& request, bool remove, http::Server::Respond respond) {
  const std::optional<std::string> brand = BrandOf(request.path, "correction");
  if (!brand) return respond(http::Problem(404, "not found", "what can be written is /v1/brands/{brand}/correction"));
  Correction correction;
  correction.brand = *brand;
  correction.remove = remove;
  absl::Status wrong = ReadRequestId(request, correction.request_id);
  if (wrong.ok() && !remove) wrong = ReadCorrection(request.body, correction);
  if (!wrong.ok()) return respond(http::FromStatus(wrong));
  api_.Write(CallerOf(request), std::move(correction),
             [brand = *brand, respond = std::move(respond)](Api::Written written) mutable {
               http::Response response;
               if (written.status.ok() && written.queued) {
                 response.status = 202;
                 response.content_type = "application/json";
                 response.body = Concat("{\"brand\":", JsonString(brand), ",\"applied\":false}");
               } else if (written.status.ok()) {
                 response.content_type = "application/json";
                 response.body = Concat("{\"brand\":", JsonString(brand), ",\"version\":", written.version, "}");
                 response.headers.emplace_back("X-Version", std::to_string(written.version));
               } else {
                 response = http::FromStatus(written.status);
               }
               AddLimit(written.limit, response);
               respond(std::move(response));
             });
}

}  // namespace lab::cacheapi
