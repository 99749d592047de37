#include "bench/report/text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_format.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Walks over `text`: `visit` gets each valid sequence, or kReplacement for a byte that belongs to none.
template <typename Visit>
void ForEachCharacter(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    visit(length == 0 ? kReplacement : text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

bool IsControl(std::string_view character) {
  if (character.size() == 1) {
    const auto c = static_cast<unsigned char>(character[0]);
    return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
  }
  // U+0080 … U+009F: a terminal may take these as escape sequences too.
  return character.size() == 2 && character[0] == '\xC2' && static_cast<unsigned char>(character[1]) < 0xA0;
}

bool IsCombining(std::string_view character) {
  // U+0300 … U+036F, and the Arabic marks U+064B … U+065F.
  if (character.size() != 2) return false;
  const auto first = static_cast<unsigned char>(character[0]);
  const auto second = static_cast<unsigned char>(character[1]);
  return first == 0xCC || (first == 0xCD && second <= 0xAF) || (first == 0xD9 && second >= 0x8B && second <= 0x9F);
}

std::string Digits(double value) {
  const double magnitude = std::fabs(value);
  if (magnitude >= 100 || value == std::round(value)) return absl::StrFormat("%.0f", value);
  return absl::StrFormat("%.*f", magnitude >= 10 ? 0 : 1, value);
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  ForEachCharacter(text, [&](std::string_view c) {
    if (c == "&") {
      out += "&amp;";
    } else if (c == "<") {
      out += "&lt;";
    } else if (c == ">") {
      out += "&gt;";
    } else if (c == "\"") {
      out += "&quot;";
    } else if (c == "'") {
      out += "&#39;";
    } else if (IsControl(c)) {
      out += kReplacement;
    } else {
      out += c;
    }
  });
  return out;
}

std::string EscapeMarkdown(std::string_view text) {
  std::string out;
  ForEachCharacter(text, [&](std::string_view c) {
    if (c == "\n" || c == "\t") {
      out += ' ';
    } else if (c == "<" || c == ">") {
      out += c == "<" ? "&lt;" : "&gt;";
    } else if (c == "&") {
      out += "&amp;";
    } else if (c == "|" || c == "\\" || c == "`" || c == "*" || c == "_" || c == "[" || c == "]") {
      out += '\\';
      out += c;
    } else if (IsControl(c)) {
      out += kReplacement;
    } else {
      out += c;
    }
  });
  return out;
}

std::string PrintableText(std::string_view text) {
  std::string out;
  ForEachCharacter(text, [&](std::string_view c) {
    if (c == "\n" || c == "\t") {
      out += ' ';
    } else {
      out += IsControl(c) ? kReplacement : c;
    }
  });
  return out;
}

std::string WithCommas(uint64_t value) {
  std::string digits = std::to_string(value);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(at, 1, ',');
  return digits;
}

std::string ShortNumber(double value) {
  if (!std::isfinite(value)) return "–";
  const double magnitude = std::fabs(value);
  if (magnitude >= 1e6) return Digits(value / 1e6) + "M";
  if (magnitude >= 1e4) return Digits(value / 1e3) + "k";
  if (magnitude >= 1000)
    return Concat(value < 0 ? "-" : "", WithCommas(static_cast<uint64_t>(std::llround(magnitude))));
  return Digits(value);
}

std::string AtSeconds(double seconds) { return absl::StrFormat("%.3f s", seconds); }

int DisplayWidth(std::string_view text) {
  int width = 0;
  ForEachCharacter(text, [&](std::string_view c) { width += IsCombining(c) ? 0 : 1; });
  return width;
}

std::string PadRight(std::string_view text, int width) {
  return Concat(text, std::string(std::max(0, width - DisplayWidth(text)), ' '));
}

std::string PadLeft(std::string_view text, int width) {
  return Concat(std::string(std::max(0, width - DisplayWidth(text)), ' '), text);
}

std::string Truncate(std::string_view text, int width) {
  if (width <= 0) return "";
  if (DisplayWidth(text) <= width) return std::string(text);
  std::string out;
  int taken = 0;
  ForEachCharacter(text, [&](std::string_view c) {
    const int columns = IsCombining(c) ? 0 : 1;
    if (taken + columns > width - 1) taken = width;  // nothing fits any more, not even a narrower one behind it
    if (taken < width) {
      out += c;
      taken += columns;
    }
  });
  return out + "…";
}

std::string Wrap(const std::string& text, int width, int indent) {
  std::string out, line;
  size_t at = 0;
  bool first = true;
  while (at <= text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!first && DisplayWidth(line) + 1 + DisplayWidth(word) > width) {
      absl::StrAppend(&out, line, "\n");
      line = std::string(indent, ' ') + word;
    } else {
      absl::StrAppend(&line, first ? "" : " ", word);
    }
    first = false;
    at = end + 1;
  }
  return absl::StrCat(out, line, "\n");
}

std::string ShellQuote(std::string_view argument) {
  constexpr std::string_view kSafe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+";
  if (!argument.empty() && argument.find_first_not_of(kSafe) == std::string_view::npos) return std::string(argument);
  std::string out = "'";
  for (const char c : argument) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string CommandLine(const std::vector<std::string>& command, uint64_t seed) {
  std::string line;
  bool seeded = false;
  for (const std::string& argument : command) {
    // The runner is started by the script `lab`; that is what a reader has.
    absl::StrAppend(&line, line.empty() ? "./lab" : Concat(" ", ShellQuote(argument)));
    seeded = seeded || argument.starts_with("--seed");
  }
  if (!seeded && !line.empty()) absl::StrAppend(&line, " --seed ", seed);
  return line;
}

}  // namespace lab::bench
