#include "services/cacheapi/write/write_queue.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "absl/strings/numbers.h"
#include "services/cacheapi/write/scripts.h"
#include "services/runtime/async/doubled.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"

namespace lab::cacheapi {
namespace {

constexpr std::string_view kGroup = "appliers";
constexpr std::string_view kConsumer = "applier";  // one for all: only who has the turn takes entries
constexpr Nanos kTend = std::chrono::seconds(1);

bool Has(const absl::Status& status, std::string_view text) {
  return std::string_view(status.message().data(), status.message().size()).find(text) != std::string_view::npos;
}

// Of a write for what it is, so that it never will be applied: bad values (SQLSTATE class 22), a constraint (23), or a
// request id of another brand. Whatever else the server says, of a lock, a right, a table that is not there yet, may
// change: what was acknowledged waits for it.
bool IsOfTheWrite(const absl::Status& status) {
  if (Has(status, "(SQLSTATE ")) return Has(status, "(SQLSTATE 22") || Has(status, "(SQLSTATE 23");
  return absl::IsAlreadyExists(status);
}

// What CONFIG GET *append* has to say: pairs of names and values.
absl::Status Durability(const redis::Reply& config) {
  std::map<std::string, std::string, std::less<>> values;
  for (size_t i = 0; i + 1 < config.size(); i += 2) values[std::string(config[i].text())] = config[i + 1].text();
  std::string missing;
  const auto want = [&](const char* name, const char* value) {
    const auto found = values.find(name);
    if (found == values.end() || found->second != value)
      missing += Concat(missing.empty() ? "" : ", ", name, " ", value);
  };
  want("appendonly", "yes");
  want("appendfsync", "always");
  want("no-appendfsync-on-rewrite", "no");
  if (missing.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(Concat(
      "write_behind acknowledges what only Redis has, and this Redis may forget it when it dies: it needs ", missing));
}

absl::Status NotKnownYet() {
  return absl::UnavailableError("it is not known yet whether Redis keeps what it has acknowledged");
}

bool ReadFields(const redis::Reply& fields, Correction& correction) {
  bool all = fields.size() == 10;
  for (size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::string_view name = fields[i].text(), value = fields[i + 1].text();
    if (name == "brand") correction.brand = value;
    if (name == "note") correction.note = value;
    if (name == "request") correction.request_id = value;
    if (name == "remove") correction.remove = value == "1";
    if (name == "posts") all = absl::SimpleAtoi(View(value), &correction.posts) && all;
  }
  return all && !correction.brand.empty() && !correction.request_id.empty();
}

obs::Counter& Count(obs::Metrics& metrics, const char* what, const char* help) {
  return metrics.AddCounter(Concat("cacheapi_write_queue_", what, "_total"), help);
}

}  // namespace

WriteQueue::Metrics::Metrics(obs::Metrics& m)
    : depth(m.AddGauge("cacheapi_write_queue_depth", "Writes that have been acknowledged and not applied")),
      age(m.AddGauge("cacheapi_write_queue_age_seconds", "For how long the oldest of them has waited")),
      durable(m.AddGauge("cacheapi_write_queue_durable", "Whether Redis keeps what it has acknowledged")),
      applied(Count(m, "applied", "Writes of the queue that have been applied")),
      refused(Count(m, "refused", "Writes of the queue that the database will not have")),
      taken_over(Count(m, "taken_over", "Writes that another worker, or this one before a failure, had not ended")),
      failures(Count(m, "failures", "Batches that have to be applied again")) {}

WriteQueue::WriteQueue(Parts parts, Options options, obs::Metrics& metrics, uint64_t seed)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      turn_key_(Concat(options_.stream, ":turn")),
      refused_key_(Concat(options_.stream, ":refused")),
      token_(std::to_string(Mix(seed))),
      metrics_(metrics),
      append_(kQueueAppendScript, "queue_append"),
      done_(kQueueDoneScript, "queue_done"),
      take_(kQueueTakeScript, "queue_take"),
      hold_(kQueueHoldScript, "queue_hold"),
      state_(kQueueStateScript, "queue_state"),
      durable_(NotKnownYet()),
      steps_(parts_.gate),
      teller_(parts_.apply),
      timer_(parts_.loop.io()),
      tend_timer_(parts_.loop.io()),
      alive_(std::make_shared<bool>(true)) {
  parts_.redis.OnConnection([this, alive = alive_](bool stands) {
    if (!*alive) return;
    // Another server may answer, or the same with another configuration and less than it had.
    durable_ = NotKnownYet();
    metrics_.durable.Set(0);
    turn_until_ = {};
    if (stands) Tend();
  });
  Tend();
  if (options_.applies) After(options_.idle);
}

WriteQueue::~WriteQueue() { *alive_ = false; }

// ---- appending ----

void WriteQueue::Append(const Correction& correction, absl::AnyInvocable<void(absl::Status)> done) {
  if (!durable_.ok()) {
    const absl::Status why = absl::UnavailableError(durable_.message());
    return parts_.loop.Post([done = std::move(done), why]() mutable { done(why); });
  }
  const std::string most = std::to_string(options_.most_waiting), posts = std::to_string(correction.posts);
  const std::array<std::string_view, 1> keys = {options_.stream};
  const std::array<std::string_view, 11> arguments = {most,
                                                      "brand",
                                                      correction.brand,
                                                      "posts",
                                                      posts,
                                                      "note",
                                                      correction.note,
                                                      "request",
                                                      correction.request_id,
                                                      "remove",
                                                      correction.remove ? "1" : "0"};
  parts_.redis.Eval(append_, keys, arguments,
                    [this, alive = alive_, done = std::move(done)](absl::StatusOr<redis::Reply> reply) mutable {
                      if (!reply.ok()) return done(reply.status());
                      if (reply->text().empty()) {
                        return done(absl::ResourceExhaustedError("too many writes wait to be applied"));
                      }
                      if (*alive && options_.applies && !working_) After(Nanos(0));
                      done(absl::OkStatus());
                    });
}

// ---- once a second ----

void WriteQueue::Tend() {
  if (parts_.redis.connected()) {
    AskDurable();
    AskState();
    if (options_.applies) AskTurn();
  }
  tend_timer_.expires_after(std::min<Nanos>(kTend, options_.hold / 3));
  tend_timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (*alive && !error) Tend();
  });
}

