#include "services/cacheapi/edge/json_body.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace lab::cacheapi {

nlohmann::json ParseBody(const std::string& body) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::set<std::string>> open;  // objects: the names that have been seen
  bool twice = false;
  const auto look = [&](int, Event event, nlohmann::json& parsed) {
    if (event == Event::object_start) open.emplace_back();
    if (event == Event::object_end) open.pop_back();
    if (event == Event::key) twice = !open.back().insert(parsed.get<std::string>()).second || twice;
    return true;
  };
  nlohmann::json json = nlohmann::json::parse(body, look, false);
  return twice ? nlohmann::json(nlohmann::json::value_t::discarded) : json;
}

}  // namespace lab::cacheapi
