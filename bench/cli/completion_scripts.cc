// The part of completion that runs in the shell: hands over the words, takes the candidates.

#include "bench/cli/completion.h"

namespace lab::bench::cli {
namespace {

// Bash breaks words at "=" and ":" (COMP_WORDBREAKS), and replaces only what stands behind the last break; so the words
// are taken from the line, and what stands before the break is cut off the candidates.
constexpr char kBash[] = R"(# Completion of ./lab for bash:  source <(./lab completion bash)
_lab() {
  local program=${COMP_WORDS[0]} typed=${COMP_LINE:0:COMP_POINT} word
  local -a words
  read -ra words <<<"$typed"
  [[ $typed == *[[:space:]] ]] && words+=("")
  word=${words[-1]}
  COMPREPLY=()
  local candidate before=""
  if [[ $word == *=* && $COMP_WORDBREAKS == *=* ]]; then before=${word%=*}=; fi
  while IFS= read -r candidate; do
    COMPREPLY+=("${candidate#"$before"}")
  done < <("$program" __complete -- "${words[@]:1}" 2>/dev/null)
  # A key goes on with its value.
  if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=.] ]]; then compopt -o nospace 2>/dev/null; fi
  return 0
}
complete -F _lab lab ./lab
)";

constexpr char kZsh[] = R"(#compdef lab
# Completion of ./lab for zsh:  source <(./lab completion zsh)
_lab() {
  local -a candidates going_on
  local candidate
  for candidate in "${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $candidate in
      "") ;;
      *[=.]) going_on+=("$candidate") ;;
      *) candidates+=("$candidate") ;;
    esac
  done
  compadd -Q -- "${candidates[@]}"
  compadd -Q -S "" -- "${going_on[@]}"
}
compdef _lab lab ./lab
)";

constexpr char kFish[] = R"(# Completion of ./lab for fish:  ./lab completion fish | source
function __lab_candidates
    set -l words (commandline -opc)
    $words[1] __complete -- $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c lab -f -a '(__lab_candidates)'
)";

}  // namespace

std::string CompletionScript(const std::string& shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return "";
}

}  // namespace lab::bench::cli
