#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/cacheapi/origin/request_ids.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"

namespace lab::cacheapi {

// Writes whose end this process was not told: no answer until the deadline, or the connection was lost. Such a write
// may be committed later, when nobody waits for it any more; whoever has read the row before that and stores it then is
// not held back by an invalidation from before the commit.
//
// So each is decided (RequestIds::Decide), as often as that fails, until the database has said that it was applied,
// which is reported, or has been made to refuse it for ever. The order of commit and decision does not matter, nor does
// any delay. What this process has not decided when it dies nobody decides: race 4.
//
// Bounded: Full() says when no write may be begun any more; beyond Options::most there are only those that were under
// way then. On the loop's thread.
//   cacheapi_undecided_writes                               now
//   cacheapi_writes_decided_total{fate=applied|given_up}    and what became of them
class UndecidedWrites {
 public:
  struct Options {
    size_t most = 4096;
    size_t at_once = 16;       // asked for, to decide
    Nanos retry = Millis(50);  // after one that could not be asked for; doubles …
    Nanos longest_retry = Millis(1000);
  };
  using Applied = std::function<void(std::string_view brand, uint64_t version)>;

  UndecidedWrites(async::Loop& loop, RequestIds& ids, Applied applied, const Options& options, obs::Metrics& metrics);
  ~UndecidedWrites();
  UndecidedWrites(const UndecidedWrites&) = delete;
  UndecidedWrites& operator=(const UndecidedWrites&) = delete;

  void Add(std::string_view brand, std::string_view request_id);
  bool Full() const { return waiting_.size() + asked_ >= options_.most; }

 private:
  struct Write {
    std::string brand, request_id;
    int64_t fence;
  };
  void Ask();  // as many as may be at once
  void Decided(Write write, const absl::StatusOr<std::optional<uint64_t>>& version);
  void Later(Nanos wait);
  void Count() { undecided_.Set(static_cast<double>(waiting_.size() + asked_)); }

  RequestIds& ids_;
  const Applied applied_;
  const Options options_;
  obs::Gauge& undecided_;
  obs::Counter &happened_, &given_up_;
  std::deque<Write> waiting_;
  size_t asked_ = 0;
  int failures_ = 0;    // in a row
  bool armed_ = false;  // nothing is asked for until the timer
  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
