#include "services/cacheapi/feed/change_feed.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "services/cacheapi/model/version.h"
#include "services/cacheapi/shared/flush.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"

namespace lab::cacheapi {
namespace {

constexpr char kLook[] = R"sql(
SELECT (SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
       (SELECT count(*) FROM pg_publication WHERE pubname = $2::text),
       coalesce(slot.wal_status, 'none'), coalesce(slot.active, false),
       coalesce(slot.confirmed_flush_lsn - '0/0'::pg_lsn, 0)::bigint
FROM (VALUES (1)) AS one LEFT JOIN pg_replication_slots AS slot ON slot.slot_name = $1::text
)sql";

constexpr char kDropSlot[] = "SELECT pg_drop_replication_slot($1)";
constexpr char kMakeSlot[] = "SELECT pg_create_logical_replication_slot($1, 'pgoutput')";

uint64_t Number(std::string_view text) {
  uint64_t number = 0;
  return absl::SimpleAtoi(View(text), &number) ? number : 0;
}

// The brands that it has changed, each with its newest version; nothing when they cannot be named, or are more than
// `most`.
std::optional<Teller::Brands> BrandsOf(const pg::CommittedTransaction& transaction, size_t most) {
  if (transaction.too_large) return std::nullopt;
  Teller::Brands brands;
  for (const pg::Change& change : transaction.changes) {
    if (change.kind == pg::Change::Kind::kTruncate) return std::nullopt;
    const auto brand = change.columns.find("brand_id"), version = change.columns.find("version");
    if (brand == change.columns.end()) continue;
    // A deleted row tells no version: whatever is cached goes.
    uint64_t& newest = brands[brand->second];
    newest = std::max(newest, version == change.columns.end() ? kVersionUnknown : Number(version->second));
    if (brands.size() > most) return std::nullopt;
  }
  return brands;
}

}  // namespace

ChangeFeed::Metrics::Metrics(obs::Metrics& m)
    : reading(m.AddGauge("cacheapi_change_feed_reading", "Whether this process reads the slot")),
      told(m.AddCounter("cacheapi_change_feed_told_total", "Changes of brands that L2 has been told of")),
      gaps(m.AddCounter("cacheapi_change_feed_gaps_total", "Times that L2 had to be emptied: changes may be missing")),
      restarts(m.AddCounter("cacheapi_change_feed_restarts_total", "Times that the stream of changes began anew")) {}

ChangeFeed::ChangeFeed(Parts parts, Options options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      place_key_(Concat("cacheapi:cdc:", options_.slot)),
      metrics_(parts_.metrics),
      look_("feed.look", kLook),
      make_publication_("feed.publication",
                        Concat("CREATE PUBLICATION ", options_.publication, " FOR TABLE brand_state")),
      drop_slot_("feed.drop_slot", kDropSlot),
      make_slot_("feed.make_slot", kMakeSlot),
      backoff_({options_.retry_min, options_.retry_max}, Mix(reinterpret_cast<uintptr_t>(this))),
      timer_(parts_.loop.io()),
      alive_(std::make_shared<bool>(true)) {
  // Redis may have come back with less than it had, also of what it has acknowledged behind the last place that was
  // kept.
  parts_.redis.OnConnection([this, alive = alive_](bool stands) {
    if (*alive && stands && stream_) Restart(absl::UnavailableError("a connection to Redis is new"));
  });
  Later();
}

ChangeFeed::~ChangeFeed() { *alive_ = false; }

template <typename Handler>
auto ChangeFeed::Guarded(Handler handler) {
  return [this, alive = alive_, epoch = epoch_, handler = std::move(handler)](auto&& result) mutable {
    if (*alive && epoch == epoch_) handler(std::forward<decltype(result)>(result));
  };
}

// ---- until the slot can be read ----

void ChangeFeed::Later() {
  timer_.expires_after(backoff_.Next(std::exchange(stood_at_, {}), Clock::now()));
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (*alive && !error) Look();
  });
}

