#include "bench/cli/up_systems.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/labfile/quantity.h"
#include "bench/report/text.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/time.h"

namespace lab::bench::cli {
namespace {

using Json = nlohmann::json;

std::string Time(double seconds) {
  return FormatDuration(std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(std::max(seconds, 0.0))));
}
std::string Rate(const Json& second, const char* name) {
  return WithCommas(static_cast<uint64_t>(std::llround(std::max(second.value(name, 0.0), 0.0)))) + "/s";
}
bool Has(const Json& object, const char* name) { return object.contains(name) && !object[name].is_null(); }
std::string Text(const Json& object, const char* name) {
  return Has(object, name) && object[name].is_string() ? PrintableText(object[name].get<std::string>()) : "";
}
bool Over(const Json& fault) { return Has(fault, "healed_s") || !Text(fault, "error").empty(); }

void AddFaults(const Json& faults, double now_s, const Ansi& ansi, std::vector<std::string>& lines) {
  std::vector<std::string> open;
  std::string last;
  for (const Json& fault : faults) {
    if (Over(fault)) {
      last = FaultLine(fault, now_s);
    } else {
      open.push_back(FaultLine(fault, now_s));
    }
  }
  for (const std::string& line : open) lines.push_back(absl::StrCat("  ", ansi.Fault("▓ " + line)));
  if (open.empty()) lines.push_back("  nothing is broken");
  if (!last.empty()) lines.push_back(absl::StrCat("  ", ansi.Dim("last: " + last)));
}

void AddSecond(const Json& second, const Ansi& ansi, std::vector<std::string>& lines) {
  const double lost = second.value("errors", 0.0) + second.value("dropped", 0.0);
  const std::string failed = absl::StrCat("failed ", Rate(second, "errors"), "   dropped ", Rate(second, "dropped"));
  lines.push_back(absl::StrCat("  offered ", Rate(second, "offered"), "   answered ", Rate(second, "achieved"),
                               "   admitted ", Rate(second, "admitted"), "   ",
                               lost > 0 ? ansi.ByState(State::kFail, failed) : failed, "   in flight ",
                               WithCommas(second.value("in_flight", uint64_t{0}))));
  const auto time = [&second](const char* name) { return Time(second.value(name, 0.0)); };
  lines.push_back(absl::StrCat("  p50 ", time("p50_s"), "   p99 ", time("p99_s"), "   p99.9 ", time("p999_s"),
                               "   max ", time("max_s")));
  std::vector<std::string> queues;
  if (Has(second, "queues")) {
    for (const auto& [name, value] : second["queues"].items()) {
      queues.push_back(absl::StrCat(PrintableText(name), " ", ShortNumber(value.get<double>())));
    }
  }
  if (!queues.empty()) lines.push_back("  waiting: " + absl::StrJoin(queues, ", "));
}

void AddParts(const Json& parts, const Ansi& ansi, std::vector<std::string>& lines) {
  for (const Json& part : parts) {
    const std::string state = Text(part, "state");
    std::vector<std::string> ports;
    for (const auto& [name, port] : part["ports"].items()) ports.push_back(absl::StrCat(name, " ", port.dump()));
    lines.push_back(absl::StrCat("  ", PadRight(Text(part, "label"), 14), " ",
                                 ansi.ByState(state == "up" ? State::kPass : State::kFail, PadRight(state, 8)),
                                 state == "down" ? PadRight("", 14) : PadRight("pid " + part["pid"].dump(), 14),
                                 absl::StrJoin(ports, ", ")));
  }
}

}  // namespace

Option LabOption() { return {"--lab", "LAB", "which one, where several are up"}; }

absl::StatusOr<live::KeeperRecord> FindUp(const Session& session, const std::string& lab) {
  std::vector<std::string> up;
  std::string ended;
  std::optional<live::KeeperRecord> found;
  for (const live::UpFolder& folder : live::UpFolders(session.root)) {
    if (folder.record) {
      up.push_back(folder.lab);
      if (lab.empty() || folder.lab == lab) found = folder.record;
    } else if (lab.empty() || folder.lab == lab) {
      if (folder.starting > 0) return absl::UnavailableError(folder.lab + " is on its way up or down: try again");
      if (!folder.ended.empty()) absl::StrAppend(&ended, "; ", folder.lab, ": ", folder.ended);
    }
  }
  if (lab.empty() && up.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("several are up: ", absl::StrJoin(up, ", "), "; say which with --lab"));
  }
  if (found) return *found;
  if (lab.empty()) {
    return absl::NotFoundError(absl::StrCat("nothing is up; ./lab up <lab> starts one", ended));
  }
  const std::vector<std::string> labs = LabNames(session.root);
  std::vector<std::string> known = up;
  known.insert(known.end(), labs.begin(), labs.end());
  if (std::find(known.begin(), known.end(), lab) == known.end() && ended.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("there is no lab \"", lab, "\"", Suggestion(lab, known)));
  }
  return absl::NotFoundError(absl::StrCat(lab, " is not up; ./lab up ", lab, " starts it", ended));
}

absl::StatusOr<Json> ReadState(const live::KeeperClient& client) {
  const absl::StatusOr<std::string> text = client.State();
  if (!text.ok()) return text.status();
  Json state = Json::parse(*text, nullptr, false);
  if (!state.is_object() || !state.contains("parts") || !state.contains("faults")) {
    return absl::DataLossError(absl::StrCat("the keeper of ", client.record().lab, " tells no state"));
  }
  return state;
}

