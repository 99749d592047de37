#include "services/cacheapi/writer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "services/cacheapi/local_cache.h"
#include "services/cacheapi/split_key.h"
#include "services/cacheapi/value.h"
#include "services/cacheapi/window.h"

namespace lab::cacheapi {
namespace {

constexpr Nanos kLongestRetry = std::chrono::seconds(1);

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
  uint64_t version = 0;
  size_t window = 0;  // of PutNew: the next one
  int failures = 0;
  Clock::time_point begin = Clock::now();
  boost::asio::steady_timer timer;
};

Writer::Writer(Parts parts, Options options, obs::Metrics& metrics)
    : parts_(std::move(parts)),
      options_(options),
      metrics_(std::make_unique<Metrics>(metrics)),
      alive_(std::make_shared<bool>(true)) {}

Writer::~Writer() { *alive_ = false; }

void Writer::At(Step step, const Job& job, absl::AnyInvocable<void()> then) {
  if (parts_.gate == nullptr) return then();
  parts_.gate->Arrive(job.actor, step, std::move(then));
}

std::vector<std::string> Writer::KeysOf(std::string_view brand) const {
  std::vector<std::string> keys;
  for (const std::string& key : CacheKeys(brand)) {
    for (std::string& copy : KeyAndCopies(key, options_.copies)) keys.push_back(std::move(copy));
  }
  return keys;
}

void Writer::Write(const Correction& correction, std::string_view actor, Done done) {
  auto job = std::make_shared<Job>(parts_.loop);
  job->correction = correction;
  job->actor = std::string(actor);
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
  parts_.invalidate_here(brand, version);
  TellCache(std::move(job));
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
    parts_.origin.Write(correction, [this, alive = alive_,
                                     job = std::move(job)](absl::StatusOr<uint64_t> version) mutable {
      if (*alive) Committed(std::move(job), std::move(version));
    });
  });
}

// Acknowledged before it is committed; who applies the queue tells the cache.
void Writer::Enqueue(JobPtr job) {
  if (!parts_.enqueue) return Answer(*job, absl::FailedPreconditionError("there is no queue of writes"));
  const Correction& correction = job->correction;
  parts_.enqueue(correction, [this, alive = alive_, job](const absl::Status& status) {
    if (*alive) Answer(*job, status.ok() ? absl::StatusOr<uint64_t>(kVersionUnknown) : status);
  });
}

