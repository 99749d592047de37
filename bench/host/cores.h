#pragma once

#include <cstddef>
#include <vector>

// Where the calling thread runs and before whom.
namespace lab::bench {

// The first cores that it may run on, at most `most` of them; none where the kernel does not tell.
std::vector<int> AllowedCores(size_t most);

// Keeps it on one core; may be called between fork and exec. False, with errno, where that is not allowed or the core
// is not there.
bool PinTo(int core);

// Gives it the real-time priority (SCHED_FIFO) that is so far above the least; a fork would not inherit it. False
// without the right to it (root, CAP_SYS_NICE).
bool MakeRealtime(int above_least);

}  // namespace lab::bench
