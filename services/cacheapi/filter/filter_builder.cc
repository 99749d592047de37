#include "services/cacheapi/filter/filter_builder.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "services/cacheapi/filter/scripts.h"
#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"

namespace lab::cacheapi {
namespace {

constexpr size_t kPiece = 32 << 10;  // brought at once: a fraction of a millisecond of Redis

obs::Counter& Builds(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("cacheapi_bloom_builds_total", "Builds of the filter of brands by how they ended",
                            {{"outcome", outcome}});
}

std::string Milliseconds(Nanos duration) {
  return std::to_string(std::chrono::duration_cast<Millis>(duration).count());
}

}  // namespace

struct FilterBuilder::Job {
  Job(const Options& options, std::string t)
      : filter(static_cast<size_t>(options.keys), options.false_positives), token(std::move(t)) {}
  BloomFilter filter;
  const std::string token;
  size_t brands = 0;
  std::unique_ptr<pg::Transaction> transaction;  // of the barrier
  Done done;
};

FilterBuilder::FilterBuilder(redis::Client& redis, Origin& origin, const Options& options, obs::Metrics& metrics,
                             uint64_t seed)
    : redis_(redis),
      origin_(origin),
      options_(options),
      built_(Builds(metrics, "built")),
      busy_(Builds(metrics, "busy")),
      failed_(Builds(metrics, "failed")),
      keys_(metrics.AddGauge("cacheapi_bloom_keys", "Brands in the filter that this process built last")),
      random_(seed),
      owner_(Concat(random_.Next(), "-", random_.Next(), ":")),
      begin_(kBloomBeginScript, "bloom_begin"),
      bring_(kBloomBringScript, "bloom_bring"),
      switch_(kBloomSwitchScript, "bloom_switch"),
      barrier_("brands.barrier", Concat("SELECT pg_advisory_xact_lock(", kCreatorsLock, ")")),
      alive_(std::make_shared<bool>(true)) {}

FilterBuilder::~FilterBuilder() { *alive_ = false; }

// A script of this build; 0 is its word for "not your turn".
void FilterBuilder::Step(const redis::Script& script, JobPtr job, absl::Span<const std::string_view> arguments,
                         absl::AnyInvocable<void(JobPtr)> then) {
  redis_.Eval(
      script, kFilterKeys, arguments,
      [this, alive = alive_, job = std::move(job), then = std::move(then)](absl::StatusOr<redis::Reply> reply) mutable {
        if (!*alive) return;
        if (!reply.ok()) return End(*job, reply.status());
        if (reply->integer() == 0) return End(*job, absl::ResourceExhaustedError("somebody else builds it"));
        then(std::move(job));
      });
}

void FilterBuilder::Build(Done done) {
  auto job = std::make_shared<Job>(options_, Concat(owner_, ++builds_));
  job->done = std::move(done);
  const std::string bits = std::to_string(job->filter.bits()), hashes = std::to_string(job->filter.hashes());
  const std::string length = Milliseconds(options_.length);
  const std::array<std::string_view, 5> arguments = {job->token, bits, hashes, length, owner_};
  Step(begin_, job, arguments, [this](JobPtr begun) { Barrier(std::move(begun)); });
}

// Waits for all who may have added their brand before the next filter began, and lets go at once.
void FilterBuilder::Barrier(JobPtr job) {
  origin_.Begin([this, alive = alive_,
                 job = std::move(job)](absl::StatusOr<std::unique_ptr<pg::Transaction>> begun) mutable {
    if (!*alive) return;
    if (!begun.ok()) return End(*job, begun.status());
    job->transaction = *std::move(begun);
    Job& now = *job;
    now.transaction->Execute(
        barrier_, {}, [this, alive = alive_, job = std::move(job)](const absl::StatusOr<pg::Results>& results) mutable {
          if (!*alive) return;
          job->transaction.reset();  // rolls back, which gives the lock back
          results.ok() ? Page(std::move(job), "") : End(*job, results.status());
        });
  });
}

void FilterBuilder::Page(JobPtr job, std::string after) {
  origin_.Brands(after, options_.page,
                 [this, alive = alive_, job = std::move(job)](absl::StatusOr<std::vector<std::string>> page) mutable {
                   if (!*alive) return;
                   if (!page.ok()) return End(*job, page.status());
                   for (const std::string& brand : *page) job->filter.Add(brand);
                   job->brands += page->size();
                   if (static_cast<int>(page->size()) < options_.page) return Bring(std::move(job), 0);
                   Page(std::move(job), page->back());
                 });
}

void FilterBuilder::Bring(JobPtr job, size_t offset) {
  if (offset >= job->filter.bytes().size()) return Switch(std::move(job));
  const std::string_view piece = job->filter.bytes().substr(offset, kPiece);
  const std::string at = std::to_string(offset), length = Milliseconds(options_.length);
  const std::array<std::string_view, 4> arguments = {job->token, at, piece, length};
  const size_t next = offset + piece.size();
  Step(bring_, job, arguments, [this, next](JobPtr brought) { Bring(std::move(brought), next); });
}

void FilterBuilder::Switch(JobPtr job) {
  const std::array<std::string_view, 1> arguments = {job->token};
  Step(switch_, job, arguments, [this](JobPtr switched) { End(*switched, absl::OkStatus()); });
}

void FilterBuilder::End(Job& job, const absl::Status& status) {
  (status.ok() ? built_ : absl::IsResourceExhausted(status) ? busy_ : failed_).Increment();
  Done done = std::exchange(job.done, nullptr);
  if (!status.ok()) return done(status);
  keys_.Set(static_cast<double>(job.brands));
  if (job.brands > static_cast<size_t>(options_.keys)) {
    obs::Log(obs::Level::kWarn, "bloom_filter_too_small",
             {{"brands", job.brands}, {"keys", options_.keys}, {"false_positives", job.filter.FalsePositivesByBits()}});
  }
  done(Built{std::move(job.filter), job.token});
}

}  // namespace lab::cacheapi
