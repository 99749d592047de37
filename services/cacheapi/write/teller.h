#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/cacheapi/write/apply_change.h"
#include "services/runtime/async/alive.h"

namespace lab::cacheapi {

// Tells the caches of the changes of many brands, a few at a time: a batch may have more of them than a client of Redis
// takes at once (redis.max_outstanding), and the requests of users need it too. Batches are told in the order in which
// they came, one window for all of them. On the loop's thread.
class Teller {
 public:
  using Brands = std::map<std::string, uint64_t>;  // each with its newest version
  // OK: of all of them. Otherwise the first error; then the rest of its batch has not been told, and may be again.
  using Done = absl::AnyInvocable<void(absl::Status)>;
  static constexpr size_t kMostUnderWay = 64;

  explicit Teller(ApplyChange apply, size_t most_under_way = kMostUnderWay);
  ~Teller();  // calls nobody back; never from within `done`
  Teller(const Teller&) = delete;
  Teller& operator=(const Teller&) = delete;

  // `done` once, when nothing of the batch is under way any more; also from within this call.
  void Tell(Brands brands, Done done);
  // Brands of all batches that nobody has been told of yet, those under way not among them.
  size_t waiting() const { return waiting_; }

 private:
  struct Batch;
  using BatchPtr = std::shared_ptr<Batch>;  // shared with its brands under way
  void Pump();
  void Told(Batch& batch, const absl::Status& status);
  void Drop(Batch& batch);
  void EndIfOver(Batch& batch);

  const ApplyChange apply_;
  const size_t most_under_way_;
  std::deque<BatchPtr> batches_;  // those with brands to tell, in their order
  size_t waiting_ = 0, under_way_ = 0;
  bool pumping_ = false;
  async::Alive alive_;
};

}  // namespace lab::cacheapi
