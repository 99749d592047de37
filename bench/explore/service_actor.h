#pragma once

#include <string>
#include <utility>

#include "bench/explore/http_connection.h"
#include "bench/explore/service_world.h"

// The inside of ServiceWorld, for its own files only.
namespace lab::bench::explore {

inline constexpr std::chrono::seconds kPatience{10};
inline constexpr Millis kSoon{20};  // within it a move has taken effect, unless it waits for a lock

struct ServiceWorld::Actor {
  Actor(Cast::Actor s, int number, int port) : spec(std::move(s)), posts(number), line(port) {}
  const Cast::Actor spec;
  const int posts;  // that it writes: each writer another correction
  HttpConnection line;
  bool sent = false, answered = false, dead = false, looked = false;
  int moves = 0;
  Ended ended;
};

}  // namespace lab::bench::explore
