#pragma once

#include <string>
#include <vector>

#include "bench/explore/offence.h"

namespace lab::bench::explore {

// The known races between a cache and its database, by the numbers under which the lab's README tells them.
struct Race {
  int number = 0;  // 0: none of them; an explorer's find
  const char* name = "";
};
// Those that a schedule of this explorer can be, by number.
const std::vector<Race>& Races();
const Race& RaceOf(int number);

// Which of them an offence is, by the order of the steps that matter. With s, what is served, and c, the commit that
// made s old:
//    1  an invalidation (or the writer's own store) came between the read of a fill and its store
//    2  it came before c, and s was read behind it
//    3  a writer stored s although another one had stored what is newer
//    4  the writer of c died before it told the cache
//    6  as 1, by one whose lease had ended and been taken by another
//    8  as 1 or 3, where stores are compared by version: what was newer had been evicted
//    9  the version is right, and the data are not
//   10  a read joined a load that had begun before the write
//   12  as 1, and what is served is "there is none"
//   13  L2 is right, the cache of a process is not
//   18  what the cache was given was never committed
//   19  an acknowledged write is lost
//   24  as 1, but behind the second of two deletes
// Where two fit, the one that is nearer to the cause: a dead writer before all, then the evicted version.
// `by_version`: whether stores are compared by version.
Race Classify(const History& history, const Offence& offence, bool by_version);

}  // namespace lab::bench::explore
