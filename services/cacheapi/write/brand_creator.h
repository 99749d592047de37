#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "services/cacheapi/filter/brand_filter.h"
#include "services/cacheapi/gate/step_gate.h"
#include "services/cacheapi/origin/origin.h"
#include "services/cacheapi/write/writer.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"

namespace lab::cacheapi {

// Makes a brand: in the database, in the filter before anybody can see it (race 23), and then to the caches, where
// "there is none" may be kept (race 12). In this order, in one transaction:
//   lock shared (kCreatorsLock) → bits in Redis, acknowledged → INSERT, if there is none → COMMIT → the caches
// Without a filter the first two are left out; a row for the relay goes with the INSERT where Origin has one. A brand
// that is there stays as it is: sent again, it changes nothing. Steps of the gate: write before the INSERT, commit
// before the COMMIT, then those of the writer.
//   cacheapi_brands_total{outcome=created|there|conflict|unknown|error}
class BrandCreator {
 public:
  struct Created {
    bool created = false;  // else it was there
    uint64_t version = 0;
  };
  // ALREADY_EXISTS: there is one of this id with another name. UNAVAILABLE: nothing has happened, also when Redis did
  // not take the filter's bits. Others as of Origin::Write.
  using Done = absl::AnyInvocable<void(absl::StatusOr<Created>)>;

  // `filter` and `gate` may be null.
  BrandCreator(Origin& origin, Writer& writer, BrandFilter* filter, StepGate* gate, obs::Metrics& metrics);
  ~BrandCreator();

  // `brand` is one that CheckBrand accepts. After `deadline` nothing more is begun: UNAVAILABLE. A COMMIT that is under
  // way then has its own.
  void Create(std::string_view brand, std::string_view name, std::string_view actor, Clock::time_point deadline,
              Done done);

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;  // shared by the callbacks of its steps
  struct Metrics {
    explicit Metrics(obs::Metrics& metrics);
    obs::Counter &created, &there, &conflict, &unknown, &failed;
  };
  void Lock(JobPtr job);
  void AddToFilter(JobPtr job);
  void Insert(JobPtr job);
  void Look(JobPtr job);
  void Commit(JobPtr job);
  bool InTime(Job& job);
  void End(Job& job, absl::StatusOr<Created> created);
  void At(Step step, const Job& job, absl::AnyInvocable<void()> then);
  pg::Client::Callback Next(JobPtr job, absl::AnyInvocable<void(JobPtr, const pg::Results&)> then);

  Origin& origin_;
  Writer& writer_;
  BrandFilter* const filter_;
  StepGate* const gate_;
  Metrics metrics_;
  const pg::Statement lock_, insert_, look_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
