#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace lab::bench {

// Indented, but a list of numbers stays on one line: a person can read the file and a diff of two is short.
std::string PrettyJson(const nlohmann::ordered_json& json);

}  // namespace lab::bench
