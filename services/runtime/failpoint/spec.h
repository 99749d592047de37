#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/runtime/base/time.h"
#include "services/runtime/failpoint/point.h"

namespace lab::failpoint {

// How a point is armed. Of the operations that come by, those that the filter takes are counted; every `every`-th of
// them is hit with the probability `share`; after `times` hits, or when its time is over, the point disarms itself.
struct Spec {
  Action action = Action::kNone;
  Nanos delay{};          // of kDelay
  double share = 1;       // (0, 1]
  int64_t every = 1;      // 1 …
  int64_t times = 0;      // 0: no bound
  std::string operation;  // only operations of this name ("GET", a script's name, "/package.Service/Method"); "": any
  Nanos lasts{};          // 0: until disarmed
};

// From names and values as a query string or an option list gives them: `action`, `delay`, `share`, `every`, `times`,
// `operation`, `for`. Everything wrong at once as INVALID_ARGUMENT, with the nearest right name, also what this point
// does not take.
absl::StatusOr<Spec> ParseSpec(const Point& point, const std::map<std::string, std::string>& options);
// The same without a point, for who arms those of another program.
absl::StatusOr<Spec> ParseSpec(const std::map<std::string, std::string>& options);

// The same from the text of a configuration field: "ACTION [name=value]…", as "delay delay=20ms share=0.1 for=2s".
absl::StatusOr<Spec> ParseSpecText(const Point& point, std::string_view text);
// What ParseSpecText reads back.
std::string SpecText(const Spec& spec);

}  // namespace lab::failpoint
