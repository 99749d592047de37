#include "services/cacheapi/write/brand_creator.h"

#include <array>
#include <utility>

#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

// $3: leave a row for a relay.
constexpr char kInsert[] = R"sql(
WITH made AS (
  INSERT INTO brand (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING RETURNING id
), state AS (
  INSERT INTO brand_state (brand_id) SELECT id FROM made RETURNING brand_id, version
), noted AS (
  INSERT INTO outbox (brand_id, version) SELECT brand_id, version FROM state WHERE $3::bool
)
SELECT version FROM state
)sql";

// A statement of its own: it sees what another transaction, which the INSERT has waited for, has committed.
constexpr char kLook[] =
    "SELECT name, version FROM brand JOIN brand_state ON brand_state.brand_id = brand.id WHERE id = $1";

obs::Counter& Outcome(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("cacheapi_brands_total", "Brands to be made, by what became of them",
                            {{"outcome", outcome}});
}

}  // namespace

struct BrandCreator::Job {
  std::string brand, name, actor;
  Clock::time_point deadline;
  Created made;
  Done done;
  std::unique_ptr<pg::Transaction> transaction;
  StepGate::Presence presence;
};

BrandCreator::Metrics::Metrics(obs::Metrics& m)
    : created(Outcome(m, "created")),
      there(Outcome(m, "there")),
      conflict(Outcome(m, "conflict")),
      unknown(Outcome(m, "unknown")),
      failed(Outcome(m, "error")) {}

BrandCreator::BrandCreator(Origin& origin, Writer& writer, BrandFilter* filter, StepGate* gate, obs::Metrics& metrics)
    : origin_(origin),
      writer_(writer),
      filter_(filter),
      gate_(gate),
      metrics_(metrics),
      lock_("brands.lock", Concat("SELECT pg_advisory_xact_lock_shared(", kCreatorsLock, ")")),
      insert_("brands.insert", kInsert),
      look_("brands.look", kLook),
      alive_(std::make_shared<bool>(true)) {}

BrandCreator::~BrandCreator() { *alive_ = false; }

void BrandCreator::At(Step step, const Job& job, absl::AnyInvocable<void()> then) {
  if (gate_ == nullptr) return then();
  gate_->Arrive(job.actor, step, std::move(then));
}

pg::Client::Callback BrandCreator::Next(JobPtr job, absl::AnyInvocable<void(JobPtr, const pg::Results&)> then) {
  return [this, alive = alive_, job = std::move(job),
          then = std::move(then)](absl::StatusOr<pg::Results> results) mutable {
    if (!*alive) return;
    // Nothing is committed yet, whatever became of the statement.
    if (!results.ok()) return End(*job, absl::UnavailableError(results.status().message()));
    if (InTime(*job)) then(std::move(job), *results);
  };
}

// Ends it otherwise.
bool BrandCreator::InTime(Job& job) {
  if (Clock::now() < job.deadline) return true;
  End(job, absl::UnavailableError("its deadline was over before the brand was made"));
  return false;
}

void BrandCreator::Create(std::string_view brand, std::string_view name, std::string_view actor,
                          Clock::time_point deadline, Done done) {
  auto job = std::make_shared<Job>();
  job->brand = std::string(brand);
  job->name = std::string(name);
  job->actor = std::string(actor);
  job->deadline = deadline;
  job->done = std::move(done);
  job->presence = StepGate::Presence(gate_, actor);
  origin_.Begin(
      [this, alive = alive_, job = std::move(job)](absl::StatusOr<std::unique_ptr<pg::Transaction>> begun) mutable {
        if (!*alive) return;
        if (!begun.ok()) return End(*job, absl::UnavailableError(begun.status().message()));
        job->transaction = *std::move(begun);
        if (!InTime(*job)) return;
        filter_ != nullptr ? Lock(std::move(job)) : Insert(std::move(job));
      });
}

void BrandCreator::Lock(JobPtr job) {
  Job& now = *job;
  now.transaction->Execute(
      lock_, {}, Next(std::move(job), [this](JobPtr locked, const pg::Results&) { AddToFilter(std::move(locked)); }));
}

void BrandCreator::AddToFilter(JobPtr job) {
  const std::string& brand = job->brand;
  filter_->Add(brand, [this, alive = alive_, job](const absl::Status& added) mutable {
    if (!*alive || (added.ok() && !InTime(*job))) return;
    if (added.ok()) return Insert(std::move(job));
    End(*job, absl::UnavailableError(Concat("the filter of brands did not take it: ", added.message())));
  });
}

void BrandCreator::Insert(JobPtr job) {
  Job& now = *job;
  At(Step::kWrite, now, [this, job = std::move(job)]() mutable {
    Job& inserting = *job;
    const std::array<pg::Param, 3> params = {pg::Param(inserting.brand), pg::Param(inserting.name),
                                             pg::Param(origin_.outbox() ? "true" : "false")};
    inserting.transaction->Execute(insert_, params,
                                   Next(std::move(job), [this](JobPtr inserted, const pg::Results& results) {
                                     inserted->made.created = results[0].rows() == 1;
                                     Look(std::move(inserted));
                                   }));
  });
}

void BrandCreator::Look(JobPtr job) {
  Job& now = *job;
  const std::array<pg::Param, 1> params = {pg::Param(now.brand)};
  now.transaction->Execute(look_, params, Next(std::move(job), [this](JobPtr looked, const pg::Results& results) {
                             const pg::Result row = results[0];
                             if (row.rows() == 0)
                               return End(*looked, absl::UnavailableError("it has just been deleted"));
                             if (row.text(0, 0) != looked->name) {
                               return End(*looked,
                                          absl::AlreadyExistsError("there is a brand of this id with another name"));
                             }
                             looked->made.version = static_cast<uint64_t>(row.integer(0, 1));
                             looked->made.created ? Commit(std::move(looked)) : End(*looked, looked->made);
                           }));
}

void BrandCreator::Commit(JobPtr job) {
  Job& now = *job;
  At(Step::kCommit, now, [this, job = std::move(job)]() mutable {
    Job& committing = *job;
    committing.transaction->Commit([this, alive = alive_, job = std::move(job)](const absl::Status& status) mutable {
      if (!*alive) return;
      const Job& made = *job;
      writer_.AfterCommit(made.brand, status.ok() ? absl::StatusOr<uint64_t>(made.made.version) : status, made.actor,
                          [this, alive, job](const absl::StatusOr<uint64_t>& version) {
                            if (!*alive) return;
                            version.ok() ? End(*job, job->made) : End(*job, version.status());
                          });
    });
  });
}

void BrandCreator::End(Job& job, absl::StatusOr<Created> created) {
  job.transaction.reset();
  const absl::Status& status = created.status();
  (created.ok()                    ? (created->created ? metrics_.created : metrics_.there)
   : absl::IsAlreadyExists(status) ? metrics_.conflict
   : pg::OutcomeUnknown(status)    ? metrics_.unknown
                                   : metrics_.failed)
      .Increment();
  Done done = std::exchange(job.done, nullptr);
  if (gate_ != nullptr) gate_->Answered(job.actor);
  if (done) done(std::move(created));
}

}  // namespace lab::cacheapi