double UnixNow() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string UrlOf(const live::KeeperRecord& record) { return absl::StrCat("http://127.0.0.1:", record.port, "/"); }

std::string ClockTime(double unix_s) {
  const auto then = static_cast<std::time_t>(unix_s), now = std::time(nullptr);
  std::tm then_local{}, now_local{};
  localtime_r(&then, &then_local);
  localtime_r(&now, &now_local);
  const bool today = then_local.tm_yday == now_local.tm_yday && then_local.tm_year == now_local.tm_year;
  char text[32];
  std::strftime(text, sizeof(text), today ? "%H:%M" : "%a %H:%M", &then_local);
  return text;
}

std::vector<std::string> TopologyLines(const Json& state) {
  std::vector<std::string> lines;
  if (!Has(state, "links")) return lines;
  const Json& links = state["links"];
  const auto is_called = [&links](const std::string& name) {
    return std::any_of(links.begin(), links.end(), [&](const Json& link) { return Text(link, "to") == name; });
  };
  // Every path from who is called by nobody; a lab has few links and no circles, and the depth is bounded all the same.
  std::vector<std::pair<std::string, std::string>> ends;  // (chain, its last part)
  for (const Json& link : links) {
    const std::string from = Text(link, "from");
    const bool known = std::any_of(ends.begin(), ends.end(), [&](const auto& end) { return end.second == from; });
    if (!is_called(from) && !known) ends.emplace_back(from, from);
  }
  for (size_t depth = 0; depth < 8 && !ends.empty(); ++depth) {
    std::vector<std::pair<std::string, std::string>> longer;
    for (const auto& [chain, last] : ends) {
      bool goes_on = false;
      for (const Json& link : links) {
        if (Text(link, "from") != last) continue;
        goes_on = true;
        longer.emplace_back(absl::StrCat(chain, link.value("proxied", false) ? " ─◇▶ " : " ─▶ ", Text(link, "to")),
                            Text(link, "to"));
      }
      if (!goes_on) lines.push_back(chain);
    }
    ends = std::move(longer);
  }
  return lines;
}

std::string FaultLine(const Json& fault, double now_s) {
  const double asked_s = fault.value("asked_s", 0.0);
  std::string line = Text(fault, "id");
  if (Has(fault, "seen_s")) {
    absl::StrAppend(&line, "  seen after ", Time(fault["seen_s"].get<double>() - asked_s), ": ",
                    Text(fault, "evidence"));
  } else if (Has(fault, "applied_s")) {
    line += "  applied, not seen by a probe yet";
  } else {
    line += "  asked for";
  }
  if (Has(fault, "healed_s")) {
    const double healed_s = fault["healed_s"].get<double>();
    absl::StrAppend(&line, "; healed ", Time(now_s - healed_s), " ago, well again ",
                    Time(healed_s - fault.value("heal_asked_s", healed_s)), " after that was asked for");
  } else if (Has(fault, "heal_asked_s")) {
    line += "; being healed";
  } else if (Has(fault, "ends_s")) {
    absl::StrAppend(&line, "; ", Time(fault["ends_s"].get<double>() - now_s), " more");
  }
  if (const std::string error = Text(fault, "error"); !error.empty()) absl::StrAppend(&line, "; ", error);
  return line;
}

std::vector<std::string> StatusLines(const live::KeeperRecord& record, const Json& state, double now_unix_s,
                                     const Ansi& ansi) {
  const double now_s = now_unix_s - record.started_unix_s;
  const double factor = state.value("load_factor", 1.0), offered = state.value("load_per_s", 0.0);
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat(ansi.Bold(record.lab), "  variant ", ansi.Bold(record.variant), "   up for ",
                               Time(std::floor(now_s)), ", goes down by itself at ", ClockTime(record.ends_unix_s)));
  lines.push_back("  " + UrlOf(record));
  lines.push_back(absl::StrCat("  load ", WithCommas(static_cast<uint64_t>(std::llround(offered * factor))), "/s",
                               factor == 1 ? "" : absl::StrCat(" (", ShortNumber(factor), "x)")));
  if (Has(state, "second")) AddSecond(state["second"], ansi, lines);
  AddParts(state["parts"], ansi, lines);
  AddFaults(state["faults"], now_s, ansi, lines);
  return lines;
}

void TellWhatIsUp(const std::string& root, const std::string& what) {
  for (const live::UpFolder& folder : live::UpFolders(root)) {
    if (!folder.record) continue;
    std::fprintf(stderr, "lab: %s is up and shares the cores with this %s; ./lab down %s ends it\n", folder.lab.c_str(),
                 what.c_str(), folder.lab.c_str());
  }
}

absl::StatusOr<double> ReadLoadFactor(const std::string& text, double offered_per_s) {
  const absl::Status how = absl::InvalidArgumentError(
      absl::StrCat("the load is a multiple of the lab's or a rate: 2x, 0.5x, 50%, 8000/s; not \"", text, "\""));
  const absl::StatusOr<Quantity> quantity = QuantityOf(text);
  if (!quantity.ok() || quantity->value < 0) return how;
  if (quantity->unit.SameKind(Unit::Rate())) {
    if (offered_per_s <= 0) return absl::InvalidArgumentError("the load of this phase is silence");
    return quantity->value / offered_per_s;
  }
  // A bare number might be either.
  if (quantity->unit.label == "x" || quantity->unit.label == "%" || quantity->value == 0) return quantity->value;
  return how;
}

}  // namespace lab::bench::cli
