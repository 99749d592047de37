// `break`, `heal`, `load`: what is done by hand to a system that is kept up.

#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/cli/commands.h"
#include "bench/cli/terminal.h"
#include "bench/cli/up_systems.h"
#include "bench/report/text.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/time.h"

namespace lab::bench::cli {
namespace {

using Json = nlohmann::json;

constexpr Nanos kDefaultLength = std::chrono::seconds(10);
constexpr Nanos kLongestLength = std::chrono::hours(24);
constexpr Nanos kReceiptPatience = std::chrono::seconds(5);
constexpr Nanos kHealPatience = std::chrono::seconds(6);
constexpr Millis kPoll{20};

const Json* FindFault(const Json& breakable, const std::string& fault) {
  for (const Json& one : breakable) {
    if (one.value("fault", "") == fault) return &one;
  }
  return nullptr;
}

const Json* FindRecord(const Json& state, const std::string& id) {
  for (const Json& record : state["faults"]) {
    if (record.value("id", "") == id) return &record;
  }
  return nullptr;
}

bool Has(const Json& object, const char* name) { return object.contains(name) && !object[name].is_null(); }
bool Over(const Json& record) { return Has(record, "healed_s") || !record.value("error", "").empty(); }

int ListBreakable(const live::KeeperRecord& record, const Json& state) {
  const Ansi ansi(StyleOf(STDOUT_FILENO, false).color);
  std::string out = absl::StrCat("What can be broken in ", ansi.Bold(record.lab), ", with its options:\n");
  for (const Json& one : state["breakable"]) {
    absl::StrAppend(&out, "  ", PadRight(PrintableText(one.value("fault", "")), 24), " ",
                    PrintableText(one.value("doc", "")), one.value("instantaneous", false) ? " (a moment)" : "");
    for (const Json& option : one["options"]) {
      std::string values;
      for (const Json& name : option["names"])
        absl::StrAppend(&values, values.empty() ? "" : "|", name.get<std::string>());
      if (values.empty()) values = option.value("fallback", "");
      absl::StrAppend(
          &out, "  ",
          ansi.Dim(absl::StrCat("[", PrintableText(option.value("name", "")), "=", PrintableText(values), "]")));
    }
    out += "\n";
  }
  out += "\n./lab break <fault> [--for 10s] [--option key=value]\n";
  std::fputs(out.c_str(), stdout);
  return 0;
}

// The body of the request, checked as far as it can be here; the keeper checks the options.
absl::StatusOr<Json> BreakRequest(const Arguments& arguments, const Json& state) {
  const std::string& fault = arguments.operands[0];
  const Json* known = FindFault(state["breakable"], fault);
  if (known == nullptr) {
    std::vector<std::string> names;
    for (const Json& one : state["breakable"]) names.push_back(one.value("fault", ""));
    return absl::InvalidArgumentError(
        absl::StrCat("there is no fault \"", fault, "\" here", Suggestion(fault, names), "\n./lab break lists them"));
  }
  Json body = {{"fault", fault}, {"options", Json::object()}};
  for (const std::string& text : arguments.All("--option")) {
    const auto option = SplitAssignment("--option", text);
    if (!option.ok()) return option.status();
    body["options"][option->first] = option->second;
  }
  if (known->value("instantaneous", false)) {
    if (!arguments.Has("--for")) return body;
    return absl::InvalidArgumentError(absl::StrCat(fault, " is over at once: --for means nothing"));
  }
  Nanos length = kDefaultLength;
  if (arguments.Has("--for")) {
    const absl::StatusOr<Nanos> given = ParseDuration(arguments.Get("--for"));
    if (!given.ok() || given->count() <= 0 || *given > kLongestLength) {
      return absl::InvalidArgumentError(
          absl::StrCat("--for takes a time up to 24h, like 5s, not \"", arguments.Get("--for"), "\""));
    }
    length = *given;
  }
  body["for_s"] = std::chrono::duration<double>(length).count();
  return body;
}

// Waits for the receipt; 0, or 2 when no probe has seen the fault.
int AwaitReceipt(const live::KeeperClient& client, const std::string& id) {
  const Clock::time_point end = Clock::now() + kReceiptPatience;
  for (;;) {
    const absl::StatusOr<Json> state = ReadState(client);
    if (!state.ok()) return Fail(kNotCompleted, state.status());
    const Json* record = FindRecord(*state, id);
    const bool known = record != nullptr && (Has(*record, "seen_s") || Over(*record));
    if (known || Clock::now() > end) {
      const std::string line =
          record == nullptr ? id + "  asked for" : FaultLine(*record, UnixNow() - client.record().started_unix_s);
      if (record != nullptr && Has(*record, "seen_s")) {
        std::printf("%s\n", line.c_str());
        return 0;
      }
      const bool applied = record != nullptr && Has(*record, "applied_s");
      return Fail(applied ? 2 : kNotCompleted, line);
    }
    std::this_thread::sleep_for(kPoll);
  }
}

int Break(const Session& session, const Arguments& arguments) {
  const absl::StatusOr<live::KeeperRecord> record = FindUp(session, arguments.Get("--lab"));
  if (!record.ok()) return Fail(StatusOfError(record.status()), record.status());
  const live::KeeperClient client(*record);
  const absl::StatusOr<Json> state = ReadState(client);
  if (!state.ok()) return Fail(kNotCompleted, state.status());
  if (arguments.operands.empty()) return ListBreakable(*record, *state);
  const absl::StatusOr<Json> body = BreakRequest(arguments, *state);
  if (!body.ok()) return Fail(kUsage, body.status());
  const absl::StatusOr<std::string> answer = client.Post("break", body->dump());
  if (!answer.ok()) return Fail(StatusOfError(answer.status()), answer.status());
  const Json made = Json::parse(*answer, nullptr, false);
  if (!made.is_object()) return Fail(kNotCompleted, "the keeper did not tell which fault that is");
  return AwaitReceipt(client, made.value("id", ""));
}

bool Matches(const Json& record, const std::string& fault) {
  return fault.empty() || record.value("id", "") == fault || record.value("fault", "") == fault;
}

int Heal(const Session& session, const Arguments& arguments) {
  const absl::StatusOr<live::KeeperRecord> record = FindUp(session, arguments.Get("--lab"));
  if (!record.ok()) return Fail(StatusOfError(record.status()), record.status());
  const live::KeeperClient client(*record);
  const std::string fault = arguments.operands.empty() ? "" : arguments.operands[0];
  absl::StatusOr<Json> state = ReadState(client);
  if (!state.ok()) return Fail(kNotCompleted, state.status());
  std::vector<std::string> healing;
  for (const Json& one : (*state)["faults"]) {
    if (!Over(one) && Matches(one, fault)) healing.push_back(one.value("id", ""));
  }
  const absl::StatusOr<std::string> answer =
      client.Post("heal", fault.empty() ? "{}" : Json({{"fault", fault}}).dump());
  if (!answer.ok()) return Fail(kUsage, answer.status());
  if (healing.empty()) {
    std::puts("nothing is broken");
    return 0;
  }
  const Clock::time_point end = Clock::now() + kHealPatience;
  int status = 0;
  for (size_t next = 0; next < healing.size();) {
    const Json* one = FindRecord(*state, healing[next]);
    if (one != nullptr && !Over(*one) && Clock::now() < end) {
      std::this_thread::sleep_for(kPoll);
      if (state = ReadState(client); !state.ok()) return Fail(kNotCompleted, state.status());
      continue;
    }
    ++next;
    if (one == nullptr) continue;
    const bool healed = Has(*one, "healed_s");
    std::printf("%s\n", FaultLine(*one, UnixNow() - record->started_unix_s).c_str());
    if (!healed) status = kNotCompleted;
  }
  return status;
}

int Load(const Session& session, const Arguments& arguments) {
  const absl::StatusOr<live::KeeperRecord> record = FindUp(session, arguments.Get("--lab"));
  if (!record.ok()) return Fail(StatusOfError(record.status()), record.status());
  const live::KeeperClient client(*record);
  const absl::StatusOr<Json> state = ReadState(client);
  if (!state.ok()) return Fail(kNotCompleted, state.status());
  const double offered = state->value("load_per_s", 0.0);
  const absl::StatusOr<double> factor = ReadLoadFactor(arguments.operands[0], offered);
  if (!factor.ok()) return Fail(kUsage, factor.status());
  const absl::StatusOr<std::string> answer = client.Post("load", Json({{"factor", *factor}}).dump());
  if (!answer.ok()) return Fail(StatusOfError(answer.status()), answer.status());
  std::printf("%s is offered %s/s from now on (%sx)\n", record->lab.c_str(), ShortNumber(offered * *factor).c_str(),
              ShortNumber(*factor).c_str());
  return 0;
}

}  // namespace

Command BreakCommand() {
  return {{"break",
           "[fault]",
           0,
           1,
           {{"--for", "TIME", "healed after this time (10s)"},
            {"--option", "KEY=VALUE", "an option of the fault; repeatable", true},
            LabOption()},
           "Break something in the system that is up; without a name: what can be broken",
           "Examples\n"
           "  ./lab break\n"
           "  ./lab break redis.pause --for 5s\n"
           "  ./lab break redis.kill --option data=lost\n\n"
           "It waits until a probe has seen the effect, which is its receipt, and returns; the fault is healed at its\n"
           "time, whatever becomes of this command. Exit status: 0 seen, 2 applied but not seen by any probe.\n"},
          &Break};
}

Command HealCommand() {
  return {{"heal",
           "[fault]",
           0,
           1,
           {LabOption()},
           "Heal one fault, by its name or id, or everything",
           "Examples\n  ./lab heal\n  ./lab heal redis.pause\n  ./lab heal redis.pause#2\n"},
          &Heal};
}

Command LoadCommand() {
  return {{"load",
           "<2x|50%|8000/s>",
           1,
           1,
           {LabOption()},
           "Change the load of the system that is up: a multiple of the lab's own, or a rate",
           "Examples\n  ./lab load 2x\n  ./lab load 8000/s\n  ./lab load 0      silence\n  ./lab load 1x     as at "
           "first\n"},
          &Load};
}

}  // namespace lab::bench::cli