void Writer::InTransaction(JobPtr job) {
  parts_.origin.Begin([this, alive = alive_,
                       job = std::move(job)](absl::StatusOr<std::unique_ptr<pg::Transaction>> begun) mutable {
    if (!*alive) return;
    if (!begun.ok()) return Answer(*job, begun.status());
    job->transaction = *std::move(begun);
    Job& now = *job;
    At(Step::kWrite, now, [this, job = std::move(job)]() mutable {
      Job& writing = *job;
      parts_.origin.WriteIn(
          *writing.transaction, writing.correction,
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
    // It may have happened: then nothing that was read before may be kept, here and in L2.
    if (pg::OutcomeUnknown(version.status())) {
      parts_.invalidate_here(job->correction.brand, LocalCache::kAnyVersion);
      auto after = std::make_shared<Job>(parts_.loop);
      after->correction.brand = job->correction.brand;
      if (parts_.shared != nullptr) Delete(std::move(after));
    }
    return Answer(*job, version.status());
  }
  job->version = *version;
  parts_.invalidate_here(job->correction.brand, *version);
  const bool told_before =
      options_.pattern == WritePattern::kDeleteBefore || options_.pattern == WritePattern::kDeleteInTransaction ||
      options_.pattern == WritePattern::kWriteThrough;
  if (parts_.shared == nullptr || !options_.tells_cache || told_before) return Answer(*job, *version);
  if (options_.pattern == WritePattern::kDoubleDelete) {
    Answer(*job, *version);
    Job& later = *job;
    later.timer.expires_after(options_.second_delete);
    later.timer.async_wait([this, alive = alive_, job = std::move(job)](const boost::system::error_code& error) mutable {
      if (*alive && !error) TellCache(std::move(job));
    });
    return;
  }
  TellCache(std::move(job));
}

void Writer::TellCache(JobPtr job) {
  if (parts_.shared == nullptr) return Told(std::move(job), absl::OkStatus());
  const bool puts = !job->applied &&
                    (options_.pattern == WritePattern::kSetAfterCommit || options_.pattern == WritePattern::kVersionedSet);
  const Step step = job->applied ? Step::kApply : puts ? Step::kSet : Step::kDelete;
  Job& now = *job;
  At(step, now, [this, puts, job = std::move(job)]() mutable {
    job->window = 0;
    puts ? PutNew(std::move(job)) : Delete(std::move(job));
  });
}

void Writer::Delete(JobPtr job) {
  const std::vector<std::string> keys = KeysOf(job->correction.brand);
  const uint64_t version = job->version;
  auto done = [this, alive = alive_, job = std::move(job)](const absl::Status& status) mutable {
    if (*alive) Told(std::move(job), status);
  };
  if (options_.pattern == WritePattern::kBury && version > 0) {
    parts_.shared->Bury(keys, version, std::move(done));
  } else {
    parts_.shared->Delete(keys, std::move(done));
  }
}

// Reads each window anew and puts it there.
void Writer::PutNew(JobPtr job) {
  if (job->window == kWindows.size()) return Told(std::move(job), absl::OkStatus());
  const Window window = kWindows[job->window++];
  Job& now = *job;
  parts_.origin.Read(now.correction.brand, window,
                     [this, alive = alive_, window, job = std::move(job)](absl::StatusOr<Insight> insight) mutable {
                       if (!*alive) return;
                       if (!insight.ok()) return Told(std::move(job), insight.status());
                       Put(job->correction.brand, window, *std::move(insight),
                           options_.pattern == WritePattern::kVersionedSet,
                           [this, alive, job](const absl::Status& status) mutable {
                             if (*alive) status.ok() ? PutNew(std::move(job)) : Told(std::move(job), status);
                           });
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

// L2 has been told, or could not be: then again, until it is. The write itself has happened.
void Writer::Told(JobPtr job, const absl::Status& status) {
  if (!status.ok() && !job->applied && Clock::now() - job->begin < options_.give_up) return Again(std::move(job));
  (status.ok() ? metrics_->told : job->applied ? metrics_->retried : metrics_->given_up).Increment();
  // What was read from L2 after the commit, but before L2 was told, may stand in L1 by now (race 13).
  if (status.ok()) {
    parts_.invalidate_here(job->correction.brand, job->version > 0 ? job->version : LocalCache::kAnyVersion);
  }
  if (job->applied) return std::exchange(job->applied, nullptr)(status);
  Answer(*job, job->version);
}

void Writer::Again(JobPtr job) {
  metrics_->retried.Increment();
  if (!job->applied) Answer(*job, job->version);  // committed: it would be wrong to call it failed
  const Nanos wait = std::min<Nanos>(options_.retry * (int64_t{1} << std::min(job->failures++, 10)), kLongestRetry);
  Job& later = *job;
  later.timer.expires_after(wait);
  later.timer.async_wait([this, alive = alive_, job = std::move(job)](const boost::system::error_code& error) mutable {
    if (*alive && !error) TellCache(std::move(job));
  });
}

void Writer::Answer(Job& job, absl::StatusOr<uint64_t> version) {
  Done done = std::exchange(job.done, nullptr);
  if (!done) return;
  job.transaction.reset();
  metrics_->duration.Observe(std::chrono::duration<double>(Clock::now() - job.begin).count());
  const absl::Status& status = version.status();
  const bool refused = absl::IsNotFound(status) || absl::IsAlreadyExists(status);
  (version.ok()                   ? metrics_->ok
   : pg::OutcomeUnknown(status) ? metrics_->unknown
   : refused                    ? metrics_->refused
                                : metrics_->failed)
      .Increment();
  done(std::move(version));
}

}  // namespace lab::cacheapi