void ChangeFeed::Look() {
  // Without Redis nobody could be told.
  if (!parts_.redis.connected() || !parts_.sql.connected()) return Later();
  const pg::Param params[] = {options_.slot, options_.publication};
  parts_.sql.Execute(look_, params, Guarded([this](absl::StatusOr<pg::Results> results) {
                       results.ok() && (*results)[0].rows() == 1 ? Looked((*results)[0]) : Later();
                     }));
}

void ChangeFeed::Looked(const pg::Result& row) {
  const std::string_view state = row.text(0, 2);
  confirmed_ = std::max(confirmed_, static_cast<pg::Lsn>(row.integer(0, 4)));
  std::string complaint;
  if (row.text(0, 0) == "-1") {
    complaint =
        "max_slot_wal_keep_size is -1: a slot that nobody reads would fill the server's disk; set it to some gigabytes";
  }
  if (complaint != complaint_ && !complaint.empty()) {
    obs::Log(obs::Level::kError, "cacheapi_change_feed_refused", {{"reason", complaint}});
  }
  complaint_ = complaint;
  if (!complaint.empty()) return Later();
  if (row.integer(0, 1) == 0) return MakePublication();
  if (state == "lost") return DropLostSlot();
  if (state == "none") return MakeSlot();
  if (row.text(0, 3) == "t") return Later();  // another process reads it
  Open();
}

void ChangeFeed::Execute(const pg::Statement& statement, bool with_slot) {
  const pg::Param params[] = {options_.slot};
  const absl::Span<const pg::Param> given = with_slot ? absl::MakeConstSpan(params) : absl::Span<const pg::Param>();
  // Whatever comes of it, the next look sees it; another process may have been faster.
  parts_.sql.Execute(statement, given, Guarded([this, name = statement.name()](absl::StatusOr<pg::Results> results) {
                       const absl::Status& status = results.status();
                       obs::Log(status.ok() ? obs::Level::kInfo : obs::Level::kWarn, "cacheapi_change_feed_prepares",
                                {{"what", name}, {"outcome", status.ToString()}});
                       Later();
                     }));
}

void ChangeFeed::MakePublication() { Execute(make_publication_, false); }

void ChangeFeed::DropLostSlot() { Execute(drop_slot_, true); }

// First the place in L2 goes: whoever finds the new slot must see that L2 has not been told of what was before it.
void ChangeFeed::MakeSlot() {
  confirmed_ = 0;
  const std::array<std::string_view, 2> forget = {"DEL", place_key_};
  parts_.redis.Command(forget, Guarded([this](absl::StatusOr<redis::Reply> reply) {
                         reply.ok() ? Execute(make_slot_, true) : Later();
                       }));
}

void ChangeFeed::Open() {
  pg::ChangeStream::Options stream;
  stream.host = parts_.server.host;
  stream.port = parts_.server.port;
  stream.database = parts_.server.database;
  stream.user = parts_.server.user;
  stream.password = parts_.server.password;
  stream.slot = options_.slot;
  stream.publication = options_.publication;
  stream.make_slot = false;
  stream.confirm_by_hand = true;
  stream.confirm_every = options_.confirm_every;
  stream.most_bytes = options_.most_bytes;
  pg::ChangeStream::Listener listener;
  listener.on_transaction = [this](const pg::CommittedTransaction& transaction) { return Take(transaction); };
  listener.on_connected = [this] {
    if (ending_) return;
    stood_at_ = Clock::now();
    Begin();
  };
  listener.on_lost = [this](const absl::Status& why) { Restart(why); };
  // Each stream asks from its own beginning: what the slot has not been told of comes again.
  stream_.emplace(parts_.loop, std::move(stream), std::move(listener), parts_.metrics);
}

// ---- while it is read ----

void ChangeFeed::Begin() {
  progress_.emplace(confirmed_);
  teller_.emplace(parts_.apply);
  CheckPlace();
}

void ChangeFeed::CheckPlace() {
  const std::array<std::string_view, 2> get = {"GET", place_key_};
  parts_.redis.Command(get, Guarded([this](absl::StatusOr<redis::Reply> reply) {
                         if (!reply.ok()) return Restart(reply.status());
                         const auto in_l2 = reply->is_nil() ? std::nullopt : std::optional(Number(reply->text()));
                         progress_->Compare(in_l2) ? Settled() : Empty(Progress::kDoubt);
                       }));
}