void WriteQueue::AskDurable() {
  constexpr std::array<std::string_view, 3> kConfig = {"CONFIG", "GET", "*append*"};
  parts_.redis.Command(kConfig, [this, alive = alive_](absl::StatusOr<redis::Reply> reply) {
    if (!*alive) return;
    const absl::Status before = durable_;
    if (reply.ok()) {
      durable_ = Durability(*reply);
    } else if (absl::IsInvalidArgument(reply.status()) || Has(reply.status(), "NOPERM")) {
      durable_ = absl::FailedPreconditionError(
          Concat("write_behind must see that Redis keeps what it acknowledges, and may not ask: ",
                 std::string_view(reply.status().message().data(), reply.status().message().size())));
    }
    metrics_.durable.Set(durable_.ok() ? 1 : 0);
    if (durable_ != before && absl::IsFailedPrecondition(durable_)) {
      obs::Log(obs::Level::kError, "cacheapi_write_queue_refuses", {{"reason", durable_.ToString()}});
    }
  });
}

void WriteQueue::AskState() {
  const std::array<std::string_view, 1> keys = {options_.stream};
  parts_.redis.Eval(state_, keys, {}, [this, alive = alive_](absl::StatusOr<redis::Reply> reply) {
    if (!*alive || !reply.ok() || reply->size() != 2) return;
    metrics_.depth.Set(static_cast<double>((*reply)[0].integer()));
    metrics_.age.Set(static_cast<double>((*reply)[1].integer()) / 1e3);
  });
}

void WriteQueue::AskTurn() {
  const Clock::time_point asked = Clock::now();
  const std::string length = std::to_string(std::chrono::duration_cast<Millis>(options_.hold).count());
  const std::array<std::string_view, 1> keys = {turn_key_};
  const std::array<std::string_view, 2> arguments = {token_, length};
  parts_.redis.Eval(hold_, keys, arguments, [this, alive = alive_, asked](absl::StatusOr<redis::Reply> reply) {
    if (!*alive || !reply.ok()) return;
    if (reply->integer() == 2) {
      ++turn_;
      rest_taken_over_ = false;
    }
    turn_until_ = reply->integer() == 0 ? Clock::time_point{} : asked + options_.hold;
  });
}

