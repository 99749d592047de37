#pragma once

#include <string>
#include <string_view>

namespace lab::redis {

// The SHA-1 digest of `text` as 40 lower-case hex digits (FIPS 180-4, section 6.1): the name under which Redis knows a
// script. Here it is a name, not a protection: SHA-1 has been broken for that.
std::string Sha1Hex(std::string_view text);

}  // namespace lab::redis
