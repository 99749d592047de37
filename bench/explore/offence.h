#pragma once

#include <string>
#include <vector>

#include "bench/explore/history.h"

namespace lab::bench::explore {

// What is wrong with a schedule: a promise of the cache that it breaks.
struct Offence {
  enum class Kind : uint8_t {
    kStaleAtRest,     // a tier or a replica serves what the database has replaced, and will until its TTL
    kNeverCommitted,  // somebody was or will be served what the database never had
    kOtherBody,       // the version is right, what it stands for is not
    kReadYourWrites,  // after a write was acknowledged a read is, or would be, given what was before it
    kMonotonicRead,   // a read is older than one that had ended before it began
    kLostWrite,       // a write was acknowledged, and the database does not have it
  } kind = Kind::kStaleAtRest;
  std::string actor;      // who was given it; "" for whoever would ask
  int at = -1;            // the move behind which that is so; -1: at rest
  int replica = 0;        // at rest
  bool local = false;     // it comes from the cache of a process
  uint64_t version = 0;   // what was given
  uint64_t expected = 0;  // at least, or exactly, this
  std::string text;       // "at rest L2 serves v1, the database has v2"
  // Its invalidation was still on its way, by a feed or from Redis to a replica: it passes, and a mode that works so
  // does not promise otherwise. Never of what is left at rest.
  bool late = false;
};

// All of them, what is left at rest first. All actors count as one client: who asks after another one was answered
// knows what that one knows. Requests that overlap owe each other nothing.
std::vector<Offence> Offences(const History& history);

}  // namespace lab::bench::explore
