#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "services/cacheapi/gate/step_gate.h"
#include "services/cacheapi/model/version.h"
#include "services/cacheapi/origin/origin.h"
#include "services/cacheapi/origin/request_ids.h"
#include "services/cacheapi/shared/shared_cache.h"
#include "services/cacheapi/shared/version_keys.h"
#include "services/cacheapi/write/undecided_writes.h"
#include "services/cacheapi/write/untold_brands.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"

namespace lab::cacheapi {

// In which order a write touches the database and the cache. Which of the races each leaves open stands in the README.
enum class WritePattern : uint8_t {
  kDeleteAfterCommit,
  kDeleteBefore,         // delete, then write: broken by race 2
  kDeleteInTransaction,  // write, delete, commit: broken by race 2 too, the other readers still see the old row
  kDoubleDelete,         // delete, commit, and delete once more a while later: race 24
  kSetAfterCommit,       // commit, then put the new insight there: race 3 of two writers
  kVersionedSet,         // the same, never over a newer version
  kWriteThrough,         // the new insight first, then the commit: race 18
  kBury,                 // commit, then a tombstone of the version: nothing older can be stored
  kWriteBehind,          // a durable queue, from which the database is written later (write_queue.h)
};

// A write of a correction, and what becomes of the cached insights of its brand. Acknowledged once committed and,
// unless somebody else invalidates (`outbox`, `cdc`), once the cache has been told: a write whose cache could not be
// told is acknowledged all the same, counted, and told again until it is (untold_brands.h). One of unknown outcome is
// told at once, because it may have happened, and once more when it turns out that it has (undecided_writes.h). Both
// end with this process: race 4.
//   cacheapi_writes_total{outcome=ok|unknown|refused|error}, cacheapi_write_duration_seconds
//   cacheapi_invalidations_total{outcome=ok|retried|given_up}    given_up: the name of the brand; all of L2 goes
//   instead
class Writer {
 public:
  struct Options {
    WritePattern pattern = WritePattern::kDeleteAfterCommit;
    bool tells_cache = true;            // false: the outbox or change data capture does
    Nanos second_delete = Millis(500);  // of kDoubleDelete
    size_t copies = 0;                  // of a hot key that may have been made (split_key.h)
    UntoldBrands::Options untold;
    UndecidedWrites::Options undecided;
  };
  struct Parts {
    async::Loop& loop;
    Origin& origin;
    SharedCache* shared;  // null without L2
    StepGate* gate;       // null: no steps
    // This process: L1 and flights (Reader::Invalidate).
    std::function<void(std::string_view brand, uint64_t version)> invalidate_here;
    // Of kWriteBehind: the queue (WriteQueue::Append).
    std::function<void(const Correction& correction, absl::AnyInvocable<void(absl::Status)> done)> enqueue;
    VersionKeys* versions = nullptr;  // with versioned keys: raised, instead of entries deleted
    RequestIds* requests = nullptr;   // null: what becomes of a write of unknown outcome is never known
    // Takes everything out of L2 (FlushEntries), and out of this process.
    std::function<void(absl::AnyInvocable<void(absl::Status)> done)> forget_all;
  };
  // The version that the write made, or kVersionUnknown of one that stands in the queue; errors as of Origin::Write,
  // and UNAVAILABLE while too many are undecided.
  using Done = absl::AnyInvocable<void(absl::StatusOr<uint64_t>)>;

  Writer(Parts parts, Options options, obs::Metrics& metrics);
  ~Writer();

  void Write(const Correction& correction, std::string_view actor, Done done);
  // What a change that was committed elsewhere does to the cache here and in L2: what the outbox, change data capture
  // and the queue call, with kVersionUnknown where they know none. `done` once L2 has been told, or has not: they keep
  // what they tell of, and tell it again. In any order and however often: L2 is deleted from, or a version buried,
  // never set.
  void Apply(std::string_view brand, uint64_t version, std::string_view actor,
             absl::AnyInvocable<void(absl::Status)> done);

  // The end of a write that somebody else committed in this process (or could not): the caches are told of it as of one
  // of ours, and `done` is told when it may be acknowledged. It has no request id, so an unknown outcome stays unknown.
  void AfterCommit(std::string_view brand, absl::StatusOr<uint64_t> version, std::string_view actor, Done done);

  struct Job;

 private:
  using JobPtr = std::shared_ptr<Job>;
  struct Metrics;
  void At(Step step, const Job& job, absl::AnyInvocable<void()> then);
  void AnswerAlone(JobPtr job, absl::StatusOr<uint64_t> version);
  void ApplyAt(JobPtr job);
  void DeleteFirst(JobPtr job);
  void CommitAlone(JobPtr job);
  void Enqueue(JobPtr job);
  void InTransaction(JobPtr job);
  void ChangeCacheInside(JobPtr job);
  void PutInside(JobPtr job, absl::AnyInvocable<void(absl::Status)> then);
  void Committed(JobPtr job, absl::StatusOr<uint64_t> version);
  void Unknown(const Correction& correction);
  void TellCache(JobPtr job);
  void TellByName(std::string_view brand, uint64_t version);
  void Delete(JobPtr job);
  void ReadNew(JobPtr job);
  void PutNew(JobPtr job);
  void Put(const std::string& brand, Window window, Insight insight, bool newer_only,
           absl::AnyInvocable<void(absl::Status)> done);
  void Told(JobPtr job, const absl::Status& status);
  void Answer(Job& job, absl::StatusOr<uint64_t> version);
  std::vector<std::string> KeysOf(std::string_view brand) const;

  const Parts parts_;
  const Options options_;
  std::unique_ptr<Metrics> metrics_;
  UntoldBrands untold_;
  std::optional<UndecidedWrites> undecided_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
