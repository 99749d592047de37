#pragma once

#include <string>
#include <vector>

#include "bench/cli/commands.h"

namespace lab::bench::cli {

// What may stand where a word is being typed: `words` are those behind `lab`, the last one being as far as it is typed.
// Names come from the commands, the labs and what is up, so that nothing has to be kept in step by hand. Candidates
// begin with the last word; one that ends in "=" or "." goes on.
std::vector<std::string> Complete(const Session& session, const std::vector<std::string>& words);

// The script that makes a shell ask for it; "" for an unknown shell.
std::string CompletionScript(const std::string& shell);

}  // namespace lab::bench::cli
