#include "services/cacheapi/feeds.h"

#include <algorithm>
#include <utility>

#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// It stands in commands that take no parameters.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

void DeclareFeeds(app::Schema& schema, FeedOptions& options) {
  schema.OneOf(
      "invalidation", {"writer", "outbox", "cdc"}, static_cast<size_t>(options.invalidation),
      [&options](size_t index) { options.invalidation = static_cast<Invalidation>(index); },
      "Who tells L2 of a write: who has made it, a relay of the outbox, or change data capture");
  schema.Bool("l1.tracking", &options.tracking,
              "L1 is told by Redis of every change in L2, and is out of use while it is not told");
  schema.Duration("l1.tracking_beat", &options.l1.beat, Millis(1), minutes(1),
                  "How often it is seen that Redis still tells");
  schema.Duration("l1.tracking_silence", &options.l1.silence, Millis(10), hours(1),
                  "For how long L1 is used without a sign of that: bound on what it may have missed");
  schema.Duration("outbox.poll", &options.outbox.poll, Millis(1), minutes(1),
                  "Between looks at the outbox: what an invalidation waits for");
  schema.Duration("outbox.idle", &options.outbox.idle, Millis(1), minutes(10), "The same, the longer it is empty");
  schema.Int("outbox.batch", &options.outbox.batch, 1, 10'000, "Rows that are told in one transaction");
  schema.String("cdc.slot", &options.cdc.slot, "Replication slot; one process of those that share it reads it");
  schema.String("cdc.publication", &options.cdc.publication, "Publication of brand_state; made when it is missing");
  schema.Duration("cdc.retry", &options.cdc.retry_max, Millis(50), minutes(1),
                  "Longest wait between looks at a slot that another process reads");
  schema.Int("write_behind.most_waiting", &options.queue.most_waiting, 1, 100'000'000,
             "Writes that may wait to be applied; more are refused");
  schema.Duration("write_behind.idle", &options.queue.idle, Millis(1), minutes(1),
                  "Between looks at the queue while it is empty");
  schema.Duration("write_behind.hold", &options.queue.hold, Millis(100), minutes(10),
                  "Until another process applies the queue of one that has died");
  schema.Bool("write_behind.applies", &options.queue.applies, "Whether this process applies it, or only adds to it");
}

void CheckFeeds(const FeedOptions& options, bool shared, bool write_behind, std::vector<std::string>& errors) {
  if (options.invalidation != Invalidation::kWriter && !shared) {
    errors.emplace_back("invalidation: the outbox and change data capture tell l2, which is off");
  }
  if (write_behind && !shared) errors.emplace_back("write.pattern: the queue of write_behind is in Redis; l2 is off");
  if (options.l1.silence < 2 * options.l1.beat) {
    errors.emplace_back("l1.tracking_silence: at least two beats (l1.tracking_beat)");
  }
  for (const auto& [field, name] :
       {std::pair{"cdc.slot", options.cdc.slot}, std::pair{"cdc.publication", options.cdc.publication}}) {
    if (!IsPlainName(name)) errors.push_back(Concat(field, ": a name of a-z, 0-9 and _, at most 63"));
  }
}

Feeds::Feeds(Parts parts, const FeedOptions& options) : parts_(std::move(parts)), options_(options) {
  if (parts_.redis == nullptr || options_.invalidation == Invalidation::kWriter) return;
  pg::Options pool = parts_.database;
  pool.name = "pg_feed";
  pool.connections = 1;
  pool.group_max = pool.groups_in_flight = 1;
  pool.read_only = false;
  pool_.emplace(parts_.loop, pool, parts_.metrics, parts_.failpoints);
}

Feeds::~Feeds() { Stop(); }

void Feeds::Start(uint64_t seed) {
  if (parts_.redis == nullptr) return;
  if (options_.tracking && parts_.local) {
    tracking_.emplace(parts_.loop, *parts_.redis, parts_.redis_server, *parts_.shared, parts_.reader, options_.l1,
                      parts_.metrics, Mix(seed));
    tracking_->HoldAt(parts_.gate);
  }
  if (options_.invalidation == Invalidation::kOutbox) {
    relay_.emplace(parts_.loop, *pool_, *parts_.redis, parts_.apply, options_.outbox, parts_.metrics);
    relay_->HoldAt(parts_.gate);
  }
  if (options_.invalidation == Invalidation::kCdc) {
    change_feed_.emplace(ChangeFeed::Parts{parts_.loop, *pool_, parts_.database, *parts_.redis, parts_.apply,
                                           [&reader = parts_.reader] { reader.ForgetAll(); }, parts_.metrics},
                         options_.cdc);
  }
  if (parts_.write_behind) {
    const bool tells = options_.invalidation == Invalidation::kWriter;
    queue_.emplace(
        WriteQueue::Parts{parts_.loop, *parts_.redis, parts_.origin, parts_.gate, tells ? parts_.apply : ApplyChange()},
        options_.queue, parts_.metrics, Mix(seed + 1));
  }
}

void Feeds::Stop() {
  if (pool_) pool_->Close();  // what it executes is of those below
  queue_.reset();
  change_feed_.reset();
  relay_.reset();
  tracking_.reset();
}

void Feeds::WhenHeard(absl::AnyInvocable<void()> done) { tracking_ ? tracking_->WhenHeard(std::move(done)) : done(); }

void Feeds::Enqueue(const Correction& correction, absl::AnyInvocable<void(absl::Status)> done) {
  if (queue_) return queue_->Append(correction, std::move(done));
  parts_.loop.Post([done = std::move(done)]() mutable {
    done(absl::UnavailableError("there is no queue of writes, or it has been closed"));
  });
}

}  // namespace lab::cacheapi
