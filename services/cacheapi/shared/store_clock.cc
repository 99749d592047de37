#include "services/cacheapi/shared/store_clock.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "absl/strings/numbers.h"

namespace lab::cacheapi {
namespace {

constexpr double kDrift = 100e-6;  // of two clocks, as a share of the time between: more than quartz does
constexpr Nanos kHoldBest = std::chrono::minutes(1);
constexpr Nanos kSoon = Millis(20);  // until the first answer

Nanos UnixNow() { return std::chrono::duration_cast<Nanos>(std::chrono::system_clock::now().time_since_epoch()); }

int64_t Number(std::string_view text) {
  int64_t number = 0;
  return absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &number) ? number : 0;
}

}  // namespace

StoreClock::StoreClock(async::Loop& loop, redis::Client& redis, obs::Metrics& metrics, Nanos every)
    : redis_(redis),
      error_(
          metrics.AddGauge("cacheapi_clock_error_seconds", "Bound of the error of what we know of the clock of Redis")),
      timer_(loop.io()),
      every_(every),
      offset_(UnixNow() - Clock::now().time_since_epoch()),
      alive_(std::make_shared<bool>(true)) {
  Ask();
}

StoreClock::~StoreClock() { *alive_ = false; }

UnixMillis StoreClock::At(Clock::time_point steady) const {
  return std::chrono::duration_cast<Millis>(steady.time_since_epoch() + offset_).count();
}

void StoreClock::Take(Micros server_unix, Clock::time_point asked, Clock::time_point answered) {
  const Nanos half = (answered - asked) / 2;
  const Nanos offset = server_unix - (asked + half).time_since_epoch();
  const Nanos age = answered - taken_at_;
  const Nanos drifted(static_cast<int64_t>(static_cast<double>(age.count()) * kDrift));
  const Nanos bound = bound_ + drifted;
  const bool jumped = known_ && (offset - offset_ > bound + half || offset_ - offset > bound + half);
  if (!known_ || jumped || half <= bound || age > kHoldBest) {
    offset_ = offset;
    bound_ = half;
    taken_at_ = answered;
    known_ = true;
  }
  error_.Set(std::chrono::duration<double>(taken_at_ == answered ? bound_ : bound).count());
}

void StoreClock::Ask() {
  const Clock::time_point asked = Clock::now();
  constexpr std::array<std::string_view, 1> kTime = {"TIME"};
  redis_.Command(kTime, [this, alive = alive_, asked](absl::StatusOr<redis::Reply> reply) {
    if (!*alive || !reply.ok() || reply->size() != 2) return;
    Take(Micros(Number((*reply)[0].text()) * 1'000'000 + Number((*reply)[1].text())), asked, Clock::now());
  });
  timer_.expires_after(known_ ? every_ : std::min(kSoon, every_));
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (*alive && !error) Ask();
  });
}

}  // namespace lab::cacheapi
