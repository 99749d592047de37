#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

// Processes that belong together although each has made a group, or a session, of its own, as those of a PostgreSQL do.
namespace lab::bench {

// The process and all that descend from it, parents first. Who lost its parent belongs to init and is missing.
std::vector<pid_t> FamilyOf(pid_t pid);

// Processes that execute this program (its path) and work in this folder or below it: those of a family that lost their
// parent too. Nothing of what may not be looked at. Never ourselves.
std::vector<pid_t> ProcessesIn(const std::string& folder, const std::string& program);

// Kills them and waits until they have ended, at most `most_ms`; how many there were.
int EndProcessesIn(const std::string& folder, const std::string& program, int most_ms = 5000);

}  // namespace lab::bench
