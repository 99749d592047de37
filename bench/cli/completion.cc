#include "bench/cli/completion.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bench/cli/checkout.h"
#include "bench/cli/up_systems.h"

namespace lab::bench::cli {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

// The line as far as it is typed.
struct Line {
  const Session& session;
  const CommandSpec& command;
  Words operands;  // before the word that is being typed
  Words words;     // all before it
  std::string After(const std::string& option) const {
    for (size_t i = words.size(); i-- > 0;) {
      if (words[i] == option && i + 1 < words.size()) return words[i + 1];
      if (absl::StartsWith(words[i], option + "=")) return words[i].substr(option.size() + 1);
    }
    return "";
  }
};

Words UpLabs(const Session& session) {
  Words labs;
  for (const live::UpFolder& folder : live::UpFolders(session.root)) {
    if (folder.record) labs.push_back(folder.lab);
  }
  return labs;
}

// The state of the system that is meant; an empty object when none is or it does not answer at once.
Json StateOf(const Line& line) {
  const absl::StatusOr<live::KeeperRecord> record = FindUp(line.session, line.After("--lab"));
  if (!record.ok()) return Json::object();
  absl::StatusOr<Json> state = ReadState(live::KeeperClient(*record, Millis(80)));
  return state.ok() ? *std::move(state) : Json::object();
}

absl::StatusOr<Lab> LabOf(const Line& line, const Catalogue& catalogue) {
  if (line.operands.empty()) return absl::NotFoundError("no lab yet");
  return OpenLab(line.session.root, line.operands[0], catalogue);
}

Words Variants(const Line& line) {
  Words names;
  const absl::StatusOr<Lab> lab = LabOf(line, MakeCatalogue(line.session.root));
  if (!lab.ok()) return names;
  for (const VariantSpec& variant : lab->variants) names.push_back(variant.name);
  return names;
}

// "a,b,c": the names that are not there yet, behind those that are.
Words Listed(const Words& names, const std::string& typed) {
  const size_t comma = typed.rfind(',');
  const std::string before = comma == std::string::npos ? "" : typed.substr(0, comma + 1);
  Words listed;
  for (const std::string& name : names) {
    if (!absl::StrContains("," + before, "," + name + ",")) listed.push_back(before + name);
  }
  return listed;
}

// "part.key=" of every knob of the lab's parts, and once the key is there its values, where they are names.
Words Knobs(const Line& line, const std::string& typed) {
  const Catalogue catalogue = MakeCatalogue(line.session.root);
  const absl::StatusOr<Lab> lab = LabOf(line, catalogue);
  Words candidates;
  if (!lab.ok()) return candidates;
  for (const PartSpec& part : lab->system) {
    const auto knobs = catalogue.knobs.find(part.kind.empty() ? part.name : part.kind);
    if (knobs == catalogue.knobs.end()) continue;
    for (const Catalogue::Knob& knob : knobs->second) {
      const std::string key = absl::StrCat(part.name, ".", knob.path, "=");
      if (!absl::StartsWith(typed, key)) {
        candidates.push_back(key);
        continue;
      }
      Words values = knob.names;
      if (values.empty() && knob.type == "bool") values = {"true", "false"};
      if (values.empty() && !knob.fallback.empty()) values = {knob.fallback};
      for (const std::string& value : values) candidates.push_back(key + value);
    }
  }
  return candidates;
}

Words Phases(const Line& line) {
  Words names;
  const absl::StatusOr<Lab> lab = LabOf(line, MakeCatalogue(line.session.root));
  if (!lab.ok()) return names;
  for (const PhaseSpec& phase : lab->phases) names.push_back(phase.name);
  return names;
}

Words Predictions(const Line& line) {
  Words names;
  const absl::StatusOr<Lab> lab = LabOf(line, MakeCatalogue(line.session.root));
  if (!lab.ok()) return names;
  for (const PredictSpec& question : lab->predict) names.push_back(question.id + "=");
  return names;
}

Words Members(const Json& list, const char* name) {
  std::set<std::string> names;
  for (const Json& one : list) names.insert(one.value(name, ""));
  return {names.begin(), names.end()};
}

// Options of the fault that is to be broken: "data=", then "data=keep", "data=lost".
Words FaultOptions(const Line& line, const std::string& typed) {
  Words candidates;
  const Json state = StateOf(line);
  for (const Json& one : state.value("breakable", Json::array())) {
    if (line.operands.empty() || one.value("fault", "") != line.operands[0]) continue;
    for (const Json& option : one["options"]) {
      const std::string key = option.value("name", "") + "=";
      if (!absl::StartsWith(typed, key)) candidates.push_back(key);
      if (absl::StartsWith(typed, key)) {
        for (const Json& name : option["names"]) candidates.push_back(key + name.get<std::string>());
      }
    }
  }
  return candidates;
}

Words ValuesOf(const Line& line, const std::string& option, const std::string& typed) {
  if (option == "--variant") return Variants(line);
  if (option == "--variants") return Listed(Variants(line), typed);
  if (option == "--set") return Knobs(line, typed);
  if (option == "--phase") return Phases(line);
  if (option == "--predict") return Predictions(line);
  if (option == "--lab") return UpLabs(line.session);
  if (option == "--option") return FaultOptions(line, typed);
  if (option == "--for") return {"5s", "10s", "30s", "1m", "30m", "2h"};
  return {};
}

Words Operands(const Line& line) {
  const std::string& name = line.command.name;
  if (line.operands.size() >= line.command.max_operands) return {};
  if (name == "break") return Members(StateOf(line).value("breakable", Json::array()), "fault");
  if (name == "heal") {
    Words open;
    for (const Json& fault : StateOf(line).value("faults", Json::array())) {
      const bool over = !fault["healed_s"].is_null() || fault.value("error", "") != "";
      if (!over) open.push_back(fault.value("fault", ""));
    }
    return open;
  }
  if (name == "load") return {"0.5x", "1x", "2x", "4x"};
  if (name == "logs") {
    Words parts = Members(StateOf(line).value("parts", Json::array()), "label");
    parts.push_back("keeper");
    return parts;
  }
  if (name == "down" || name == "status") return UpLabs(line.session);
  if (name == "completion") return {"bash", "zsh", "fish"};
  // What is left takes a lab where it takes anything.
  return LabNames(line.session.root);
}

Words Candidates(const Session& session, const Words& words) {
  if (words.size() < 2 || words[0] == "help") {
    Words names = {"help"};
    for (const Command& command : Commands()) {
      if (!command.spec.hidden) names.push_back(command.spec.name);
    }
    return words.size() > 2 ? Words() : names;
  }
  const auto found = std::find_if(Commands().begin(), Commands().end(),
                                  [&](const Command& command) { return command.spec.name == words[0]; });
  if (found == Commands().end() || found->spec.passes_on) return {};
  Line line{session, found->spec, {}, Words(words.begin() + 1, words.end() - 1)};
  const auto option_of = [&](const std::string& word) {
    const auto& options = line.command.options;
    const auto option =
        std::find_if(options.begin(), options.end(), [&](const Option& one) { return one.name == word; });
    return option == options.end() ? nullptr : &*option;
  };
  for (size_t i = 0; i < line.words.size(); ++i) {
    if (line.words[i].size() < 2 || line.words[i][0] != '-') {
      line.operands.push_back(line.words[i]);
    } else if (const Option* option = option_of(line.words[i]); option != nullptr && !option->value.empty()) {
      if (i + 1 == line.words.size()) return ValuesOf(line, option->name, words.back());
      ++i;
    }
  }
  const std::string& typed = words.back();
  if (typed.empty() || typed[0] != '-') return Operands(line);
  // "--set=part.key" in one word.
  if (const size_t equals = typed.find('='); equals != std::string::npos) {
    Words whole;
    for (const std::string& value : ValuesOf(line, typed.substr(0, equals), typed.substr(equals + 1))) {
      whole.push_back(typed.substr(0, equals + 1) + value);
    }
    return whole;
  }
  Words names = {"--help"};
  for (const Option& option : line.command.options) {
    if (!option.hidden) names.push_back(option.name);
  }
  return names;
}

}  // namespace

Words Complete(const Session& session, const Words& words) {
  const std::string typed = words.empty() ? "" : words.back();
  Words candidates = Candidates(session, words);
  std::erase_if(candidates, [&](const std::string& word) { return word.empty() || !absl::StartsWith(word, typed); });
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  return candidates;
}

}  // namespace lab::bench::cli