// ---- the worker ----

void WriteQueue::After(Nanos wait) {
  if (steps_.gated()) {
    return steps_.Take([this, alive = alive_] {
      if (*alive) Work();
    });
  }
  timer_.expires_after(wait);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (!*alive || error) return;
    steps_.gated() && !working_ ? After(Nanos(0)) : Work();
  });
}

void WriteQueue::At(Step step, absl::AnyInvocable<void()> then) {
  const auto watched = [this](const Entry& entry) { return steps_.Watches(entry.correction.brand); };
  if (std::none_of(batch_.begin(), batch_.end(), watched)) return then();
  steps_.At(step, std::move(then), [this, alive = alive_] {
    if (*alive) Failed(absl::AbortedError("it died at a step"));
  });
}

void WriteQueue::Work() {
  if (working_) return;
  if (!HasTurn() || !parts_.redis.connected()) return After(options_.idle);
  working_ = true;
  Take();
}

// First the oldest that somebody has taken and not ended.
void WriteQueue::Take() {
  const bool over = !rest_taken_over_;
  const std::string most = std::to_string(options_.batch);
  const std::array<std::string_view, 2> keys = {options_.stream, turn_key_};
  const std::array<std::string_view, 5> arguments = {token_, kGroup, kConsumer, most, over ? "1" : "0"};
  parts_.redis.Eval(take_, keys, arguments,
                    [this, alive = alive_, over, turn = turn_](absl::StatusOr<redis::Reply> reply) {
                      if (!*alive) return;
                      if (!reply.ok()) return Has(reply.status(), "NOGROUP") ? MakeGroup() : Failed(reply.status());
                      if (reply->size() != 3) {  // the turn is lost
                        turn_until_ = {};
                        return Rest(options_.idle);
                      }
                      const redis::Reply entries = (*reply)[2];
                      if (over) metrics_.taken_over.Increment(static_cast<double>(entries.size()));
                      if (entries.size() > 0) return Taken(entries);
                      if (over) {
                        rest_taken_over_ = turn == turn_ && (*reply)[1].text() == "0-0";
                        return Take();
                      }
                      failed_ = 0;
                      Rest(async::Doubled(options_.poll, idle_++, options_.idle));
                    });
}

void WriteQueue::Rest(Nanos wait) {
  working_ = false;
  After(wait);
}

void WriteQueue::MakeGroup() {
  const std::array<std::string_view, 6> make = {"XGROUP", "CREATE", options_.stream, kGroup, "0", "MKSTREAM"};
  parts_.redis.Command(make, [this, alive = alive_](absl::StatusOr<redis::Reply> reply) {
    if (!*alive) return;
    if (!reply.ok() && !Has(reply.status(), "BUSYGROUP")) return Failed(reply.status());
    Take();
  });
}

void WriteQueue::Taken(const redis::Reply& entries) {
  idle_ = 0;
  batch_.clear();
  changed_.clear();
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].size() != 2) continue;  // deleted since it was taken
    Entry entry;
    entry.id = std::string(entries[i][0].text());
    entry.readable = ReadFields(entries[i][1], entry.correction);
    if (!entry.readable) entry.refused = absl::DataLossError("not a write");
    batch_.push_back(std::move(entry));
  }
  if (batch_.empty()) return Rest(options_.poll);
  auto commit = [this, alive = alive_] {
    if (*alive) Commit();
  };
  if (parts_.gate == nullptr || options_.actor.empty()) return At(Step::kCommit, std::move(commit));
  parts_.gate->Arrive(options_.actor, Step::kCommit, std::move(commit));
}

void WriteQueue::Commit() {
  std::vector<Correction> corrections;
  for (const Entry& entry : batch_) {
    if (entry.readable) corrections.push_back(entry.correction);
  }
  if (corrections.empty()) return TellCache();
  parts_.origin.WriteAll(corrections, [this, alive = alive_](absl::StatusOr<Outcomes> outcomes) {
    if (*alive) Committed(outcomes);
  });
}

