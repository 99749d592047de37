#include "bench/report/chart.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/judge/judge.h"
#include "bench/report/text.h"

namespace lab::bench {
namespace {

// In the units of the view box; the page scales it.
constexpr double kWidth = 520, kLeft = 58, kRight = 12, kPlotHeight = 190;
constexpr double kTicks = 24, kPhaseNames = 20;  // heights below the plot
constexpr double kLabelRow = 17;
// Of the labels of bands (bold) and phases; generous, for the font is larger on narrow screens.
constexpr double kCharWidth = 7.6, kPhaseCharWidth = 6.4;

std::string Num(double value) {
  std::string text = absl::StrFormat("%.1f", value);
  if (text.size() > 2 && text.substr(text.size() - 2) == ".0") text.resize(text.size() - 2);
  return text;
}

constexpr double kArrow = 9;  // how far an open whisker goes beyond what is known
constexpr const char* kCap = "m-4 0h8";
constexpr const char* kArrowHead = "m-3.5 4.5l3.5-4.5l3.5 4.5";

// A hollow one lies on a disc of the page's colour: the classes of the page have no fill for it.
std::string Dot(const std::string& css, const std::string& x, const std::string& y, bool hollow) {
  const std::string place = absl::StrCat("cx=\"", x, "\" cy=\"", y, "\" r=\"3.4\"/>");
  if (!hollow) return absl::StrCat("<circle class=\"dot dot-", css, "\" ", place);
  return absl::StrCat("<circle fill=\"Canvas\" ", place, "<circle class=\"whisker line-", css, "\" ", place);
}

class Svg {
 public:
  explicit Svg(const Chart& chart) : chart_(chart) { PlaceLabels(); }

  std::string Render() {
    const bool named = !chart_.phases.empty() || !chart_.x_title.empty();
    const double height = Bottom() + kTicks + (named ? kPhaseNames : 0);
    std::string out = absl::StrCat("<svg viewBox=\"0 0 ", Num(kWidth), " ", Num(height),
                                   "\" role=\"img\" aria-label=\"", EscapeHtml(chart_.description), "\">\n");
    Grid(out);
    Bands(out);
    Levels(out);
    for (const ChartGuide& guide : chart_.guides) Guide(guide, out);
    for (const ChartLine& line : chart_.lines) Line(line, out);
    Clipped(out);
    absl::StrAppend(&out, "<path class=\"axis\" d=\"M", Num(kLeft), " ", Num(Bottom()), "H", Num(kWidth - kRight),
                    "\"/>\n</svg>\n");
    return out;
  }

 private:
  double Top() const { return 6 + rows_ * kLabelRow; }
  double Bottom() const { return Top() + kPlotHeight; }

  double X(double value) const {
    const double share = (value - chart_.x_min) / std::max(1e-9, chart_.x_max - chart_.x_min);
    return kLeft + std::clamp(share, 0.0, 1.0) * (kWidth - kLeft - kRight);
  }

  double Y(double value) const {
    double share = 0;
    if (chart_.log_y) {
      const double low = std::log10(chart_.y_min);
      share = value <= 0 ? 0 : (std::log10(value) - low) / std::max(1e-9, std::log10(chart_.y_max) - low);
    } else {
      share = (value - chart_.y_min) / std::max(1e-9, chart_.y_max - chart_.y_min);
    }
    return Bottom() - std::clamp(share, 0.0, 1.0) * kPlotHeight;
  }

  // Labels of faults that are close in time go into rows of their own above the plot.
  void PlaceLabels() {
    std::vector<double> row_ends;
    for (const ChartBand& band : chart_.bands) {
      const double width = DisplayWidth(band.label) * kCharWidth;
      double at = X(band.begin);
      const bool at_end = at + width > kWidth;
      if (at_end) at = kWidth - width;
      size_t row = 0;
      while (row < row_ends.size() && row_ends[row] + 6 > at) ++row;
      if (row == row_ends.size()) row_ends.push_back(0);
      row_ends[row] = at + width;
      labels_.push_back({at_end ? kWidth : at, static_cast<int>(row), at_end});
    }
    rows_ = static_cast<int>(row_ends.size());
  }

