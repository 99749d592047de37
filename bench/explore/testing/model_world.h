#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/explore/search.h"

namespace lab::bench::explore {

// The cache-aside API as a few lines of state, for tests of what reads histories: readers with one way to fill, writers
// with one order of steps. Nothing that is measured or claimed rests on it; service_world_test.cc has the real one.
class ModelWorld : public World {
 public:
  enum class Fill { kPlain, kLease, kNewerOnly };
  struct Options {
    Fill fill = Fill::kPlain;
    std::vector<std::string> write = {"commit", "delete"};  // with "write": a transaction that locks from there on
    bool newer_only = false;                                // the writer's set
    bool bury = false;                                      // delete leaves a tombstone
  };
  ModelWorld(Options options, Cast cast) : options_(std::move(options)), cast_(std::move(cast)) {}

  absl::Status Begin() override {
    actors_.clear();
    for (const Cast::Actor& actor : cast_.actors) {
      Actor one;
      one.ended.actor = actor.name;
      one.ended.writes = actor.writes;
      one.ended.replica = actor.replica;
      one.next = actor.writes ? options_.write.front() : "get";
      actors_.push_back(one);
    }
    stored_ = {};
    committed_ = 1;
    lock_ = lease_ = "";
    evicted_ = expired_ = died_ = false;
    moves_.clear();
    return absl::OkStatus();
  }

  std::vector<Move> Enabled() override {
    std::vector<Move> moves, deaths;
    bool vain = false;
    for (const Actor& actor : actors_) {
      if (actor.next.empty()) continue;
      if (actor.next == "get" && actor.looked && !lease_.empty() && stored_.kind != Stored::Kind::kValue) {
        vain = true;
        continue;
      }
      moves.push_back({actor.ended.actor, actor.next});
      if (cast_.MayDie(actor.ended.actor, actor.ended.writes) && actor.ended.asked >= 0 && !died_)
        deaths.push_back({actor.ended.actor, kDie});
    }
    if (moves.empty()) return vain ? std::vector<Move>{{kCache, kExpire}} : moves;
    if (!moves_.empty() && cast_.evict && !evicted_ && stored_.kind != Stored::Kind::kNone)
      moves.push_back({kCache, kEvict});
    if (!moves_.empty() && cast_.expire && !expired_ && !lease_.empty()) moves.push_back({kCache, kExpire});
    moves.insert(moves.end(), deaths.begin(), deaths.end());
    return moves;
  }

  absl::StatusOr<Taken> Take(const Move& move) override {
    if (move.actor == kCache) {
      if (move.step == kEvict) {
        stored_ = {};
        evicted_ = true;
      } else {
        lease_ = "";
        expired_ = true;
      }
    } else {
      Actor& actor = *std::find_if(actors_.begin(), actors_.end(),
                                   [&](const Actor& one) { return one.ended.actor == move.actor; });
      if (move.step == "write" && !lock_.empty()) return Taken::kBlocked;
      if (actor.ended.asked < 0) actor.ended.asked = static_cast<int>(moves_.size());
      actor.ended.writes ? Write(actor, move.step) : Read(actor);
    }
    moves_.push_back({move, stored_, !lease_.empty(), committed_});
    return Taken::kDone;
  }

  absl::StatusOr<History> Finish() override {
    History history;
    history.moves = moves_;
    for (const Actor& actor : actors_) history.ended.push_back(actor.ended);
    history.rest.version = committed_;
    history.rest.stored = stored_;
    const bool cached = stored_.kind == Stored::Kind::kValue;
    history.rest.served = {{cached ? stored_.version : committed_, 0, false}};
    return history;
  }
  absl::StatusOr<bool> Abandon() override { return false; }

 private:
  struct Actor {
    Ended ended;
    std::string next;  // "": it has ended
    size_t step = 0;
    uint64_t value = 0;  // that it has read, or is about to commit
    bool looked = false;
  };
  void Answer(Actor& actor, uint64_t version, const char* how) {
    actor.ended.answered = static_cast<int>(moves_.size());
    actor.ended.ok = true;
    actor.ended.version = version;
    actor.ended.how = how;
  }
  void Store(uint64_t version, bool newer_only) {
    if (newer_only && stored_.version > version) return;
    stored_ = {Stored::Kind::kValue, version};
    if (newer_only) lease_ = "";
  }
  void Read(Actor& actor) {
    if (actor.next == "get") {
      actor.looked = true;
      if (stored_.kind == Stored::Kind::kValue) {
        Answer(actor, stored_.version, "hit l2");
        actor.next = "";
      } else if (options_.fill != Fill::kLease) {
        actor.next = "select";
      } else if (lease_.empty()) {
        lease_ = actor.ended.actor;
        actor.next = "select";
      }
    } else if (actor.next == "select") {
      actor.value = committed_;
      Answer(actor, committed_, "miss");
      actor.next = "set";
    } else {
      actor.next = "";
      if (options_.fill == Fill::kLease && lease_ != actor.ended.actor) return;
      Store(actor.value, options_.fill == Fill::kNewerOnly);
      if (options_.fill == Fill::kLease) lease_ = "";
    }
  }
  void Write(Actor& actor, const std::string& step) {
    const bool transaction = options_.write.front() == "write";
    if (step == kDie) {
      died_ = true;
      actor.next = "";
      if (lock_ == actor.ended.actor) lock_ = "";
      return;
    }
    if (step == "write") {
      lock_ = actor.ended.actor;
      actor.value = committed_ + 1;
    } else if (step == "commit") {
      committed_ = actor.value = committed_ + 1;
      lock_ = "";
      actor.ended.applied = true;
    } else if (step == "select") {
      actor.value = committed_;
    } else if (step == "set") {
      Store(actor.value, options_.newer_only);
    } else if (step == "delete") {
      stored_ = options_.bury && actor.value > 0
                    ? Stored{Stored::Kind::kTombstone, std::max(stored_.version, actor.value)}
                    : Stored{};
      lease_ = "";
    }
    if (step == "commit") wrote_[actor.ended.actor] = actor.value;
    actor.next = ++actor.step < options_.write.size() ? options_.write[actor.step] : "";
    // A second delete comes after the answer.
    const bool twice = !transaction && options_.write.front() == "delete" && options_.write.size() > 2;
    if (actor.ended.answered < 0 && (actor.next.empty() || (twice && step == "commit"))) {
      Answer(actor, wrote_[actor.ended.actor], "");
    }
  }

  const Options options_;
  const Cast cast_;
  std::vector<Actor> actors_;
  std::map<std::string, uint64_t> wrote_;
  Stored stored_;
  uint64_t committed_ = 1;
  std::string lock_, lease_;
  bool evicted_ = false, expired_ = false, died_ = false;
  std::vector<Seen> moves_;
};

}  // namespace lab::bench::explore
