#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/cacheapi/feed/change_feed.h"
#include "services/cacheapi/feed/outbox_relay.h"
#include "services/cacheapi/feed/tracking.h"
#include "services/cacheapi/gate/step_gate.h"
#include "services/cacheapi/origin/origin.h"
#include "services/cacheapi/read/reader.h"
#include "services/cacheapi/shared/shared_cache.h"
#include "services/cacheapi/write/write_queue.h"
#include "services/runtime/app/config.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

// Who tells L2 of a write.
enum class Invalidation : uint8_t {
  kWriter,  // the process that has committed it, if it lives long enough (race 4)
  kOutbox,  // outbox_relay.h
  kCdc,     // change_feed.h
};

struct FeedOptions {
  Invalidation invalidation = Invalidation::kWriter;
  bool tracking = true;  // where there are both L1 and L2
  Tracking::Options l1;
  OutboxRelay::Options outbox;
  ChangeFeed::Options cdc;
  WriteQueue::Options queue;
};

// invalidation, l1.tracking*, outbox.*, cdc.*, write_behind.*
void DeclareFeeds(app::Schema& schema, FeedOptions& options);
// What no field can say by itself. `shared`: there is an L2.
void CheckFeeds(const FeedOptions& options, bool shared, bool write_behind, std::vector<std::string>& errors);

// What works beside the requests of the API: it hears of changes, and writes what waits in the queue. Each part only
// where it is asked for, and where there is an L2.
class Feeds {
 public:
  struct Parts {
    async::Loop& loop;
    redis::Client* redis;  // null without L2; then there is nothing to do
    redis::Options redis_server;
    SharedCache* shared;
    Reader& reader;
    Origin& origin;
    StepGate* gate;
    pg::Options database;  // for a connection of its own, which may write
    obs::Metrics& metrics;
    failpoint::Controller* failpoints;
    ApplyChange apply;
    bool local;         // there is an L1
    bool write_behind;  // there is a queue
  };
  Feeds(Parts parts, const FeedOptions& options);
  ~Feeds();  // as Stop

  // Once, when everything that they call is there.
  void Start(uint64_t seed);
  // After Redis has been closed: what it executes may be of these.
  void Stop();
  // As WriteQueue::Append; UNAVAILABLE when there is no queue.
  void Enqueue(const Correction& correction, absl::AnyInvocable<void(absl::Status)> done);
  // For the gate: `done` once this process has heard what Redis had told it before (Tracking::WhenHeard); at once
  // where Redis tells nothing.
  void WhenHeard(absl::AnyInvocable<void()> done);

 private:
  const Parts parts_;
  const FeedOptions options_;
  std::optional<pg::Client> pool_;
  std::optional<Tracking> tracking_;
  std::optional<OutboxRelay> relay_;
  std::optional<ChangeFeed> change_feed_;
  std::optional<WriteQueue> queue_;
};

}  // namespace lab::cacheapi
