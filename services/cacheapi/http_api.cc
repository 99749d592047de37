#include "services/cacheapi/http_api.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/strip.h"
#include "services/cacheapi/window.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

constexpr char kPrefix[] = "/v1/brands/";
constexpr size_t kMostNoteBytes = 1000;
constexpr size_t kMostKeyText = 128;

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

std::string Seconds(Nanos duration) {
  return std::to_string(std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(duration).count()));
}

void AddCacheHeaders(const Answer& answer, http::Response& response) {
  response.headers.emplace_back("X-Cache", std::string(CacheWord(answer.via)));
  if (answer.via == Via::kLocal || answer.via == Via::kShared) {
    response.headers.emplace_back("X-Cache-Tier", std::string(Name(answer.via)));
  }
}

// {"posts": 5, "note": "…"}
absl::Status ReadCorrection(const std::string& body, Correction& correction) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return absl::InvalidArgumentError("the body is no JSON object, like {\"posts\": 5}");
  for (const auto& [key, value] : json.items()) {
    if (key == "posts" && value.is_number_integer()) {
      correction.posts = value.get<int64_t>();
    } else if (key == "note" && value.is_string()) {
      correction.note = value.get<std::string>();
    } else {
      return absl::InvalidArgumentError(Concat("\"", key, "\": known are posts, a whole number, and note, a text"));
    }
  }
  if (!json.contains("posts")) return absl::InvalidArgumentError("posts is missing");
  if (correction.note.size() > kMostNoteBytes) return absl::InvalidArgumentError("the note is longer than 1000 bytes");
  if (correction.note.find('\0') != std::string::npos) return absl::InvalidArgumentError("the note has a zero byte");
  return absl::OkStatus();
}

}  // namespace

std::string EntityTag(uint64_t version, Window window) { return Concat("W/\"v", version, "-", Name(window), "\""); }

bool Matches(std::string_view if_none_match, std::string_view tag) {
  const auto opaque = [](std::string_view one) { return one.substr(0, 2) == "W/" ? one.substr(2) : one; };
  while (!if_none_match.empty()) {
    const size_t comma = if_none_match.find(',');
    std::string_view one = if_none_match.substr(0, comma);
    while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
    while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
    if (one == "*" || (!one.empty() && opaque(one) == opaque(tag))) return true;
    if (comma == std::string_view::npos) break;
    if_none_match.remove_prefix(comma + 1);
  }
  return false;
}

HttpApi::HttpApi(Reader& reader, Writer& writer, Options options, uint64_t seed)
    : reader_(reader), writer_(writer), options_(options), random_(seed) {}

void HttpApi::Register(http::Server& server) {
  server.Handle("GET", "/v1/brands/*", [this](const http::Request& request, http::Server::Respond respond) {
    Get(request, std::move(respond));
  });
  server.Handle("PUT", "/v1/brands/*", [this](const http::Request& request, http::Server::Respond respond) {
    Write(request, false, std::move(respond));
  });
  server.Handle("DELETE", "/v1/brands/*", [this](const http::Request& request, http::Server::Respond respond) {
    Write(request, true, std::move(respond));
  });
}

void HttpApi::Get(const http::Request& request, http::Server::Respond respond) {
  const std::optional<std::string> brand = BrandOf(request.path, "insights");
  if (!brand) return respond(http::Problem(404, "not found", "known below /v1/brands/{brand}: insights, correction"));
  absl::Status wrong = CheckBrand(*brand);
  Window window = kDefaultWindow;
  if (const auto given = request.query.find("window"); wrong.ok() && given != request.query.end()) {
    const absl::StatusOr<Window> parsed = ParseWindow(given->second);
    wrong = parsed.status();
    if (parsed.ok()) window = *parsed;
  }
  if (!wrong.ok()) return respond(http::FromStatus(wrong));
  const Clock::time_point now = Clock::now();
  reader_.Get({*brand, window, now + options_.deadline, request.Header("x-actor")},
              [this, window, if_none_match = std::string(request.Header("if-none-match")),
               respond = std::move(respond)](Answer answer) mutable {
                http::Response response;
                if (!answer.status.ok()) {
                  response = http::FromStatus(answer.status);
                } else if (answer.value.negative) {
                  response = http::Problem(404, "no such brand", "there is no brand of this id");
                } else {
                  const Clock::time_point then = Clock::now();
                  const std::string tag = EntityTag(answer.value.version, window);
                  const bool known = Matches(if_none_match, tag);
                  response.status = known ? 304 : 200;
                  response.content_type = "application/json";
                  if (!known) response.body = std::move(answer.value.body);
                  response.headers.emplace_back("ETag", tag);
                  response.headers.emplace_back("Age", Seconds(then - answer.value.written_at));
                  std::string control = "max-age=" + Seconds(answer.value.fresh_until - then);
                  if (options_.stale_for > Nanos(0)) {
                    control += ", stale-while-revalidate=" + Seconds(options_.stale_for);
                  }
                  response.headers.emplace_back("Cache-Control", control);
                  response.headers.emplace_back("X-Version", std::to_string(answer.value.version));
                }
                AddCacheHeaders(answer, response);
                respond(std::move(response));
              });
}

void HttpApi::Write(const http::Request& request, bool remove, http::Server::Respond respond) {
  const std::optional<std::string> brand = BrandOf(request.path, "correction");
  if (!brand) return respond(http::Problem(404, "not found", "what can be written is /v1/brands/{brand}/correction"));
  Correction correction;
  correction.brand = *brand;
  correction.remove = remove;
  correction.request_id = std::string(request.Header("idempotency-key"));
  absl::Status wrong = CheckBrand(*brand);
  if (wrong.ok() && !remove) wrong = ReadCorrection(request.body, correction);
  if (wrong.ok() && correction.request_id.size() > kMostKeyText) {
    wrong = absl::InvalidArgumentError("the Idempotency-Key is longer than 128 bytes");
  }
  if (!wrong.ok()) return respond(http::FromStatus(wrong));
  if (correction.request_id.empty()) correction.request_id = Concat("own-", random_.Next(), "-", random_.Next());
  writer_.Write(correction, request.Header("x-actor"),
                [brand = *brand, respond = std::move(respond)](absl::StatusOr<uint64_t> version) mutable {
                  if (!version.ok()) return respond(http::FromStatus(version.status()));
                  http::Response response;
                  response.content_type = "application/json";
                  if (*version == Writer::kVersionUnknown) {
                    response.status = 202;
                    response.body = Concat("{\"brand\":", JsonString(brand), ",\"applied\":false}");
                    return respond(std::move(response));
                  }
                  response.body = Concat("{\"brand\":", JsonString(brand), ",\"version\":", *version, "}");
                  response.headers.emplace_back("X-Version", std::to_string(*version));
                  respond(std::move(response));
                });
}

}  // namespace lab::cacheapi
