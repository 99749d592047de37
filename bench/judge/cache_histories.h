#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/judge/selection.h"
#include "bench/judge/staleness_oracle.h"

namespace lab::bench {

// What was written and read of each key, as the oracle wants it. A key is one row of the database, whichever load asked
// for it: the streams of the cache-aside API together. Acknowledged writes are commits, answered reads are reads; what
// was asked for although it is not there, what failed and what has no answer is neither. Reads outside of the selection
// are there, not `judged`. Sessions of the same number are one session.
//
// A write that is acknowledged while it stands in a queue (Answer::kQueued) tells no version, and is applied later.
// What can be said of it: each write makes one version more, so once n of a key have been acknowledged, whoever reads
// less than the version before the first of them (what was read before it, at least 1) and n more misses one that was
// acknowledged. So the i-th acknowledged one counts as the commit of that version at its acknowledgement; when it began
// to be visible nobody knows, so from the first write of the key on. Writes whose outcome is unknown only make more
// versions: then less is found, and nothing that is not so. Whose own write is missing can be said where it was sent
// after all before it had been acknowledged, since the queue is applied in its order (services/cacheapi/write): else it
// counts for nobody's session. Of a key with both kinds of writes the queued ones are left out.
struct CacheRecord {
  std::vector<CacheHistory> histories;
  std::vector<std::vector<const Op*>> reads;  // of each history, the operation behind each of its reads
  uint64_t commits = 0, judged = 0;
  uint64_t of_sessions = 0;  // judged reads that a session made
  std::string why;           // why nothing can be said of it; "" when something can
};

CacheRecord CacheRecordOf(const Trial& trial, const Selection& selection);

// "read version 3, 12.5 ms after version 5 had been acknowledged".
std::string WordsOf(const CacheOffence& offence);

}  // namespace lab::bench
