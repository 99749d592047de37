#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

// Line charts as inline SVG: no script, colours and fonts by the CSS classes of the page (bench/ui/web/src/*.css), so
// that one chart fits light, dark and paper. Every line also has a dash pattern of its own: colour is never the only
// sign.
namespace lab::bench {

// Around a point. An open one is known to reach `high` and may reach anything above: an arrow instead of a cap.
struct ChartInterval {
  double low = 0, high = 0;
  bool open = false;
};

struct ChartLine {
  std::string name;
  std::string css;                       // "p99", "offered": class "line-p99"
  std::vector<std::optional<double>> y;  // at Chart::x; absent breaks the line
  // Beside y: an interval around each point, drawn as a whisker with a dot at y. Empty: a line without points.
  std::vector<std::optional<ChartInterval>> intervals = {};
  // Beside y: the value is at least y, drawn as a hollow dot. Shorter: exact from there on.
  std::vector<bool> at_least = {};
  bool joined = true;  // false: points only
  double shift = 0;    // to the right, so that whiskers of several lines stand beside each other
};

// What one would expect, as a thin dashed line through these points.
struct ChartGuide {
  std::vector<std::pair<double, double>> points;
  std::string label;  // at its last point
};

// A fault: from begin to end; without an end a mark at its begin.
struct ChartBand {
  double begin = 0;
  std::optional<double> end;
  std::string label;
};

// A vertical division: where a phase begins, with its name below the axis.
struct ChartPhase {
  double begin = 0, end = 0;
  std::string name;
};

struct ChartLevel {
  double y = 0;
  std::string label;
};

struct Chart {
  std::string description;  // what it shows in one or two sentences, for those who do not see it
  std::vector<double> x;    // seconds, or places of a spectrum
  std::vector<ChartLine> lines;
  std::vector<ChartBand> bands;
  std::vector<ChartPhase> phases;
  std::vector<ChartLevel> levels;  // limits, as dashed horizontals
  std::vector<std::pair<double, std::string>> x_ticks;
  std::vector<std::pair<double, std::string>> y_ticks;
  double x_min = 0, x_max = 1, y_min = 0, y_max = 1;
  bool log_y = false;
  std::vector<ChartGuide> guides;
  std::string x_title;       // below the axis
  std::string clipped_unit;  // a line above y_max is cut and its peak written: "64k/s"
};

std::string RenderSvg(const Chart& chart);
// What stands in a legend for both: a hollow dot, and the arrow of an open whisker.
std::string AtLeastSign();

// Powers of ten from below `min_s` to above `max_s` with their labels ("100 µs"); at least two.
std::vector<std::pair<double, std::string>> LatencyTicks(double min_s, double max_s);
// Steps of 1, 2 and 5 in the unit in which such a quantity is read ("20 ms", "4 MiB", "150 %"): logarithmic ones from
// below `min`, which is positive, to above `max`; or even ones from 0, or from below a negative `min`, to above `max`.
std::vector<std::pair<double, std::string>> QuantityTicks(double min, double max, const std::string& unit, bool log);
// Round steps from 0 to `max`, at most six.
std::vector<std::pair<double, std::string>> NumberTicks(double max);
// Round seconds from 0 to `end`, at most eight.
std::vector<std::pair<double, std::string>> SecondTicks(double end);

}  // namespace lab::bench
