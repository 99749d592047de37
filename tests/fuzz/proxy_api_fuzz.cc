#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "bench/proxy/command.h"

// A request to the fault proxy, "METHOD path\nbody": a command, or an error with a status of HTTP.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::string_view method = line.substr(0, line.find(' '));
  const std::string_view path = line.substr(std::min(method.size() + 1, line.size()));
  const std::string body(text.substr(std::min(line.size() + 1, text.size())));
  const auto read = lab::proxy::ParseCommand(method, path, body);
  if (const auto* error = std::get_if<lab::proxy::ApiError>(&read)) {
    if (error->status < 400 || error->status > 599) __builtin_trap();
    return 0;
  }
  for (const lab::proxy::ToxicKind& kind : lab::proxy::ToxicKinds()) lab::proxy::ParseToxicUpdate(kind, body);
  return 0;
}
