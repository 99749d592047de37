#include <cstddef>
#include <cstdint>
#include <string>

#include "services/ratelimit/rules_file.h"

// Rules come from files that operators write: whatever is in one is a rule set or a message, never a crash.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto rules = lab::ratelimit::ParseRules({{"rules.yaml", text}}, {});
  if (!rules.ok() && rules.status().message().find("rules.yaml") == absl::string_view::npos) __builtin_trap();
  return 0;
}
