#include "services/runtime/failpoint/point.h"

#include <algorithm>
#include <array>

#include "services/runtime/base/json.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::failpoint {
namespace {

// Written by the constructors of points only, before main; initialised before any of them runs.
constinit const Point* newest = nullptr;
constinit size_t count = 0;

constexpr std::array<std::string_view, 5> kActionNames = {"none", "crash", "delay", "error", "apply-then-timeout"};

std::string ActionList(const Point& point, std::string_view open, std::string_view close) {
  std::string out;
  for (const Action action : point.actions()) {
    out += Concat(out.empty() ? "" : ", ", open, ActionName(action), close);
  }
  return out;
}

}  // namespace

std::string_view ActionName(Action action) { return kActionNames[static_cast<size_t>(action)]; }

absl::StatusOr<Action> ParseAction(std::string_view name) {
  for (size_t i = 1; i < kActionNames.size(); ++i) {
    if (kActionNames[i] == name) return static_cast<Action>(i);
  }
  const std::vector<std::string> known(kActionNames.begin() + 1, kActionNames.end());
  return absl::InvalidArgumentError(Concat("unknown action ", JsonString(name), Suggestion(name, known)));
}

Point::Point(const char* name, const char* adapter, Side side, const char* doc, Evidence evidence)
    : name_(name), adapter_(adapter), side_(side), doc_(doc), evidence_(evidence), index_(count++), next_(newest) {
  newest = this;
}

std::vector<Action> Point::actions() const {
  if (side_ == Side::kBefore) return {Action::kCrash, Action::kDelay, Action::kError};
  return {Action::kCrash, Action::kDelay, Action::kApplyThenTimeout};
}

bool Point::Takes(Action action) const {
  const std::vector<Action> all = actions();
  return std::find(all.begin(), all.end(), action) != all.end();
}

const std::vector<const Point*>& AllPoints() {
  static const std::vector<const Point*> points = [] {
    std::vector<const Point*> all;
    for (const Point* point = newest; point != nullptr; point = point->next_) all.push_back(point);
    std::sort(all.begin(), all.end(), [](const Point* a, const Point* b) { return a->name() < b->name(); });
    return all;
  }();
  return points;
}

absl::StatusOr<const Point*> FindPoint(std::string_view name) {
  std::vector<std::string> known;
  for (const Point* point : AllPoints()) {
    if (point->name() == name) return point;
    known.emplace_back(point->name());
  }
  return absl::NotFoundError(Concat("unknown failpoint ", JsonString(name), Suggestion(name, known)));
}

std::string OpenJson(const Point& point) {
  const Evidence& evidence = point.evidence();
  return Concat("{\"name\":", JsonString(point.name()), ",\"adapter\":", JsonString(point.adapter()), ",\"side\":\"",
                point.side() == Side::kBefore ? "before" : "after", "\",\"actions\":[", ActionList(point, "\"", "\""),
                "],\"doc\":", JsonString(point.doc()), ",\"evidence\":{\"error\":", JsonString(evidence.error),
                ",\"timeout\":", JsonString(evidence.timeout), ",\"duration\":", JsonString(evidence.duration), "}");
}

std::string PointsJson() {
  std::string out = "[";
  for (const Point* point : AllPoints()) out += Concat(out.size() > 1 ? ",\n " : "", OpenJson(*point), "}");
  return out + "]\n";
}

std::string PointsMarkdown() {
  std::string out;
  for (const Point* point : AllPoints()) {
    out += Concat("| `", point->name(), "` | ", ActionList(*point, "", ""), " | ", point->doc(), " |\n");
  }
  return out;
}

}  // namespace lab::failpoint