void WriteQueue::Committed(const absl::StatusOr<Outcomes>& outcomes) {
  if (!outcomes.ok()) return IsOfTheWrite(outcomes.status()) ? CommitOneByOne(0) : Failed(outcomes.status());
  // The same request may have been applied by another at this very moment, which our snapshot did not show.
  const auto taken = [](const auto& outcome) { return absl::IsAlreadyExists(outcome.status()); };
  if (std::any_of(outcomes->begin(), outcomes->end(), taken)) return CommitOneByOne(0);
  size_t next = 0;
  for (Entry& entry : batch_) {
    if (entry.readable) Ended(entry, (*outcomes)[next++]);
  }
  TellCache();
}

// One of them makes the database refuse all, or looks as if it were of another brand: it is found, and the others are
// applied, in their order.
void WriteQueue::CommitOneByOne(size_t next) {
  while (next < batch_.size() && !batch_[next].readable) ++next;
  if (next == batch_.size()) return TellCache();
  parts_.origin.Write(batch_[next].correction, [this, alive = alive_, next](absl::StatusOr<uint64_t> version) {
    if (!*alive) return;
    const absl::Status& status = version.status();
    if (!status.ok() && !absl::IsNotFound(status) && !IsOfTheWrite(status)) return Failed(status);
    Ended(batch_[next], std::move(version));
    CommitOneByOne(next + 1);
  });
}

void WriteQueue::Ended(Entry& entry, absl::StatusOr<uint64_t> version) {
  entry.refused = version.status();
  if (version.ok()) changed_.emplace_back(entry.correction.brand, *version);
}

void WriteQueue::TellCache() {
  Teller::Brands brands;
  for (const auto& [brand, version] : changed_) brands[brand] = std::max(brands[brand], version);
  if (!parts_.apply || brands.empty()) return Finish();
  telling_ = true;
  teller_.Tell(std::move(brands), [this](const absl::Status& status) {
    telling_ = false;
    steps_.Works();
    status.ok() ? Finish() : Failed(status);
  });
  if (telling_) steps_.Rests();
}

void WriteQueue::Finish() {
  At(Step::kAck, [this, alive = alive_] {
    if (*alive) Leave();
  });
}

void WriteQueue::Leave() {
  std::vector<std::string_view> arguments = {kGroup};
  double refused = 0;
  const std::string kept = std::to_string(kMostRefused);
  for (const Entry& entry : batch_) {
    arguments.push_back(entry.id);
    if (entry.refused.ok()) continue;
    ++refused;
    const std::string why = entry.refused.ToString();
    const std::array<std::string_view, 14> note = {"XADD",    refused_key_,
                                                   "MAXLEN",  "~",
                                                   kept,      "*",
                                                   "id",      entry.id,
                                                   "brand",   entry.correction.brand,
                                                   "request", entry.correction.request_id,
                                                   "why",     why};
    parts_.redis.Command(note, [](const absl::StatusOr<redis::Reply>&) {});
  }
  const std::array<std::string_view, 1> keys = {options_.stream};
  parts_.redis.Eval(done_, keys, arguments, [this, alive = alive_, refused](absl::StatusOr<redis::Reply> reply) {
    if (!*alive) return;
    if (!reply.ok()) return Failed(reply.status());
    metrics_.applied.Increment(static_cast<double>(batch_.size()) - refused);
    if (refused > 0) {
      metrics_.refused.Increment(refused);
      obs::Log(obs::Level::kError, "cacheapi_write_queue_refused", {{"writes", refused}, {"stream", refused_key_}});
    }
    failed_ = 0;
    Rest(batch_.size() == static_cast<size_t>(options_.batch) ? Nanos(0) : options_.poll);
  });
}

// All of the batch again, from what is taken and not ended: what was applied changes nothing.
void WriteQueue::Failed(const absl::Status& why) {
  metrics_.failures.Increment();
  if (failed_ == 0) obs::Log(obs::Level::kWarn, "cacheapi_write_queue_batch_failed", {{"reason", why.ToString()}});
  rest_taken_over_ = false;
  Rest(async::Doubled(options_.poll, failed_++, options_.retry));
}

}  // namespace lab::cacheapi
