#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "services/runtime/pg/pgoutput.h"

namespace lab::cacheapi {

// How far the caches have been told of what a replication slot tells, from one beginning of the stream to the next:
// places in PostgreSQL's log, in the order of their commits. Plain: no I/O.
//
// It begins in doubt, as long as nobody has compared the place that L2 keeps with the slot: that is the first thing to
// be told of, at the place that the slot has confirmed. So nothing is kept before it is settled, and whatever has to be
// told of, brand by brand or by emptying L2, in any number and at once, ends in the same way: by its number.
//
//   Begin ─▶ … told in any order … ─▶ Told ─▶ told(): the place behind the last one of which all before have been
//   told() ─▶ NextToKeep ─▶ written to L2 ─▶ Kept ─▶ PostgreSQL may forget what is before it
class Progress {
 public:
  static constexpr uint64_t kDoubt = 0;  // its number

  // `confirmed`: PostgreSQL may have forgotten what is before it, so L2 must have been told of that.
  explicit Progress(pg::Lsn confirmed);

  // What L2 keeps, none when it keeps nothing. True: it has been told of everything before `confirmed`, and the doubt
  // is over. False: it may have missed some; it must be emptied, and Settle then says so.
  bool Compare(std::optional<pg::Lsn> in_l2);
  void Settle() { Told(kDoubt); }
  bool settled() const { return first_ > kDoubt; }

  // A transaction of which the caches have to be told; its number.
  uint64_t Begin(pg::Lsn end);
  // They have been told of it.
  void Told(uint64_t number);
  // A place before which nothing more of ours lies.
  void Idle(pg::Lsn end);

  // What is to be written to L2 now; none while the last one is on its way, or when there is nothing new. Then Kept.
  std::optional<pg::Lsn> NextToKeep();
  // It stands there: what PostgreSQL may be told.
  pg::Lsn Kept();

  size_t untold() const { return entries_.size(); }  // begun, and not told or behind one that is not
  pg::Lsn told() const { return told_; }

 private:
  struct Entry {
    pg::Lsn end = 0;
    bool told = false;
  };
  pg::Lsn confirmed_;
  std::deque<Entry> entries_;
  uint64_t first_ = kDoubt;  // number of the first of them
  pg::Lsn told_ = 0, kept_ = 0;
  std::optional<pg::Lsn> keeping_;
};

}  // namespace lab::cacheapi
