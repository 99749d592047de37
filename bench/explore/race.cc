#include "bench/explore/race.h"

#include <algorithm>
#include <set>
#include <string>

namespace lab::bench::explore {
namespace {

using Kind = Offence::Kind;

constexpr int kNone = -1;

// A schedule up to (not including) `end`, and where in it the things are that decide.
class Steps {
 public:
  Steps(const History& history, int end) : moves_(history.moves), end_(end) {
    for (const Ended& ended : history.ended) {
      if (ended.writes) writers_.insert(ended.actor);
    }
  }

  bool Writes(const std::string& actor) const { return writers_.count(actor) > 0; }

  const Seen& at(int index) const { return moves_[static_cast<size_t>(index)]; }
  int end() const { return end_; }

  Stored Before(int index) const { return index == 0 ? Stored() : at(index - 1).stored; }

  // The last move of `actor` that is `step`, before `until`.
  int Last(const std::string& actor, const char* step, int until) const {
    for (int i = until - 1; i >= 0; --i) {
      if (at(i).move.actor == actor && at(i).move.step == step) return i;
    }
    return kNone;
  }
  int First(const std::string& actor, const char* step) const {
    for (int i = 0; i < end_; ++i) {
      if (at(i).move.actor == actor && at(i).move.step == step) return i;
    }
    return kNone;
  }
  bool Any(const char* actor, const char* step, int after, int before) const {
    for (int i = after + 1; i < before; ++i) {
      if (at(i).move.actor == actor && at(i).move.step == step) return true;
    }
    return false;
  }
  // The commit that made `version` old.
  int CommitAfter(uint64_t version) const {
    for (int i = 0; i < end_; ++i) {
      if (at(i).committed > version) return i;
    }
    return kNone;
  }
  // Who put it there: the move with which L2 came to have this version, and had it from then on. (A store behind it may
  // have been refused, or have stored the same.)
  int StoreOf(uint64_t version) const {
    for (int i = end_ - 1; i >= 0 && at(i).stored.IsValue(version); --i) {
      if (!Before(i).IsValue(version)) return at(i).move.step == "set" ? i : kNone;
    }
    return kNone;
  }
  // The moves by which this writer, or any where it is "", tells the cache, or somebody applies for it.
  std::vector<int> Tellings(const std::string& writer) const {
    std::vector<int> all;
    for (int i = 0; i < end_; ++i) {
      const Move& move = at(i).move;
      const bool tells = move.step == "delete" || (move.step == "set" && Writes(move.actor));
      const bool its = writer.empty() || move.actor == writer;
      if ((its && tells) || move.step == "apply") all.push_back(i);
    }
    return all;
  }

