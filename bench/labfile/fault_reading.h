#pragma once

#include <string>
#include <vector>

#include "bench/labfile/parsing.h"

// Private to bench/labfile: what all entries of `faults:` are read by.
namespace lab::bench {

// "pause", "pause+0.5s" or "pause+25%".
void ReadAt(const yaml::Value& at, const Lab& lab, FaultSpec& fault);
// The name under which the catalogue has this fault: "link.latency" for "ratelimit->redis.latency".
std::string CatalogueName(const std::string& fault);
// The faults that this lab can name, with its links in place of "link".
std::vector<std::string> FaultNames(const Reading& reading);
// The part that the fault acts on: `on`, else the one that its name begins with, and which replica of it.
void ReadTarget(const yaml::Value& entry, const yaml::Value& name, const Lab& lab, FaultSpec& fault);
// Of the part, or of the one behind the link, that the fault acts on: in the variant that has the fewest. 1 when there
// is no such part, which has been said.
int ReplicasOf(const Lab& lab, const FaultSpec& fault);

// {at, random, every, for}: faults of which one after the other is drawn.
void ReadRandomFaults(const yaml::Value& entry, Reading& reading);

}  // namespace lab::bench
