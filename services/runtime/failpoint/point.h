#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace lab::failpoint {

// What an armed failpoint does to the operation that comes by (after FreeBSD's fail(9) and libfiu).
enum class Action {
  kNone,
  kCrash,             // the process ends at once, as by kill -9: nothing is flushed, nobody is told
  kDelay,             // the operation waits, the thread does not
  kError,             // a definite failure: the effect does not happen, and the caller is told so
  kApplyThenTimeout,  // the effect happens, the caller gets DEADLINE_EXCEEDED: for it, it may have happened or not
};

std::string_view ActionName(Action action);  // "apply-then-timeout"; "none"
// INVALID_ARGUMENT with the nearest right name.
absl::StatusOr<Action> ParseAction(std::string_view name);

enum class Side { kBefore, kAfter };

// The adapter's own metrics that show what its callers got from each action, so that who armed a failpoint need not
// believe its counter alone; "" where the adapter has none.
struct Evidence {
  const char* error = "";     // a counter: "redis_operations_total{outcome=\"rejected\"}"
  const char* timeout = "";   // a counter
  const char* duration = "";  // a histogram: "redis_operation_duration_seconds"
};

// A place in an adapter right before or right after an effect on the world. Defined at namespace scope beside the code
// of the effect, with text that lives as long as the program: making one enters it into the list of this program, so
// that the list is what is linked and never what somebody remembered to write down. Nothing changes the list once main
// has begun.
class Point {
 public:
  Point(const char* name, const char* adapter, Side side, const char* doc, Evidence evidence = {});
  Point(const Point&) = delete;
  Point& operator=(const Point&) = delete;

  std::string_view name() const { return name_; }        // "redis.script.before"
  std::string_view adapter() const { return adapter_; }  // "redis"
  Side side() const { return side_; }
  std::string_view doc() const { return doc_; }  // one sentence
  const Evidence& evidence() const { return evidence_; }
  size_t index() const { return index_; }  // 0 … number of points - 1

  // Before the effect: crash, delay, error. After it: crash, delay, apply-then-timeout.
  std::vector<Action> actions() const;
  bool Takes(Action action) const;

 private:
  friend const std::vector<const Point*>& AllPoints();

  const char* const name_;
  const char* const adapter_;
  const Side side_;
  const char* const doc_;
  const Evidence evidence_;
  const size_t index_;
  const Point* const next_;
};

// All points of this program, by name.
const std::vector<const Point*>& AllPoints();
// NOT_FOUND with the nearest right name.
absl::StatusOr<const Point*> FindPoint(std::string_view name);

// {"name":…,"adapter":…,"side":"before","actions":[…],"doc":…,"evidence":{"error":…,"timeout":…,"duration":…}} without
// its closing brace, so that a state can be added.
std::string OpenJson(const Point& point);
// A JSON list of all points, one a line: what `--print-failpoints` of a service prints.
std::string PointsJson();
// The rows of the README's table: "| `redis.script.before` | crash, delay, error | … |".
std::string PointsMarkdown();

}  // namespace lab::failpoint
