#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bench/load/http_head.h"
#include "services/runtime/http/message.h"

// Both ends of HTTP: the head of an answer as the generator reads it, and the target of a request as a service does.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto head = lab::bench::ParseHttpHead(text);
  if (head.ok() && head->body_bytes > lab::bench::kMaxHttpBodyBytes) __builtin_trap();
  const auto target = lab::http::ParseTarget(text.substr(0, text.find('\n')));
  if (target && target->path.find('\0') != std::string::npos) __builtin_trap();
  return 0;
}
