#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Small helpers that all forms of a report share. Pure.
namespace lab::bench {

// For HTML text and attribute values: & < > " ' and control characters; invalid UTF-8 becomes U+FFFD.
std::string EscapeHtml(std::string_view text);
// For a cell of a Markdown table: pipes, line ends, backslashes, and what would start markup or HTML.
std::string EscapeMarkdown(std::string_view text);
// Without control characters (a terminal would obey them); invalid UTF-8 becomes U+FFFD.
std::string PrintableText(std::string_view text);

// 4000 → "4,000".
std::string WithCommas(uint64_t value);
// A rate or count for an axis or a cell: 64000 → "64k", 0.5 → "0.5".
std::string ShortNumber(double value);
// A place on the timeline: 12.503 → "12.503 s".
std::string AtSeconds(double seconds);

// Columns that UTF-8 `text` takes on a terminal (code points; combining marks take none).
int DisplayWidth(std::string_view text);
std::string PadRight(std::string_view text, int width);
std::string PadLeft(std::string_view text, int width);
// At most `width` columns, the last being "…" where something was cut.
std::string Truncate(std::string_view text, int width);
// Words of `text` on lines of at most `width` columns; the second and later ones begin with `indent` blanks.
std::string Wrap(const std::string& text, int width, int indent);
// One argument as a POSIX shell wants it: quoted only where needed.
std::string ShellQuote(std::string_view argument);
// A command of the runner as it can be pasted into a shell, with the seed that was used; "" of none.
std::string CommandLine(const std::vector<std::string>& command, uint64_t seed);

}  // namespace lab::bench
