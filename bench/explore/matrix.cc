#include "bench/explore/matrix.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "bench/explore/race.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/strict_yaml.h"
#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

constexpr size_t kMostBytes = 1 << 20;

// "open, because …", "closed, …" or "untried, …".
Cell ReadCell(const yaml::Value& value) {
  const std::string text = value.String();
  const size_t comma = text.find(", ");
  const std::string word = text.substr(0, comma);
  if (comma == std::string::npos || (word != "open" && word != "closed" && word != "untried")) {
    value.Error("a cell is \"open, …\", \"closed, …\" or \"untried, …\", with the reason behind the comma");
    return {};
  }
  return {word == "open", word != "untried", text.substr(comma + 2)};
}

Row ReadRow(const yaml::Value& mode) {
  Row row;
  for (const auto& [key, cell] : mode.Entries()) {
    int number = 0;
    if (!absl::SimpleAtoi(key, &number) || RaceOf(number).number == 0) {
      cell.Error(Concat("\"", key, "\" is no race that schedules can show"));
      continue;
    }
    row[number] = ReadCell(cell);
  }
  std::vector<int> missing;
  for (const Race& race : Races()) {
    if (row.count(race.number) == 0) missing.push_back(race.number);
  }
  if (!missing.empty()) mode.Error(Concat("has no cell for race ", absl::StrJoin(missing, ", ")));
  return row;
}

}  // namespace

absl::StatusOr<Matrix> ParseMatrix(const std::string& text, const std::string& file) {
  yaml::Document document(text, file);
  const yaml::Value root = document.root();
  if (!document.ok()) return document.status();
  Matrix matrix;
  for (const auto& [name, mode] : root.Required("modes").Entries()) matrix[name] = ReadRow(mode);
  root.Finish();
  if (!document.ok()) return document.status();
  return matrix;
}

absl::StatusOr<Matrix> LoadMatrix(const std::string& file) {
  const absl::StatusOr<std::string> text = ReadFile(file, kMostBytes);
  if (!text.ok()) return text.status();
  return ParseMatrix(*text, file);
}

}  // namespace lab::bench::explore
