#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// Writing JSON without a library: enough for a log line, a span or an error body. Who reads JSON uses nlohmann/json.
namespace lab {

// The bytes of the UTF-8 sequence that `text` begins with (RFC 3629: no overlong forms, no surrogates, at most
// U+10FFFF); 0 when it is none, or empty.
size_t Utf8Length(std::string_view text);

// Appends `text` as a JSON string with its quotes. Always valid JSON: control characters are escaped, bytes that are
// not UTF-8 become U+FFFD.
void AppendJson(std::string& out, std::string_view text);
std::string JsonString(std::string_view text);

// A number as JSON: the shortest text that reads back the same; infinities and NaN, which JSON lacks, as null.
std::string JsonNumber(double value);

}  // namespace lab
