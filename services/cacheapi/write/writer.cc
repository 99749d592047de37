#include "services/cacheapi/write/writer.h"

#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "services/cacheapi/model/split_key.h"
#include "services/cacheapi/model/value.h"
#include "services/cacheapi/model/window.h"

namespace lab::cacheapi {
namespace {

// Whether a tombstone is what nothing older gets past, when the value itself is not put.
bool Buries(WritePattern pattern) { return pattern == WritePattern::kBury || pattern == WritePattern::kVersionedSet; }

obs::Counter& Writes(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("cacheapi_writes_total", "Writes by how they ended", {{"outcome", outcome}});
}
obs::Counter& Invalidations(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("cacheapi_invalidations_total", "Times that L2 was to be told of a write",
                            {{"outcome", outcome}});
}

}  // namespace

struct Writer::Metrics {
  explicit Metrics(obs::Metrics& m)
      : ok(Writes(m, "ok")),
        unknown(Writes(m, "unknown")),
        refused(Writes(m, "refused")),
        failed(Writes(m, "error")),
        told(Invalidations(m, "ok")),
        retried(Invalidations(m, "retried")),
        given_up(Invalidations(m, "given_up")),
        duration(m.AddHistogram("cacheapi_write_duration_seconds", "Of a write, until it was acknowledged",
                                obs::LatencyBuckets())) {}
  obs::Counter &ok, &unknown, &refused, &failed, &told, &retried, &given_up;
  obs::Histogram& duration;
};

// One write on its way, or one change that was committed elsewhere (`applied`).
struct Writer::Job {
  explicit Job(async::Loop& loop) : timer(loop.io()) {}
  Correction correction;
  std::string actor;
  Done done;  // empty once answered
  absl::AnyInvocable<void(absl::Status)> applied;
  std::unique_ptr<pg::Transaction> transaction;
  uint64_t version = kVersionUnknown;
  size_t window = 0;          // of ReadNew, PutNew and PutInside: the next one
  std::vector<Insight> read;  // by ReadNew, of each window
  Clock::time_point begin = Clock::now();
  bool counted = true;              // not a brand's: who makes it counts it
  boost::asio::steady_timer timer;  // of kDoubleDelete
  StepGate::Presence presence;
};

Writer::Writer(Parts parts, Options options, obs::Metrics& metrics)
    : parts_(std::move(parts)),
      options_(options),
      metrics_(std::make_unique<Metrics>(metrics)),
      untold_({parts_.loop,
               [this](std::string_view brand, uint64_t version, UntoldBrands::Done done) {
                 auto job = std::make_shared<Job>(parts_.loop);
                 job->correction.brand = std::string(brand);
                 job->version = version;
                 job->applied = std::move(done);
                 Delete(std::move(job));
               },
               parts_.forget_all, [this] { metrics_->given_up.Increment(); }},
              options_.untold, metrics),
      alive_(std::make_shared<bool>(true)) {
  if (parts_.requests == nullptr || !options_.tells_cache) return;  // else who tells hears of the commit, whenever
  undecided_.emplace(
      parts_.loop, *parts_.requests,
      [this](std::string_view brand, uint64_t version) {
        parts_.invalidate_here(brand, version);
        TellByName(brand, version);
      },
      options_.undecided, metrics);
}

Writer::~Writer() { *alive_ = false; }

void Writer::At(Step step, const Job& job, absl::AnyInvocable<void()> then) {
  if (parts_.gate == nullptr) return then();
  parts_.gate->Arrive(job.actor, step, std::move(then));
}

// Whose cache is told by somebody else: one that dies from here on has told nobody.
void Writer::AnswerAlone(JobPtr job, absl::StatusOr<uint64_t> version) {
  Job& now = *job;
  At(Step::kAnswer, now,
     [this, job = std::move(job), version = std::move(version)]() mutable { Answer(*job, std::move(version)); });
}

// What was committed elsewhere is under way once it has been let go. One that dies there tells nobody; the feed does.
void Writer::ApplyAt(JobPtr job) {
  if (parts_.gate == nullptr) return Delete(std::move(job));
  auto dies = [job] { std::exchange(job->applied, nullptr)(absl::AbortedError("it died before it was applied")); };
  const std::string& actor = job->actor;
  auto applies = [this, job]() mutable {
    if (job->actor == StepGate::kFeed) job->presence = StepGate::Presence(parts_.gate, StepGate::kAtWork);
    Delete(std::move(job));
  };
  parts_.gate->Arrive(actor, Step::kApply, std::move(applies), std::move(dies));
}

std::vector<std::string> Writer::KeysOf(std::string_view brand) const {
  std::vector<std::string> keys;
  for (const std::string& key : CacheKeys(brand)) {
    for (std::string& copy : KeyAndCopies(key, options_.copies)) keys.push_back(std::move(copy));
  }
  return keys;
}

void Writer::Write(const Correction& correction, std::string_view actor, Done done) {
  if (undecided_ && undecided_->Full()) {
    metrics_->failed.Increment();
    return parts_.loop.Post([done = std::move(done)]() mutable {
      done(absl::UnavailableError("of too many writes it is not known whether they have happened"));
    });
  }
  auto job = std::make_shared<Job>(parts_.loop);
  job->correction = correction;
  job->actor = std::string(actor);
  job->presence = StepGate::Presence(parts_.gate, actor);
  job->done = std::move(done);
  switch (options_.pattern) {
    case WritePattern::kDeleteBefore:
    case WritePattern::kDoubleDelete:
      return DeleteFirst(std::move(job));
    case WritePattern::kDeleteInTransaction:
    case WritePattern::kWriteThrough:
      return InTransaction(std::move(job));
    case WritePattern::kDeleteAfterCommit:
    case WritePattern::kSetAfterCommit:
    case WritePattern::kVersionedSet:
    case WritePattern::kBury:
      return CommitAlone(std::move(job));
    case WritePattern::kWriteBehind:
      return Enqueue(std::move(job));
  }
}

void Writer::Apply(std::string_view brand, uint64_t version, std::string_view actor,
                   absl::AnyInvocable<void(absl::Status)> done) {
  auto job = std::make_shared<Job>(parts_.loop);
  job->correction.brand = std::string(brand);
  job->actor = std::string(actor);
  job->version = version;
  job->applied = std::move(done);
  if (actor.empty() && parts_.gate != nullptr && parts_.gate->Watches(brand)) job->actor = StepGate::kFeed;
  if (job->actor != StepGate::kFeed) job->presence = StepGate::Presence(parts_.gate, job->actor);
  parts_.invalidate_here(brand, version);
  TellCache(std::move(job));
}

void Writer::AfterCommit(std::string_view brand, absl::StatusOr<uint64_t> version, std::string_view actor, Done done) {
  auto job = std::make_shared<Job>(parts_.loop);
  job->correction.brand = std::string(brand);
  job->actor = std::string(actor);
  job->counted = false;
  job->done = std::move(done);
  Committed(std::move(job), std::move(version));
}

// ---- the orders of database and cache ----

void Writer::DeleteFirst(JobPtr job) {
  if (parts_.shared == nullptr) return CommitAlone(std::move(job));
  Job& now = *job;
  At(Step::kDelete, now, [this, job = std::move(job)]() mutable {
    const std::vector<std::string> keys = KeysOf(job->correction.brand);
    parts_.shared->Delete(keys, [this, alive = alive_, job = std::move(job)](const absl::Status& status) mutable {
      if (!*alive) return;
      if (!status.ok()) metrics_->retried.Increment();
      CommitAlone(std::move(job));
    });
  });
}

// One statement, which commits itself.
void Writer::CommitAlone(JobPtr job) {
  Job& now = *job;
  At(Step::kCommit, now, [this, job = std::move(job)]() mutable {
    const Correction& correction = job->correction;
    parts_.origin.Write(correction,
                        [this, alive = alive_, job = std::move(job)](absl::StatusOr<uint64_t> version) mutable {
                          if (*alive) Committed(std::move(job), std::move(version));
                        });
  });
}

// Acknowledged before it is committed; who applies the queue tells the cache.
void Writer::Enqueue(JobPtr job) {
  if (!parts_.enqueue) return Answer(*job, absl::FailedPreconditionError("there is no queue of writes"));
  Job& now = *job;
  At(Step::kEnqueue, now, [this, job = std::move(job)] {
    const Correction& correction = job->correction;
    parts_.enqueue(correction, [this, alive = alive_, job](const absl::Status& status) {
      if (*alive) AnswerAlone(job, status.ok() ? absl::StatusOr<uint64_t>(kVersionUnknown) : status);
    });
  });
}

void Writer::InTransaction(JobPtr job) {
  parts_.origin.Begin([this, alive = alive_,
                       job = std::move(job)](absl::StatusOr<std::unique_ptr<pg::Transaction>> begun) mutable {
    if (!*alive) return;
    if (!begun.ok()) return Answer(*job, absl::UnavailableError(begun.status().message()));  // nothing has happened
    job->transaction = *std::move(begun);
    Job& now = *job;
    At(Step::kWrite, now, [this, job = std::move(job)]() mutable {
      Job& writing = *job;
      parts_.origin.WriteIn(*writing.transaction, writing.correction,
                            [this, alive = alive_, job = std::move(job)](absl::StatusOr<uint64_t> version) mutable {
                              if (!*alive) return;
                              if (!version.ok()) return Answer(*job, version.status());
                              job->version = *version;
                              Job& written = *job;
                              At(options_.pattern == WritePattern::kWriteThrough ? Step::kSet : Step::kDelete, written,
                                 [this, job = std::move(job)]() mutable { ChangeCacheInside(std::move(job)); });
                            });
    });
  });
}

void Writer::ChangeCacheInside(JobPtr job) {
  auto commit = [this, alive = alive_, job](const absl::Status&) mutable {
    if (!*alive) return;
    Job& now = *job;
    At(Step::kCommit, now, [this, job = std::move(job)]() mutable {
      Job& ending = *job;
      ending.transaction->Commit([this, alive = alive_, job = std::move(job)](const absl::Status& status) mutable {
        if (!*alive) return;
        const uint64_t version = job->version;
        Committed(std::move(job), status.ok() ? absl::StatusOr<uint64_t>(version) : status);
      });
    });
  };
  if (parts_.shared == nullptr) return commit(absl::OkStatus());
  if (options_.pattern == WritePattern::kDeleteInTransaction) {
    return parts_.shared->Delete(KeysOf(job->correction.brand), std::move(commit));
  }
  PutInside(std::move(job), std::move(commit));
}

// Each window as the transaction sees it, one after the other; then on.
void Writer::PutInside(JobPtr job, absl::AnyInvocable<void(absl::Status)> then) {
  if (job->window == kWindows.size()) return then(absl::OkStatus());
  const Window window = kWindows[job->window++];
  Job& now = *job;
  parts_.origin.ReadIn(*now.transaction, now.correction.brand, window,
                       [this, alive = alive_, job = std::move(job), window,
                        then = std::move(then)](absl::StatusOr<Insight> insight) mutable {
                         if (!*alive) return;
                         if (!insight.ok() || !insight->exists) return then(insight.status());
                         Put(job->correction.brand, window, *std::move(insight), false,
                             [this, alive, job, then = std::move(then)](const absl::Status& status) mutable {
                               if (*alive) status.ok() ? PutInside(std::move(job), std::move(then)) : then(status);
                             });
                       });
}

// ---- after the commit ----

void Writer::Committed(JobPtr job, absl::StatusOr<uint64_t> version) {
  job->transaction.reset();
  if (!version.ok()) {
    if (pg::OutcomeUnknown(version.status())) Unknown(job->correction);
    return Answer(*job, version.status());
  }
  job->version = *version;
  parts_.invalidate_here(job->correction.brand, *version);
  const bool told_before = options_.pattern == WritePattern::kDeleteBefore ||
                           options_.pattern == WritePattern::kDeleteInTransaction ||
                           options_.pattern == WritePattern::kWriteThrough;
  if (parts_.shared == nullptr || told_before) return Answer(*job, *version);
  if (!options_.tells_cache) return AnswerAlone(std::move(job), *std::move(version));
  if (options_.pattern == WritePattern::kDoubleDelete) {
    Answer(*job, *version);
    Job& later = *job;
    later.timer.expires_after(options_.second_delete);
    later.timer.async_wait(
        [this, alive = alive_, job = std::move(job)](const boost::system::error_code& error) mutable {
          if (*alive && !error) TellCache(std::move(job));
        });
    return;
  }
  TellCache(std::move(job));
}

// It may have happened: then nothing that was read before may be kept, here and in L2. Or it happens later, and what is
// read until then may be kept: so it is not over.
void Writer::Unknown(const Correction& correction) {
  parts_.invalidate_here(correction.brand, kVersionUnknown);
  TellByName(correction.brand, kVersionUnknown);
  if (undecided_ && !correction.request_id.empty()) undecided_->Add(correction.brand, correction.request_id);
}

// Nobody waits for it, so it goes the way of what has failed already, but at once.
void Writer::TellByName(std::string_view brand, uint64_t version) {
  if (parts_.shared == nullptr) return;
  auto job = std::make_shared<Job>(parts_.loop);
  job->correction.brand = std::string(brand);
  job->version = version;
  Delete(std::move(job));
}

void Writer::TellCache(JobPtr job) {
  if (parts_.shared == nullptr) return Told(std::move(job), absl::OkStatus());
  const bool puts = !job->applied && (options_.pattern == WritePattern::kSetAfterCommit ||
                                      options_.pattern == WritePattern::kVersionedSet);
  Job& now = *job;
  if (puts) {
    job->window = 0;
    job->read.clear();
    return At(Step::kSelect, now, [this, job = std::move(job)]() mutable { ReadNew(std::move(job)); });
  }
  if (now.applied) return ApplyAt(std::move(job));
  At(Step::kDelete, now, [this, job = std::move(job)]() mutable { Delete(std::move(job)); });
}

void Writer::Delete(JobPtr job) {
  const std::vector<std::string> keys = KeysOf(job->correction.brand);
  const uint64_t version = job->version;
  const std::string brand = job->correction.brand;
  auto done = [this, alive = alive_, job = std::move(job)](const absl::Status& status) mutable {
    if (*alive) Told(std::move(job), status);
  };
  if (parts_.versions != nullptr) {
    parts_.versions->Raise(brand, version, std::move(done));
  } else if (Buries(options_.pattern) && version != kVersionUnknown) {
    parts_.shared->Bury(keys, version, std::move(done));
  } else {
    parts_.shared->Delete(keys, std::move(done));
  }
}

// Each window anew, and then all of them into the cache: between the two, what was read may grow old (race 3).
void Writer::ReadNew(JobPtr job) {
  Job& now = *job;
  if (job->window == kWindows.size()) {
    job->window = 0;
    return At(Step::kSet, now, [this, job = std::move(job)]() mutable { PutNew(std::move(job)); });
  }
  const Window window = kWindows[job->window++];
  parts_.origin.Read(now.correction.brand, window,
                     [this, alive = alive_, job = std::move(job)](absl::StatusOr<Insight> insight) mutable {
                       if (!*alive) return;
                       if (!insight.ok()) return Told(std::move(job), insight.status());
                       job->read.push_back(*std::move(insight));
                       ReadNew(std::move(job));
                     });
}

void Writer::PutNew(JobPtr job) {
  if (job->window == kWindows.size()) return Told(std::move(job), absl::OkStatus());
  const size_t index = job->window++;
  Put(job->correction.brand, kWindows[index], std::move(job->read[index]),
      options_.pattern == WritePattern::kVersionedSet, [this, alive = alive_, job](const absl::Status& status) mutable {
        if (*alive) status.ok() ? PutNew(std::move(job)) : Told(std::move(job), status);
      });
}

void Writer::Put(const std::string& brand, Window window, Insight insight, bool newer_only,
                 absl::AnyInvocable<void(absl::Status)> done) {
  Value value;
  value.version = insight.version;
  value.body = std::move(insight.body);
  value.delta = insight.took;
  value.negative = !insight.exists;
  auto stored = [done = std::move(done)](const absl::StatusOr<bool>& kept) mutable { done(kept.status()); };
  newer_only ? parts_.shared->SetIfNewer(CacheKey(brand, window), value, std::move(stored))
             : parts_.shared->Set(CacheKey(brand, window), value, std::move(stored));
}

// L2 has been told, or could not be: then again, until it is. The write itself has happened, and it would be wrong to
// call it failed.
void Writer::Told(JobPtr job, const absl::Status& status) {
  (status.ok() ? metrics_->told : metrics_->retried).Increment();
  // What was read from L2 after the commit, but before L2 was told, may stand in L1 by now (race 13).
  if (status.ok()) parts_.invalidate_here(job->correction.brand, job->version);
  if (job->applied) return std::exchange(job->applied, nullptr)(status);
  if (!status.ok()) untold_.Add(job->correction.brand, job->version);
  Answer(*job, job->version);
}

void Writer::Answer(Job& job, absl::StatusOr<uint64_t> version) {
  Done done = std::exchange(job.done, nullptr);
  if (!done) return;
  job.transaction.reset();
  if (parts_.gate != nullptr) parts_.gate->Answered(job.actor);
  if (!job.counted) return done(std::move(version));
  metrics_->duration.Observe(std::chrono::duration<double>(Clock::now() - job.begin).count());
  const absl::Status& status = version.status();
  const bool refused = absl::IsNotFound(status) || absl::IsAlreadyExists(status);
  (version.ok()                 ? metrics_->ok
   : pg::OutcomeUnknown(status) ? metrics_->unknown
   : refused                    ? metrics_->refused
                                : metrics_->failed)
      .Increment();
  done(std::move(version));
}

}  // namespace lab::cacheapi
