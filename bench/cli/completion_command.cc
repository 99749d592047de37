// `completion` prints a script for a shell; `__complete` answers it.

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "bench/cli/completion.h"
#include "services/runtime/base/nearest.h"

namespace lab::bench::cli {
namespace {

int PrintScript(const Session&, const Arguments& arguments) {
  const std::string& shell = arguments.operands[0];
  const std::string script = CompletionScript(shell);
  if (script.empty()) {
    return Fail(kUsage, absl::StrCat("no completion for \"", shell, "\"", Suggestion(shell, {"bash", "zsh", "fish"})));
  }
  std::fputs(script.c_str(), stdout);
  return 0;
}

int PrintCandidates(const Session& session, const Arguments& arguments) {
  std::vector<std::string> words = arguments.operands;
  if (!words.empty() && words[0] == "--") words.erase(words.begin());
  for (const std::string& candidate : Complete(session, words)) std::puts(candidate.c_str());
  return 0;
}

}  // namespace

Command CompletionCommand() {
  return {{"completion",
           "<bash|zsh|fish>",
           1,
           1,
           {},
           "A script that completes commands, labs, variants, faults and settings in your shell",
           "Examples\n"
           "  source <(./lab completion bash)       in this shell; in ~/.bashrc for all\n"
           "  source <(./lab completion zsh)\n"
           "  ./lab completion fish | source\n"},
          &PrintScript};
}

Command CompleteCommand() {
  CommandSpec spec{
      "__complete", "[words]", 0, 0, {}, "Candidates for the last word, for the scripts of completion", ""};
  spec.passes_on = true;
  spec.hidden = true;
  return {spec, &PrintCandidates};
}

}  // namespace lab::bench::cli
