#include "services/cacheapi/edge/brands_api.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "services/cacheapi/edge/http_call.h"
#include "services/cacheapi/edge/json_body.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"
#include "services/runtime/http/traced.h"

namespace lab::cacheapi {
namespace {

// {"id": "acme", "name": "Acme"}; bounds are the API's.
absl::Status ReadBrand(const std::string& body, Api::NewBrand& brand) {
  const nlohmann::json json = ParseBody(body);
  if (!json.is_object()) return absl::InvalidArgumentError("the body is no JSON object, like {\"id\": \"acme\"}");
  for (const auto& [key, value] : json.items()) {
    if ((key != "id" && key != "name") || !value.is_string()) {
      return absl::InvalidArgumentError(Concat(JsonString(key.substr(0, 32)), ": known are id and name, both texts"));
    }
    (key == "id" ? brand.id : brand.name) = value.get<std::string>();
  }
  return absl::OkStatus();
}

// As a segment of a path (RFC 3986, 2.3: all but unreserved characters escaped).
std::string Escaped(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string escaped;
  for (const char one : text) {
    const auto byte = static_cast<unsigned char>(one);
    if (kPlain.find(one) != std::string_view::npos) {
      escaped += one;
    } else {
      escaped += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return escaped;
}

}  // namespace

void BrandsApi::Register(http::Server& server) {
  server.Handle(
      "POST", "/v1/brands",
      http::Traced(tracer_, "cacheapi.http.post", [this](const http::Request& request, http::Server::Respond respond) {
        Create(request, std::move(respond));
      }));
}

void BrandsApi::Create(const http::Request& request, http::Server::Respond respond) {
  Api::NewBrand brand;
  if (const absl::Status wrong = ReadBrand(request.body, brand); !wrong.ok()) return respond(http::FromStatus(wrong));
  const std::string id = brand.id;
  api_.Create(CallerOf(request), std::move(brand), [id, respond = std::move(respond)](Api::Created created) mutable {
    http::Response response;
    if (created.status.ok()) {
      response.status = created.created ? 201 : 200;
      response.content_type = "application/json";
      response.body = Concat("{\"brand\":", JsonString(id), ",\"version\":", created.version, "}");
      response.headers.emplace_back("X-Version", std::to_string(created.version));
      if (created.created) response.headers.emplace_back("Location", Concat("/v1/brands/", Escaped(id), "/insights"));
    } else {
      response = http::FromStatus(created.status);
    }
    AddLimit(created.limit, response);
    respond(std::move(response));
  });
}

}  // namespace lab::cacheapi