  void Grid(std::string& out) const {
    for (const auto& [value, label] : chart_.y_ticks) {
      const std::string y = Num(Y(value));
      absl::StrAppend(&out, "<path class=\"grid\" d=\"M", Num(kLeft), " ", y, "H", Num(kWidth - kRight), "\"/>",
                      "<text class=\"tick\" text-anchor=\"end\" x=\"", Num(kLeft - 7), "\" y=\"", Num(Y(value) + 4),
                      "\">", EscapeHtml(label), "</text>\n");
    }
    for (const auto& [value, label] : chart_.x_ticks) {
      absl::StrAppend(&out, "<path class=\"axis\" d=\"M", Num(X(value)), " ", Num(Bottom()), "v4\"/>",
                      "<text class=\"tick\" text-anchor=\"middle\" x=\"", Num(X(value)), "\" y=\"", Num(Bottom() + 18),
                      "\">", EscapeHtml(label), "</text>\n");
    }
    if (!chart_.x_title.empty()) {
      absl::StrAppend(&out, "<text class=\"x-title\" text-anchor=\"middle\" x=\"", Num((kLeft + kWidth - kRight) / 2),
                      "\" y=\"", Num(Bottom() + 37), "\">", EscapeHtml(chart_.x_title), "</text>\n");
    }
    for (const ChartPhase& phase : chart_.phases) {
      const double begin = X(phase.begin), width = X(phase.end) - begin;
      if (phase.begin > chart_.x_min) {
        absl::StrAppend(&out, "<path class=\"phase\" d=\"M", Num(begin), " ", Num(Top()), "V", Num(Bottom() + 38),
                        "\"/>");
      }
      if (DisplayWidth(phase.name) * kPhaseCharWidth > width) continue;  // the table below names it
      absl::StrAppend(&out, "<text class=\"phase-name\" text-anchor=\"middle\" x=\"", Num(begin + width / 2), "\" y=\"",
                      Num(Bottom() + 36), "\">", EscapeHtml(phase.name), "</text>\n");
    }
  }

  void Bands(std::string& out) const {
    for (size_t i = 0; i < chart_.bands.size(); ++i) {
      const ChartBand& band = chart_.bands[i];
      const double begin = X(band.begin);
      const auto [at, row, at_end] = labels_[i];
      const double label_y = 14 + row * kLabelRow;
      if (band.end) {
        absl::StrAppend(&out, "<rect class=\"fault\" x=\"", Num(begin), "\" y=\"", Num(Top()), "\" width=\"",
                        Num(std::max(1.5, X(*band.end) - begin)), "\" height=\"", Num(kPlotHeight), "\"/>");
      }
      absl::StrAppend(&out, "<path class=\"fault-edge\" d=\"M", Num(begin), " ", Num(label_y + 4), "V", Num(Bottom()),
                      "\"/>", "<text class=\"fault-name\" text-anchor=\"", at_end ? "end" : "start", "\" x=\"", Num(at),
                      "\" y=\"", Num(label_y), "\">", EscapeHtml(band.label), "</text>\n");
    }
  }

  void Levels(std::string& out) const {
    for (const ChartLevel& level : chart_.levels) {
      if (level.y < chart_.y_min || level.y > chart_.y_max) continue;
      absl::StrAppend(&out, "<path class=\"level\" d=\"M", Num(kLeft), " ", Num(Y(level.y)), "H", Num(kWidth - kRight),
                      "\"/>", "<text class=\"level-name\" text-anchor=\"end\" x=\"", Num(kWidth - kRight - 4),
                      "\" y=\"", Num(Y(level.y) - 5), "\">", EscapeHtml(level.label), "</text>\n");
    }
  }

  void Guide(const ChartGuide& guide, std::string& out) const {
    std::string path;
    for (const auto& [x, y] : guide.points) {
      absl::StrAppend(&path, path.empty() ? "M" : "L", Num(X(x)), " ", Num(Y(y)));
    }
    if (path.empty()) return;
    absl::StrAppend(&out, "<path class=\"guide\" d=\"", path, "\"/><text class=\"guide-name\" text-anchor=\"end\" x=\"",
                    Num(X(guide.points.back().first) - 4), "\" y=\"", Num(Y(guide.points.back().second) + 16), "\">",
                    EscapeHtml(guide.label), "</text>\n");
  }

