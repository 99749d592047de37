#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace lab::cacheapi {

// The body of a request; "discarded" where it is no JSON, or an object in it names a member twice: which of the two is
// meant nobody can tell (RFC 8259, 4).
nlohmann::json ParseBody(const std::string& body);

}  // namespace lab::cacheapi
