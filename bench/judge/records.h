#pragma once

#include <string>
#include <vector>

#include "bench/judge/invariants.h"

// Whether the record of a trial is whole: what every invariant about single operations stands on.
namespace lab::bench {

// "main key 7, intended at 6.123456 s (pause+0.123 s)": an operation by what identifies it, and its place.
std::string RecordName(const Trial& trial, const Op& op);

// Names in `result` every record of these streams (one flag each) that was lost, is there twice, was never scheduled,
// lies out of order or has times that contradict each other. Streams whose schedule was not kept are held against
// nothing.
void CheckRecords(const Trial& trial, const std::vector<bool>& streams, InvariantResult& result);

}  // namespace lab::bench
