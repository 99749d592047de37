#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/model/exploration.h"
#include "bench/model/op.h"
#include "bench/model/series.h"

namespace lab::bench {

struct Phase {
  std::string name;
  double begin_s = 0;  // since the start of the load
  double end_s = 0;
};

// A fault and its evidence. Times in seconds since the start of the load; a time that did not come is absent.
struct FaultRecord {
  std::string id;     // "redis.pause#1": the fault and its number in the lab file
  std::string fault;  // "redis.pause"
  std::string part;   // "redis"
  int replica = 0;    // of the part
  std::string phase;  // in which it begins
  double asked_s = 0;
  std::optional<double> applied_s;
  std::optional<double> seen_s;  // the receipt: when a probe on the same path saw its effect
  std::string evidence;          // what the probe saw: "PING unanswered for 20 ms"
  std::optional<double> heal_asked_s;
  std::optional<double> healed_s;  // when the probe saw the part well again
  std::optional<double> ends_s;    // when it is to be healed; absent: instantaneous
  std::string error;               // why apply, probe or heal failed
};

// One arrival as it was scheduled, written down before anything is sent.
struct Arrival {
  int64_t intended_ns = 0;
  uint32_t key = 0;
};

struct StreamInfo {
  std::string name;    // "main", or of a lane: "fixed_window"
  std::string target;  // "ratelimit.grpc"
  uint32_t keys = 0;
  double offered_per_s = 0;  // as declared, after calibration
  std::string load;          // name of the load whose lane this is; "" or the stream's own name without lanes
  // What was scheduled, by intended time; lanes of a load share it. Not derived from the operations: the invariant
  // every-arrival-accounted holds the two against each other. Absent: that invariant is inconclusive.
  std::shared_ptr<const std::vector<Arrival>> schedule;
};

struct PartInfo {
  std::string name;     // "redis"
  std::string kind;     // "redis", "ratelimit"
  std::string version;  // "redis 7.0.15"
  std::vector<std::string> command;
  std::map<std::string, std::string> ports;    // name → "127.0.0.1:4711"
  std::map<std::string, std::string> changed;  // configuration that differs from the part's default
  std::string part;  // of which it is replica number `replica`: "ratelimit-1" is 1 of "ratelimit". Not kept
  int replica = 0;
};

struct Event {
  double at_s = 0;
  std::string text;
};

// What one place of the system under test had for a key that was written, once all was at rest.
struct RestRead {
  std::string place;     // "postgres": the database; "redis": stored there, and fresh, before anything was read;
                         // "cacheapi-1": answered by this replica
  std::string key;       // "brand-7" of the database, "brand-7 window=24h", "brand-7 window=24h copy=3"
  uint64_t there = 0;    // the version in the database; 0: it is not there
  uint64_t version = 0;  // the version in this place
  Answer how = Answer::kNone;
};

// Reads after the load, of keys that were written. `why` says why they are not all: not answered, out of time, too
// many.
struct AtRest {
  uint64_t written = 0;  // keys that the load wrote, or that the database has in a newer version than it began with
  uint64_t asked = 0;    // of them, those that were read, in each place
  std::vector<RestRead> reads;
  std::string why;
};

// What one variant did in one repeat. `problems` are reasons why its evidence is not to be trusted: parts that died
// unasked, a starved generator, a missing scrape; the judge turns them into `inconclusive`, never into a verdict.
struct Trial {
  std::string variant;
  int repeat = 0;
  bool again = false;  // the variant once more in this repeat, to show what it differs from itself by
  uint64_t seed = 0;
  double duration_s = 0;
  int64_t started_unix_ns = 0;  // wall clock at t = 0
  std::vector<Phase> phases;
  std::vector<StreamInfo> streams;
  std::vector<Op> ops;  // all of them, by intended time
  std::vector<FaultRecord> faults;
  std::vector<Series> series;
  std::optional<AtRest> at_rest;           // absent: the lab did not ask, or nothing in it keeps copies
  std::optional<Exploration> exploration;  // of a lab that explores
  std::map<std::string, double> finals;    // final reads, by name: "redis.memory_per_key{lane=gcra}" (base units)
  std::vector<PartInfo> parts;
  std::vector<Event> events;
  std::vector<std::string> problems;
  std::vector<std::string> host_problems;  // those of `problems` that are the host's doing, whatever the lab
  std::vector<std::string> cautions;       // what the host did that only a narrow miss could be owed to
  std::vector<std::string> disturbed;      // why the trial before this one, of which this is the repetition, is not it
  double generator_cpu_s = 0;
  bool complete = false;  // false: broken off (interrupted, a part could not start)
};

}  // namespace lab::bench