  void Whiskers(const ChartLine& line, std::string& out) const {
    for (size_t i = 0; i < line.intervals.size() && i < line.y.size() && i < chart_.x.size(); ++i) {
      if (!line.y[i]) continue;
      const std::string x = Num(X(chart_.x[i]) + line.shift);
      if (line.intervals[i]) {
        const auto& [low, high, open] = *line.intervals[i];
        const double top = Y(high) - (open ? kArrow : 0);
        absl::StrAppend(&out, "<path class=\"whisker line-", line.css, "\" d=\"M", x, " ", Num(Y(low)), "V", Num(top),
                        "M", x, " ", Num(Y(low)), "m-4 0h8M", x, " ", Num(top), open ? kArrowHead : kCap, "\"/>");
      }
      const bool hollow = i < line.at_least.size() && line.at_least[i];
      out += Dot(line.css, x, Num(Y(*line.y[i])), hollow);
      out += "\n";
    }
  }

  void Line(const ChartLine& line, std::string& out) const {
    Path(line, out);
    Whiskers(line, out);  // above the line, which a hollow dot is not to show
  }

  void Path(const ChartLine& line, std::string& out) const {
    if (!line.joined) return;
    std::string path;
    bool pen_down = false;
    for (size_t i = 0; i < line.y.size() && i < chart_.x.size(); ++i) {
      if (!line.y[i]) {
        pen_down = false;
        continue;
      }
      const bool alone = !pen_down && (i + 1 >= line.y.size() || !line.y[i + 1]);
      absl::StrAppend(&path, pen_down ? "L" : "M", Num(X(chart_.x[i]) + line.shift), " ", Num(Y(*line.y[i])));
      if (alone) absl::StrAppend(&path, "h1");  // a lonely point would not be drawn
      pen_down = true;
    }
    if (!path.empty()) absl::StrAppend(&out, "<path class=\"line line-", line.css, "\" d=\"", path, "\"/>\n");
  }

  // What is above the axis is cut there; its highest value is written where it was.
  void Clipped(std::string& out) const {
    if (chart_.clipped_unit.empty()) return;
    double peak = chart_.y_max;
    size_t at = 0;
    for (const ChartLine& line : chart_.lines) {
      for (size_t i = 0; i < line.y.size() && i < chart_.x.size(); ++i) {
        if (line.y[i].value_or(0) <= peak) continue;
        peak = *line.y[i];
        at = i;
      }
    }
    if (peak <= chart_.y_max) return;
    const bool right_half = X(chart_.x[at]) > kWidth - 110;
    absl::StrAppend(&out, "<text class=\"clipped\" text-anchor=\"", right_half ? "end" : "start", "\" x=\"",
                    Num(X(chart_.x[at]) + (right_half ? -6 : 6)), "\" y=\"", Num(Top() + 13), "\">▲ ",
                    EscapeHtml(ShortNumber(peak) + chart_.clipped_unit), "</text>\n");
  }

