#include "bench/observe/metrics_text.h"

#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr size_t kMaxLine = 4096;

// Reads from the front of a line; every step may fail and then leaves the rest undefined.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : rest_(line) {}

  std::optional<std::string> Name() {
    size_t length = 0;
    while (length < rest_.size() &&
           (absl::ascii_isalnum(rest_[length]) || rest_[length] == '_' || rest_[length] == ':')) {
      ++length;
    }
    if (length == 0 || absl::ascii_isdigit(rest_[0])) return std::nullopt;
    std::string name(rest_.substr(0, length));
    rest_.remove_prefix(length);
    return name;
  }

  bool Labels(std::map<std::string, std::string>* labels) {
    if (!Skip('{')) return true;
    while (!Skip('}')) {
      Blanks();
      std::optional<std::string> name = Name();
      if (!name || !Skip('=')) return false;
      std::optional<std::string> value = Quoted();
      if (!value) return false;
      labels->emplace(*std::move(name), *std::move(value));
      Blanks();
      if (!Skip(',') && (rest_.empty() || rest_[0] != '}')) return false;
    }
    return true;
  }

  std::optional<double> Number() {
    Blanks();
    std::string_view text = rest_.substr(0, rest_.find_first_of(" \t"));
    double value = 0;
    if (absl::EqualsIgnoreCase(View(text), "nan")) return std::numeric_limits<double>::quiet_NaN();
    if (text == "+Inf") return std::numeric_limits<double>::infinity();
    if (!absl::SimpleAtod(View(text), &value)) return std::nullopt;
    return value;
  }

 private:
  void Blanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t')) rest_.remove_prefix(1);
  }

  bool Skip(char wanted) {
    if (rest_.empty() || rest_[0] != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::optional<std::string> Quoted() {
    if (!Skip('"')) return std::nullopt;
    std::string text;
    while (!rest_.empty() && rest_[0] != '"') {
      char next = rest_[0];
      rest_.remove_prefix(1);
      if (next == '\\') {
        if (rest_.empty()) return std::nullopt;
        next = rest_[0] == 'n' ? '\n' : rest_[0];
        rest_.remove_prefix(1);
      }
      text.push_back(next);
    }
    if (!Skip('"')) return std::nullopt;
    return text;
  }

  std::string_view rest_;
};

std::optional<MetricSample> ParseLine(std::string_view line) {
  MetricSample sample;
  LineReader reader(line);
  std::optional<std::string> name = reader.Name();
  if (!name || !reader.Labels(&sample.labels)) return std::nullopt;
  std::optional<double> value = reader.Number();
  if (!value) return std::nullopt;
  sample.name = *std::move(name);
  sample.value = *value;
  return sample;
}

}  // namespace

MetricsText ParseMetricsText(std::string_view text, size_t max_samples) {
  MetricsText result;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const absl::string_view stripped = absl::StripAsciiWhitespace(View(text.substr(0, end)));
    const std::string_view line(stripped.data(), stripped.size());
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line[0] == '#') continue;
    std::optional<MetricSample> sample;
    if (line.size() <= kMaxLine) sample = ParseLine(line);
    if (!sample) {
      ++result.malformed;
    } else if (!sample->name.ends_with("_bucket") && !std::isnan(sample->value)) {
      if (result.samples.size() == max_samples) {
        result.cut = true;
        break;
      }
      result.samples.push_back(*std::move(sample));
    }
  }
  return result;
}

}  // namespace lab::bench