 private:
  const std::vector<Seen>& moves_;
  const int end_;
  std::set<std::string> writers_;
};

bool Within(const std::vector<int>& moves, int after, int before) {
  return std::any_of(moves.begin(), moves.end(), [&](int i) { return i > after && i < before; });
}

// A reader's fill of `version` at `store`, which it had read at `select`.
int OfFill(const Steps& steps, int select, int store, int commit, bool by_version) {
  const std::string& writer = steps.at(commit).move.actor;
  const std::vector<int> tellings = steps.Tellings(writer);
  // One that dies with nothing left to do has ended before; or somebody else tells for it.
  if (steps.First(writer, kDie) != kNone && !Within(tellings, commit, steps.end())) return 4;
  const bool across = Within(steps.Tellings(""), select, store);
  if (across && by_version && steps.Any(kCache, kEvict, select, store)) return 8;
  const int get = steps.Last(steps.at(store).move.actor, "get", select);
  if (across && get != kNone && steps.at(get).leased && steps.Any(kCache, kExpire, get, store)) return 6;
  if (Within(tellings, kNone, commit) && Within(tellings, std::max(commit, select), store)) return 24;
  if (across) return 1;
  return Within(tellings, kNone, commit) ? 2 : 0;
}

// A writer's own store of what had grown old.
int OfWriter(const Steps& steps, int store, int commit, bool by_version) {
  const std::string& newer = steps.at(commit).move.actor;
  const std::vector<int> tellings = steps.Tellings(newer);
  if (!Within(tellings, kNone, store)) return steps.First(newer, kDie) != kNone ? 4 : 0;
  if (by_version && steps.Any(kCache, kEvict, tellings.front(), store)) return 8;
  return 3;
}

// How L2 came to serve `version`, which had been replaced, before `end`.
int OfStale(const History& history, uint64_t version, int end, bool by_version) {
  const Steps steps(history, end);
  const int commit = steps.CommitAfter(version), store = steps.StoreOf(version);
  if (commit == kNone || store == kNone) return 0;
  const std::string& actor = steps.at(store).move.actor;
  const bool writes = steps.Writes(actor);
  if (writes && store > commit) return OfWriter(steps, store, commit, by_version);
  if (writes) {
    const std::string& newer = steps.at(commit).move.actor;
    return steps.First(newer, kDie) != kNone && !Within(steps.Tellings(newer), commit, end) ? 4 : 0;
  }
  const int select = steps.Last(actor, "select", store);
  return select == kNone ? 0 : OfFill(steps, select, store, commit, by_version);
}

// A read that was given what is old.
int OfRead(const History& history, const Offence& offence, bool by_version) {
  for (const Ended& ended : history.ended) {
    if (ended.actor != offence.actor) continue;
    const Steps steps(history, static_cast<int>(history.moves.size()));
    if (ended.how == "coalesced") return 10;
    // What it was told before was not committed yet when it read.
    if (ended.answered >= 0 && steps.at(ended.answered).committed < offence.expected) return 18;
    const int get = steps.Last(ended.actor, "get", ended.answered + 1);
    if (get == kNone) return 13;  // the cache of its process answered
    return OfStale(history, offence.version, get, by_version);
  }
  return 0;
}

}  // namespace

const std::vector<Race>& Races() {
  static const std::vector<Race> races = {
      {1, "fill against delete"},
      {2, "delete before update"},
      {3, "two writers update the cache"},
      {4, "writer dies between commit and delete"},
      {6, "lease expired, holder paused"},
      {8, "version evicted"},
      {9, "same version, old data"},
      {10, "a read joins a load from before the write"},
      {12, "negative entry against insert"},
      {13, "L1 after L2"},
      {18, "the cache has what was never committed"},
      {19, "an acknowledged write is lost"},
      {24, "a fill slower than the second delete"},
  };
  return races;
}

const Race& RaceOf(int number) {
  static const Race none{0, "none that has a number"};
  for (const Race& race : Races()) {
    if (race.number == number) return race;
  }
  return none;
}

namespace {

Race ClassifyOrder(const History& history, const Offence& offence, bool by_version) {
  const int end = static_cast<int>(history.moves.size());
  switch (offence.kind) {
    case Kind::kLostWrite:
      return RaceOf(19);
    case Kind::kNeverCommitted:
      return RaceOf(18);
    case Kind::kOtherBody:
      return RaceOf(9);
    case Kind::kStaleAtRest:
      // An L1 that has what L2 has is as wrong as L2, for the same cause.
      if (offence.local && !history.rest.stored.IsValue(offence.version)) return RaceOf(13);
      return RaceOf(OfStale(history, offence.version, end, by_version));
    case Kind::kReadYourWrites:
    case Kind::kMonotonicRead:
      if (offence.actor.empty()) return RaceOf(OfStale(history, offence.version, offence.at + 1, by_version));
      return RaceOf(OfRead(history, offence, by_version));
  }
  return RaceOf(0);
}

}  // namespace

Race Classify(const History& history, const Offence& offence, bool by_version) {
  const Race race = ClassifyOrder(history, offence, by_version);
  return race.number == 1 && offence.version == 0 ? RaceOf(12) : race;
}

}  // namespace lab::bench::explore
