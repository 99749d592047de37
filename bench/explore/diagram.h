#pragma once

#include <string>
#include <vector>

#include "bench/explore/history.h"

namespace lab::bench::explore {

// A history as a sequence diagram, a line a move: a column for each actor, then what L2 and the database hold after it.
//
//        R               W               C  | L2             PostgreSQL
//    1                   delete             | -              v1
//    2   get: miss                          | -, leased      v1
//    3   select: v1 => v1                   | -, leased      v1
//    4   set v1                             | v1             v1
//    5                   commit v2 => v2    | v1             v2
//
// "=> v1": its client is answered with v1. ASCII only, lines as wide as they need to be.
std::vector<std::string> Diagram(const History& history);

}  // namespace lab::bench::explore
