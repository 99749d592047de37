#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "services/runtime/async/backoff.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/pg/pgoutput.h"

namespace lab::pg {

// Change data capture: what transactions have committed, from the server's logical decoding (pgoutput), in the order of
// their commits, at least once. The server keeps its log until it is confirmed: a slot that nobody reads fills the
// disk, so cap it (max_slot_wal_keep_size) and drop it (DropSlot) when it is not needed any more. Needs
// wal_level=logical and a role that may replicate. On the loop's thread.
//
// Connects again after any loss, and begins at what was confirmed last: transactions after that come again. A server
// that says nothing for `silence`, though it is asked for a sign of life, is lost too.
//   pg_changes_total, pg_change_transactions_total, pg_change_reconnects_total
//   pg_change_lag_seconds   from the commit, on the server's clock, to here, of the last transaction
class ChangeStream {
 public:
  struct Options {
    std::string host = "127.0.0.1";  // an address or a name
    int port = 5432;
    std::string database = "insights";
    std::string user = "lab";
    std::string password;  // from the environment only
    std::string slot;
    bool make_slot = true;    // when it is not there; otherwise the stream waits until somebody has made it
    std::string publication;  // which tables: made by a migration
    bool temporary = false;   // the slot goes with the connection, and what happens meanwhile is never told
    // What has been taken care of is said by Confirm, later than on_transaction. Places behind which nothing of ours
    // lies come as transactions without changes, so that the log behind them can be forgotten too.
    bool confirm_by_hand = false;
    Nanos connect_timeout = Millis(2000);
    Nanos confirm_every = Millis(1000);
    // Not while it makes a slot, which waits for transactions that are open. Longer than half of the server's
    // wal_sender_timeout (60 s): for so long it may be busy with a transaction that has nothing of ours. Counted in
    // confirm_every.
    Nanos silence = std::chrono::seconds(60);
    size_t most_bytes = PgOutput::kMostBytes;  // of a transaction; a larger one comes without its changes (too_large)
    async::Backoff::Options reconnect;
  };
  struct Listener {
    // Returns whether it has been taken care of: then it is confirmed, and does not come again. False, also by hand:
    // the stream begins again at what was confirmed. Who only needs time pauses the stream.
    std::function<bool(const CommittedTransaction&)> on_transaction;
    // The stream stands (again): from here on nothing is missed. With a temporary slot what happened before may have
    // been.
    std::function<void()> on_connected;
    std::function<void(const absl::Status&)> on_lost;
  };

  ChangeStream(async::Loop& loop, Options options, Listener listener, obs::Metrics& metrics);
  ~ChangeStream();  // as Close
  ChangeStream(const ChangeStream&) = delete;
  ChangeStream& operator=(const ChangeStream&) = delete;

  bool connected() const;
  // Nothing more is read until Resume, beyond what is being told at this moment: it waits in the socket and with the
  // server. Both may be called from within the listener; a stream that stands anew is not paused.
  void Pause();
  void Resume();
  // By hand: everything up to here has been taken care of. Told to the server within confirm_every.
  void Confirm(Lsn upto);
  Lsn confirmed() const;
  // The listener hears nothing more.
  void Close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with handlers in flight
};

}  // namespace lab::pg