bool ChangeFeed::Take(const pg::CommittedTransaction& transaction) {
  if (ending_) return false;
  if (transaction.changes.empty() && !transaction.too_large) {
    progress_->Idle(transaction.end);
    KeepPlace();
    return true;
  }
  const uint64_t number = progress_->Begin(transaction.end);
  std::optional<Teller::Brands> brands = BrandsOf(transaction, options_.most_named);
  if (!brands) {
    Empty(number);
  } else {
    const size_t count = brands->size();
    teller_->Tell(*std::move(brands), Guarded([this, number, count](const absl::Status& status) {
      if (!status.ok()) return Restart(status);
      metrics_.told.Increment(static_cast<double>(count));
      Told(number);
    }));
  }
  if (!ending_ && Full()) stream_->Pause();
  return true;
}

// Tells of a transaction, or ends the doubt, by taking everything out of L2. What a walk has passed before the commit
// may stand there again, as it was: so one that is under way tells nothing of what comes later.
void ChangeFeed::Empty(uint64_t number) {
  parts_.forget_here();
  emptying_.by_next.push_back(number);
  if (!emptying_.under_way) Walk();
}

void ChangeFeed::Walk() {
  emptying_.under_way = true;
  emptying_.by_this.swap(emptying_.by_next);
  metrics_.gaps.Increment();
  obs::Log(obs::Level::kWarn, "cacheapi_change_feed_gap", {{"slot", options_.slot}});
  FlushEntries(parts_.redis, [this, alive = alive_](const absl::Status& status) {
    if (*alive) Walked(status);
  });
}

void ChangeFeed::Walked(const absl::Status& status) {
  emptying_.under_way = false;
  const std::vector<uint64_t> told = std::exchange(emptying_.by_this, {});
  if (!status.ok() && !told.empty()) return Restart(status);
  if (!told.empty()) parts_.forget_here();  // what was read from L2 meanwhile
  for (const uint64_t number : told) Told(number);
  if (!emptying_.by_next.empty()) Walk();
}

void ChangeFeed::Told(uint64_t number) {
  const bool was_settled = progress_->settled();
  progress_->Told(number);
  if (!was_settled && progress_->settled()) return Settled();
  if (!Full()) stream_->Resume();
  KeepPlace();
}

void ChangeFeed::Settled() {
  metrics_.reading.Set(1);
  if (!Full()) stream_->Resume();
  KeepPlace();
}

bool ChangeFeed::Full() const {
  return progress_->untold() >= options_.most_in_flight || teller_->waiting() > options_.most_named;
}

// One at a time: while one is on its way, the next one gathers.
void ChangeFeed::KeepPlace() {
  const std::optional<pg::Lsn> place = progress_->NextToKeep();
  if (!place) return;
  const std::string text = std::to_string(*place);
  const std::array<std::string_view, 3> set = {"SET", place_key_, text};
  parts_.redis.Command(set, Guarded([this](absl::StatusOr<redis::Reply> reply) {
                         if (!reply.ok()) return Restart(reply.status());
                         confirmed_ = progress_->Kept();
                         stream_->Confirm(confirmed_);
                         KeepPlace();
                       }));
}

// Called from within the stream too, so it ends a turn later.
void ChangeFeed::Restart(const absl::Status& why) {
  if (ending_) return;
  ending_ = true;
  ++epoch_;
  emptying_.by_this.clear();
  emptying_.by_next.clear();
  metrics_.reading.Set(0);
  metrics_.restarts.Increment();
  obs::Log(obs::Level::kInfo, "cacheapi_change_feed_begins_anew", {{"reason", why.ToString()}});
  parts_.loop.Post([this, alive = alive_] {
    if (!*alive) return;
    ending_ = false;
    stream_.reset();
    teller_.reset();
    progress_.reset();
    Later();
  });
}

}  // namespace lab::cacheapi