  struct LabelPlace {
    double at;
    int row;
    bool at_end;  // the text ends there, rather than begins
  };
  const Chart& chart_;
  std::vector<LabelPlace> labels_;
  int rows_ = 0;
};

double RoundStep(double at_least) {
  const double power = std::pow(10, std::floor(std::log10(std::max(at_least, 1e-9))));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= at_least * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

}  // namespace

std::string RenderSvg(const Chart& chart) { return Svg(chart).Render(); }

std::string AtLeastSign() {
  return absl::StrCat("<svg viewBox=\"0 0 34 10\" aria-hidden=\"true\">", Dot("lane4", "10", "5", true),
                      "<path class=\"whisker line-lane4\" d=\"M24 10V0.5", kArrowHead, "\"/></svg>");
}

std::vector<std::pair<double, std::string>> LatencyTicks(double min_s, double max_s) {
  static constexpr std::pair<double, const char*> kDecades[] = {
      {1e-6, "1 µs"},   {1e-5, "10 µs"}, {1e-4, "100 µs"}, {1e-3, "1 ms"}, {1e-2, "10 ms"},
      {1e-1, "100 ms"}, {1, "1 s"},      {10, "10 s"},     {100, "100 s"}, {1000, "1000 s"}};
  constexpr size_t kCount = std::size(kDecades);
  size_t first = 0, last = kCount - 1;
  while (first + 1 < kCount && kDecades[first + 1].first <= min_s) ++first;
  while (last > first + 1 && kDecades[last - 1].first >= max_s) --last;
  std::vector<std::pair<double, std::string>> ticks;
  for (size_t i = std::min(first, kCount - 2); i <= last; ++i)
    ticks.emplace_back(kDecades[i].first, kDecades[i].second);
  return ticks;
}

namespace {

using Ticks = std::vector<std::pair<double, std::string>>;

// Bytes are read in powers of 1024, of which the steps of 1, 2 and 5 below one thousand are those that are read; all
// other units go in powers of ten. Beyond three of those the steps between them would be too many to read.
Ticks LogTicks(double min, double max, const std::string& unit) {
  const bool decades = std::log10(max / min) > 3;
  const std::vector<double> factors = decades ? std::vector<double>{1} : std::vector<double>{1, 2, 5};
  Ticks ticks;
  const auto add = [&](double from, double below, double scale) {
    for (double power = from; power < below * (1 - 1e-9); power *= 10) {
      for (const double factor : factors) {
        ticks.emplace_back(factor * power * scale, FormatQuantity(factor * power * scale, unit));
      }
    }
  };
  const double lowest = std::pow(10, std::floor(std::log10(min)) - 1);
  if (unit != "bytes") {
    add(lowest, max * 100, 1);
  } else {
    add(std::min(lowest, 1.0), 1000, 1);
    for (const double scale : {1024.0, 1048576.0}) add(1, 1000, scale);
    add(1, std::max(1000.0, max / 1073741824 * 100), 1073741824);
  }
  return ticks;
}

// In which multiple of its base unit a quantity of this size is read.
double DisplayUnit(double size, const std::string& unit) {
  if (unit == "s") return size < 1e-3 ? 1e-6 : size < 1 ? 1e-3 : 1;
  if (unit == "bytes") return size < 1024 ? 1 : size < 1048576 ? 1024 : size < 1073741824 ? 1048576 : 1073741824;
  return unit == "%" ? 0.01 : 1;
}

}  // namespace

std::vector<std::pair<double, std::string>> QuantityTicks(double min, double max, const std::string& unit, bool log) {
  Ticks ticks;
  if (!log) {
    const double below = std::min(min, 0.0), above = std::max(max, 0.0);
    const double scale = DisplayUnit(std::max(above, -below), unit);
    const double step = RoundStep(std::max((above - below) / scale, 1e-6) / 5) * scale;
    const int first = static_cast<int>(std::floor(below / step + 1e-9));
    const int last = static_cast<int>(std::ceil(above / step - 1e-9));
    for (int i = first; i <= std::max(first + 1, last); ++i) {
      ticks.emplace_back(i * step, FormatQuantity(i * step, unit));
    }
    return ticks;
  }
  ticks = LogTicks(min, max, unit);
  size_t first = 0, last = ticks.size() - 1;
  while (first + 1 < ticks.size() && ticks[first + 1].first <= min * (1 + 1e-9)) ++first;
  while (last > first + 1 && ticks[last - 1].first >= max * (1 - 1e-9)) --last;
  return {ticks.begin() + static_cast<int64_t>(first), ticks.begin() + static_cast<int64_t>(last) + 1};
}

std::vector<std::pair<double, std::string>> NumberTicks(double max) {
  const double step = RoundStep(std::max(max, 1.0) / 5);
  std::vector<std::pair<double, std::string>> ticks;
  for (int i = 0; i <= 6 && i * step <= std::max(max, 1.0) * (1 + 1e-9); ++i) {
    ticks.emplace_back(i * step, ShortNumber(i * step));
  }
  return ticks;
}

std::vector<std::pair<double, std::string>> SecondTicks(double end) {
  const double step = std::max(1.0, RoundStep(end / 7));
  std::vector<std::pair<double, std::string>> ticks;
  for (int i = 0; i <= 8 && i * step <= end * (1 + 1e-9); ++i) {
    ticks.emplace_back(i * step, absl::StrCat(ShortNumber(i * step), i == 0 ? "" : " s"));
  }
  return ticks;
}

}  // namespace lab::bench
