#include "services/cacheapi/brands_api.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "services/cacheapi/window.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

constexpr size_t kMostNameBytes = 200;

// {"id": "acme", "name": "Acme"}; without a name the id is the name.
absl::Status ReadBrand(const std::string& body, std::string& id, std::string& name) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return absl::InvalidArgumentError("the body is no JSON object, like {\"id\": \"acme\"}");
  for (const auto& [key, value] : json.items()) {
    if ((key != "id" && key != "name") || !value.is_string()) {
      return absl::InvalidArgumentError(Concat(JsonString(key.substr(0, 32)), ": known are id and name, both texts"));
    }
    (key == "id" ? id : name) = value.get<std::string>();
  }
  if (absl::Status wrong = CheckBrand(id); !wrong.ok()) return wrong;
  if (name.empty()) name = id;
  if (name.size() > kMostNameBytes) return absl::InvalidArgumentError("the name is longer than 200 bytes");
  if (name.find('\0') != std::string::npos) return absl::InvalidArgumentError("the name has a zero byte");
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
  server.Handle("POST", "/v1/brands", [this](const http::Request& request, http::Server::Respond respond) {
    Create(request, std::move(respond));
  });
}

void BrandsApi::Create(const http::Request& request, http::Server::Respond respond) {
  std::string id, name;
  if (const absl::Status wrong = ReadBrand(request.body, id, name); !wrong.ok()) {
    return respond(http::FromStatus(wrong));
  }
  creator_.Create(id, name, request.Header("x-actor"),
                  [id, respond = std::move(respond)](absl::StatusOr<BrandCreator::Created> created) mutable {
                    if (!created.ok()) return respond(http::FromStatus(created.status()));
                    http::Response response;
                    response.status = created->created ? 201 : 200;
                    response.content_type = "application/json";
                    response.body = Concat("{\"brand\":", JsonString(id), ",\"version\":", created->version, "}");
                    response.headers.emplace_back("X-Version", std::to_string(created->version));
                    if (created->created) {
                      response.headers.emplace_back("Location", Concat("/v1/brands/", Escaped(id), "/insights"));
                    }
                    respond(std::move(response));
                  });
}

}  // namespace lab::cacheapi
