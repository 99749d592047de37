#include "services/runtime/pg/errors.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "services/runtime/base/text.h"

namespace lab::pg {
namespace {

bool StartsWith(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }

}  // namespace

Fault FaultOf(std::string_view sqlstate) {
  constexpr std::array<std::string_view, 4> kRefusing = {"25006", "57P01", "57P02", "57P03"};
  constexpr std::array<std::string_view, 4> kConflicting = {"40P01", "40001", "55P03", "26000"};
  if (std::find(kConflicting.begin(), kConflicting.end(), sqlstate) != kConflicting.end()) return Fault::kConflict;
  if (sqlstate == "57014") return Fault::kTooLate;
  // 53: insufficient resources; 58: system error; 08: connection
  if (StartsWith(sqlstate, "53") || StartsWith(sqlstate, "58") || StartsWith(sqlstate, "08")) return Fault::kRefusal;
  const bool refusing = std::find(kRefusing.begin(), kRefusing.end(), sqlstate) != kRefusing.end();
  return refusing ? Fault::kRefusal : Fault::kStatement;
}

absl::Status StatusOf(std::string_view sqlstate, std::string_view message, std::string_view statement) {
  while (!message.empty() && absl::ascii_isspace(static_cast<unsigned char>(message.back()))) message.remove_suffix(1);
  const std::string text = Concat(statement, ": ", message, " (SQLSTATE ", sqlstate, ")");
  switch (FaultOf(sqlstate)) {
    case Fault::kTooLate:
      return absl::DeadlineExceededError(text);
    case Fault::kRefusal:
      return absl::FailedPreconditionError(text);
    case Fault::kConflict:
      return absl::FailedPreconditionError(text);
    case Fault::kStatement:
      break;
  }
  if (sqlstate == "23505" || sqlstate == "23P01") return absl::AlreadyExistsError(text);
  if (StartsWith(sqlstate, "23")) return absl::FailedPreconditionError(text);
  return absl::InvalidArgumentError(text);
}

}  // namespace lab::pg
