#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/cacheapi/write/apply_change.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"

namespace lab::cacheapi {

// Brands whose change L2 could not be told of: each with its newest version, whatever the number of its writes. They
// are told again until L2 has taken it, however long that lasts; what this process has not told when it dies nobody
// tells: race 4.
//
// Bounded: more than Options::most brands are given up as names, and all of L2 is emptied instead (FlushEntries, which
// fills without a lease are not held back by; the lifetime of entries bounds those). What is added while it is emptied
// is told by name. On the loop's thread.
//   cacheapi_untold_brands    those without a name too, until L2 is empty of them
class UntoldBrands {
 public:
  struct Options {
    size_t most = 65'536;
    size_t at_once = 64;       // under way
    Nanos retry = Millis(50);  // after a failure; doubles …
    Nanos longest_retry = Millis(1000);
  };
  using Done = absl::AnyInvocable<void(absl::Status)>;
  struct Parts {
    async::Loop& loop;
    ApplyChange tell;
    std::function<void(Done)> tell_all;  // that any brand may have changed
    std::function<void()> given_up;      // called when their names are
  };
  UntoldBrands(Parts parts, const Options& options, obs::Metrics& metrics);
  ~UntoldBrands();
  UntoldBrands(const UntoldBrands&) = delete;
  UntoldBrands& operator=(const UntoldBrands&) = delete;

  void Add(std::string_view brand, uint64_t version);
  size_t size() const { return brands_.size(); }

 private:
  struct Change {
    uint64_t version = 0;
    uint64_t added = 0;  // when it was added last, as a number
  };
  void Tell();
  void TellAll();
  void Told(const std::string& brand, uint64_t added, const absl::Status& status);
  void EndRound();
  void Count() { untold_.Set(static_cast<double>(brands_.size() + nameless_)); }
  void Later(Nanos wait);

  const Parts parts_;
  const Options options_;
  obs::Gauge& untold_;
  std::map<std::string, Change, std::less<>> brands_;
  std::string last_;     // of the round before: the next one goes on behind it
  bool all_ = false;     // L2 is to be emptied
  size_t nameless_ = 0;  // brands whose names were given up for that, since it was last done
  uint64_t added_ = 0;
  size_t under_way_ = 0;
  bool failed_ = false;  // of this round, one at least
  int failures_ = 0;     // rounds in a row
  bool armed_ = false;
  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
