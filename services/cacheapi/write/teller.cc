#include "services/cacheapi/write/teller.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace lab::cacheapi {

struct Teller::Batch {
  Brands brands;
  Brands::const_iterator next;  // the first one that nobody has been told of
  size_t under_way = 0;
  absl::Status worst;
  Done done;  // empty once called

  size_t left() const { return static_cast<size_t>(std::distance(next, brands.cend())); }
};

Teller::Teller(ApplyChange apply, size_t most_under_way)
    : apply_(std::move(apply)), most_under_way_(std::max<size_t>(1, most_under_way)) {}

Teller::~Teller() = default;

void Teller::Tell(Brands brands, Done done) {
  auto batch = std::make_shared<Batch>();
  batch->brands = std::move(brands);
  batch->next = batch->brands.cbegin();
  batch->done = std::move(done);
  if (batch->brands.empty()) return EndIfOver(*batch);
  waiting_ += batch->brands.size();
  batches_.push_back(std::move(batch));
  Pump();
}

// A loop and no recursion: where there is no L2 each of them ends within its call.
void Teller::Pump() {
  if (pumping_) return;
  pumping_ = true;
  while (!batches_.empty() && under_way_ < most_under_way_) {
    const BatchPtr batch = batches_.front();
    const auto& [brand, version] = *batch->next++;
    if (batch->next == batch->brands.cend()) batches_.pop_front();
    --waiting_;
    ++under_way_;
    ++batch->under_way;
    apply_(brand, version, alive_.Guard([this, batch](const absl::Status& status) { Told(*batch, status); }));
  }
  pumping_ = false;
}

void Teller::Told(Batch& batch, const absl::Status& status) {
  --under_way_;
  --batch.under_way;
  if (!status.ok() && batch.worst.ok()) {
    batch.worst = status;
    Drop(batch);
  }
  EndIfOver(batch);
  Pump();
}

// What is left of it is not told. A batch that has begun and still has some is the first one.
void Teller::Drop(Batch& batch) {
  if (batch.next == batch.brands.cend()) return;
  waiting_ -= batch.left();
  batch.next = batch.brands.cend();
  batches_.pop_front();
}

void Teller::EndIfOver(Batch& batch) {
  if (batch.under_way > 0 || batch.next != batch.brands.cend() || !batch.done) return;
  std::exchange(batch.done, nullptr)(batch.worst);
}

}  // namespace lab::cacheapi
