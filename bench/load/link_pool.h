#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bench/load/driver.h"
#include "bench/load/link.h"

namespace lab::bench {

// What drivers of all protocols have in common: their links, written once a turn, and those that return by themselves
// opened again after a loss.
class LinkPool : public Driver {
 public:
  LinkPool(Poller& poller, CallSink& sink) : context_{poller, sink, {}, {}} {}

  absl::Status problem() const override { return context_.problem; }
  void Flush() override;
  int64_t next_timer() const override;
  void OnTimer(int64_t now) override;

 protected:
  LinkContext context_;
  std::vector<std::unique_ptr<Link>> links_;
};

}  // namespace lab::bench
