#include "services/ratelimit/http_api.h"

#include <google/protobuf/util/json_util.h>

#include <memory>
#include <string>
#include <utility>

#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "services/runtime/base/text.h"

namespace lab::ratelimit {

namespace {

namespace rls = envoy::service::ratelimit::v3;

// Not 429 where the question itself is too large: here that says over limit.
http::Response Refusal(const absl::Status& status) {
  if (!absl::IsResourceExhausted(status)) return http::FromStatus(status);
  return http::Problem(413, "question too large", std::string(status.message()));
}

int HttpStatus(const Pending& pending) {
  if (!pending.over_limit) return 200;
  return pending.by_policy && pending.retry_after_us == 0 ? 503 : 429;
}

// Owns itself from Decide until Decided.
struct JsonExchange final : Pending {
  void Decided() override {
    const std::unique_ptr<JsonExchange> self(this);
    rls::RateLimitResponse message;
    Encode(*this, true, message);
    http::Response response;
    response.status = HttpStatus(*this);
    response.content_type = "application/json";
    const auto status = google::protobuf::util::MessageToJsonString(message, &response.body);
    if (!status.ok()) response = http::Problem(500, "no JSON", status.ToString());
    for (const auto& header : message.response_headers_to_add()) {
      response.headers.emplace_back(header.key(), header.value());
    }
    respond(std::move(response));
  }

  http::Server::Respond respond;
};

std::string HotKeysText(const HotKeys& hot_keys) {
  std::string text =
      Concat("# one request in ", Limiter::kHotKeySample, " is counted; share of the sample, hits in it, ",
             "by how much they may be too high, key\n");
  for (const HotKeys::Item& item : hot_keys.Top()) {
    const double share = 100.0 * static_cast<double>(item.hits) / static_cast<double>(hot_keys.total());
    text += Concat(static_cast<int>(share * 10 + 0.5) / 10.0, "%  ", item.hits, "  ", item.error, "  ", item.key, "\n");
  }
  return text;
}

}  // namespace

void AddHttpApi(http::Server& server, async::Loop& loop, Limiter& limiter, Metrics& metrics, const Bounds& bounds) {
  server.Handle("POST", "/json", [&, bounds](const http::Request& http_request, http::Server::Respond respond) {
    rls::RateLimitRequest request;
    Question question;
    const auto parsed = google::protobuf::util::JsonStringToMessage(http_request.body, &request);
    absl::Status status =
        parsed.ok() ? Decode(request, bounds, question)
                    : absl::InvalidArgumentError("not a RateLimitRequest in JSON: " + std::string(parsed.message()));
    if (status.ok()) {
      auto exchange = std::make_unique<JsonExchange>();
      exchange->respond = std::move(respond);
      JsonExchange* pending = exchange.release();
      status = limiter.Decide(question, *pending, loop.turn_time());
      if (status.ok()) return;
      exchange.reset(pending);
      respond = std::move(exchange->respond);
    }
    metrics.refused.Increment();
    respond(Refusal(status));
  });
  server.Handle("GET", "/debug/hot-keys", [&](const http::Request&, http::Server::Respond respond) {
    http::Response response;
    response.body = HotKeysText(limiter.hot_keys());
    respond(std::move(response));
  });
  server.Handle("GET", "/debug/rules", [&](const http::Request&, http::Server::Respond respond) {
    http::Response response;
    response.body = limiter.rules().ToText();
    respond(std::move(response));
  });
}

}  // namespace lab::ratelimit
