#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/cacheapi/feed/progress.h"
#include "services/cacheapi/write/apply_change.h"
#include "services/cacheapi/write/teller.h"
#include "services/runtime/async/backoff.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/pg/change_stream.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

// Invalidation by change data capture: PostgreSQL itself tells of each committed change of brand_state, whoever has
// made it, and L2 and this process are told of it. What is read and not yet told comes again after any failure (races
// 4, 16). One process reads the slot at a time; the others look now and then, and take over when it is gone.
//
// How far L2 has been told is kept in L2 itself, "cacheapi:cdc:<slot>" → a place in the log: first the deletes, then
// the place, and only then PostgreSQL is told that it may forget what is before it. Hence whoever reads the slot can
// see when L2 and the slot do not belong together any more:
//   - the slot is new: it was never there, was dropped, or had fallen behind further than the server keeps its log
//     (max_slot_wal_keep_size; then it is lost, and made anew). The place is taken out of L2 before a slot is made, so
//     that a process that dies in between leaves no doubt behind;
//   - Redis came back without its last moments (a crash with appendfsync everysec, a failover, an old copy): its
//     place is before what PostgreSQL was told, so deletes before it may be missing as well.
// Then nothing in L2 and L1 can be trusted, and all entries are taken out (flush.h): a gap. Other processes' L1 are
// told by L2 where they follow it (tracking.h), otherwise their lifetime bounds it.
//
// No slot without a bound: on a server with max_slot_wal_keep_size = -1 an unread slot fills the disk, so none is made
// there, and this says so in the log. A publication that is missing is made; that needs the owner of the table.
//
// A transaction is told brand by brand, a few at a time (teller.h). One that names none (TRUNCATE), or too many, or is
// larger than what is kept of one, is told by emptying L2; one walk at a time, and those that come meanwhile share the
// next one. While too much waits to be told the stream is not read: PostgreSQL keeps it.
//   cacheapi_change_feed_reading            1 for who reads the slot
//   cacheapi_change_feed_told_total         changes of brands that L2 has been told of
//   cacheapi_change_feed_gaps_total, cacheapi_change_feed_restarts_total
class ChangeFeed {
 public:
  struct Options {
    std::string slot = "cacheapi";  // a-z, 0-9 and _
    std::string publication = "cacheapi_brand_state";
    Nanos retry_min = Millis(50);  // between looks at the slot, and after a failure: full jitter up to a doubling bound
    Nanos retry_max = Millis(500);
    Nanos confirm_every = Millis(250);
    size_t most_in_flight = 1024;  // transactions that L2 is being told of; the next one waits in PostgreSQL
    size_t most_named = 10'000;    // brands of a transaction that are told one by one
    size_t most_bytes = 4 << 20;   // of a transaction that are kept, as PostgreSQL sends them
  };
  struct Parts {
    async::Loop& loop;
    pg::Client& sql;            // for the catalogue; may write
    const pg::Options& server;  // where the stream connects to
    redis::Client& redis;
    ApplyChange apply;
    std::function<void()> forget_here;  // L1 of this process (Reader::ForgetAll)
    obs::Metrics& metrics;
  };
  ChangeFeed(Parts parts, Options options);
  ~ChangeFeed();
  ChangeFeed(const ChangeFeed&) = delete;
  ChangeFeed& operator=(const ChangeFeed&) = delete;

  bool reading() const { return stream_ && stream_->connected() && progress_ && progress_->settled(); }

 private:
  struct Metrics {
    explicit Metrics(obs::Metrics& metrics);
    obs::Gauge& reading;
    obs::Counter &told, &gaps, &restarts;
  };
  // Of L2: the transactions that the walk under way tells of, and those that came too late for it.
  struct Emptying {
    bool under_way = false;  // may be of what was before the last restart
    std::vector<uint64_t> by_this, by_next;
  };
  // Wraps a callback so that it does nothing once this has begun anew or is gone.
  template <typename Handler>
  auto Guarded(Handler handler);

  // Until the slot can be read.
  void Look();
  void Looked(const pg::Result& row);
  void MakePublication();
  void DropLostSlot();
  void MakeSlot();
  void Execute(const pg::Statement& statement, bool with_slot);
  void Open();
  // While it is read.
  void Begin();
  void CheckPlace();
  bool Take(const pg::CommittedTransaction& transaction);
  void Empty(uint64_t number);
  void Walk();
  void Walked(const absl::Status& status);
  void Told(uint64_t number);
  void Settled();
  bool Full() const;
  void KeepPlace();
  void Restart(const absl::Status& why);
  void Later();

  const Parts parts_;
  const Options options_;
  const std::string place_key_;
  Metrics metrics_;
  const pg::Statement look_, make_publication_, drop_slot_, make_slot_;
  async::Backoff backoff_;
  std::optional<pg::ChangeStream> stream_;
  uint64_t epoch_ = 0;
  Clock::time_point stood_at_{};
  bool ending_ = false;               // a restart is on its way
  pg::Lsn confirmed_ = 0;             // by PostgreSQL or by us: L2 must have been told up to here
  std::optional<Progress> progress_;  // of the stream, once it stands
  std::optional<Teller> teller_;      // likewise
  Emptying emptying_;
  std::string complaint_;  // the last one that was logged
  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
