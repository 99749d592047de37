#include "bench/proxy/client.h"

#include <nlohmann/json.hpp>

#include "bench/observe/http_get.h"
#include "services/runtime/base/text.h"

namespace lab::proxy {
namespace {

constexpr Millis kPatience{500};

}  // namespace

absl::StatusOr<std::string> Client::Ask(const std::string& method, const std::string& path, const std::string& body,
                                        int also_fine) const {
  const absl::StatusOr<bench::HttpAnswer> answer =
      bench::HttpCall("127.0.0.1", port_, {method, path, body, {}}, kPatience);
  if (!answer.ok()) return answer.status();
  if (answer->status / 100 == 2 || answer->status == also_fine) return answer->body;
  return absl::FailedPreconditionError(
      Concat("the proxy answered ", answer->status, ": ", answer->body.substr(0, 300)));
}

bool Client::Answers() const { return Ask("GET", "/version", "").ok(); }

absl::StatusOr<std::vector<std::string>> Client::Proxies() const {
  const absl::StatusOr<std::string> body = Ask("GET", "/proxies", "");
  if (!body.ok()) return body.status();
  const nlohmann::json all = nlohmann::json::parse(*body, nullptr, false);
  if (!all.is_object()) return absl::DataLossError("the proxy's list is no JSON object");
  std::vector<std::string> names;
  for (const auto& [name, proxy] : all.items()) names.push_back(name);
  return names;
}

absl::Status Client::AddToxic(const std::string& proxy, const std::string& toxic) const {
  return Ask("POST", Concat("/proxies/", proxy, "/toxics"), toxic).status();
}

absl::Status Client::RemoveToxic(const std::string& proxy, const std::string& name) const {
  return Ask("DELETE", Concat("/proxies/", proxy, "/toxics/", name), "", 404).status();
}

absl::Status Client::Enable(const std::string& proxy, bool enabled) const {
  return Ask("PATCH", Concat("/proxies/", proxy), enabled ? R"({"enabled":true})" : R"({"enabled":false})").status();
}

}  // namespace lab::proxy
