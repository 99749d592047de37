#pragma once

#include <map>
#include <optional>
#include <string>

namespace lab::bench {

// What a figure of this host is worth: cpu, cores, memory, kernel, distribution, virtualised, governor, cgroups (which
// version has which controller), limits (in force on us), co_located.
std::map<std::string, std::string> DescribeHost();
// What the kernel thinks can be had without swapping, in bytes; none where it does not tell.
std::optional<double> AvailableMemory();
// The commit of the checkout, 12 digits, with "+changes" when files differ from it; "unknown" without git.
std::string GitRevision(const std::string& root);

}  // namespace lab::bench
