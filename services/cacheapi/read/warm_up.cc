#include "services/cacheapi/read/warm_up.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "services/runtime/obs/log.h"

namespace lab::cacheapi {
namespace {

constexpr std::string_view kMark = "cacheapi:warm";
constexpr std::string_view kList = "cacheapi:wanted";
constexpr std::string_view kListSeconds = "604800";
constexpr std::array<std::string_view, 4> kSetMark = {"SET", kMark, "1", "NX"};
constexpr Nanos kPace = Millis(10);
constexpr Nanos kSoon = Millis(20);
constexpr int kWaits = 50;                        // of kSoon, for Redis at the start
constexpr Nanos kLoad = std::chrono::seconds(5);  // longest wait for one

obs::Counter& Loads(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("cacheapi_warmup_loads_total", "Keys loaded before they were asked for",
                            {{"outcome", outcome}});
}
obs::Counter& Starts(obs::Metrics& metrics, const char* why) {
  return metrics.AddCounter("cacheapi_warmups_total", "Warm-ups by what they were for", {{"why", why}});
}

}  // namespace

WarmUp::WarmUp(Parts parts, const Options& options, obs::Metrics& metrics)
    : parts_(parts),
      options_(options),
      at_start_(Starts(metrics, "start")),
      when_empty_(Starts(metrics, "empty")),
      loaded_(Loads(metrics, "ok")),
      failed_(Loads(metrics, "error")),
      left_(metrics.AddGauge("cacheapi_warmup_left", "Keys that the warm-up has yet to load")),
      timer_(parts.loop.io()),
      pace_(parts.loop.io()),
      alive_(std::make_shared<bool>(true)) {}

WarmUp::~WarmUp() { *alive_ = false; }

void WarmUp::Start() {
  if (options_.keys == 0) return;
  saved_ = Clock::now();
  Arm(kSoon);
}

// Until the first one is done it is tried again: the stores may not be connected yet. Redis may be away for good.
void WarmUp::Arm(Nanos wait) {
  timer_.expires_after(wait);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (!*alive || error) return;
    const bool early = parts_.redis != nullptr && !parts_.redis->connected() && ++waits_ < kWaits;
    if (done_) {
      Look();
      Save();
    } else if (!early && !running_) {
      Begin(kStart);
    }
    Arm(done_ ? options_.look : kSoon);
  });
}

void WarmUp::Look() {
  if (parts_.redis == nullptr || running_) return;
  parts_.redis->Command(kSetMark, [this, alive = alive_](const absl::StatusOr<redis::Reply>& reply) {
    if (*alive && reply.ok() && !reply->is_nil() && !running_) Begin(kEmpty);
  });
}

void WarmUp::Save() {
  const Clock::time_point now = Clock::now();
  if (parts_.redis == nullptr || now - saved_ < options_.save) return;
  saved_ = now;
  const std::string text = WantedKeys::ToText(parts_.wanted.Top());
  if (text.empty()) return;
  const std::array<std::string_view, 5> set = {"SET", kList, text, "EX", kListSeconds};
  parts_.redis->Command(set, [](const absl::StatusOr<redis::Reply>&) {});
}

void WarmUp::Begin(Why why) {
  running_ = true;
  (why == kStart ? at_start_ : when_empty_).Increment();
  next_ = 0;
  may_ = 0;
  any_loaded_ = false;
  marked_ = why == kEmpty;
  keys_ = parts_.wanted.Top();
  if (why == kStart && parts_.redis != nullptr) {
    parts_.redis->Command(kSetMark, [this, alive = alive_](const absl::StatusOr<redis::Reply>& reply) {
      if (*alive && reply.ok() && !reply->is_nil()) marked_ = true;
    });
  }
  if (!keys_.empty() || parts_.redis == nullptr) return AddBrands();
  const std::array<std::string_view, 2> get = {"GET", kList};
  parts_.redis->Command(get, [this, alive = alive_](const absl::StatusOr<redis::Reply>& reply) {
    if (!*alive) return;
    if (reply.ok()) keys_ = WantedKeys::FromText(reply->text());
    AddBrands();
  });
}

void WarmUp::AddBrands() {
  const auto most = static_cast<size_t>(options_.keys);
  if (keys_.size() > most) keys_.resize(most);
  if (keys_.size() == most) return Pace();
  parts_.origin.Brands("", options_.keys,
                       [this, alive = alive_, most](absl::StatusOr<std::vector<std::string>> brands) {
                         if (!*alive) return;
                         if (!brands.ok() && keys_.empty()) {
                           running_ = false;
                           return TakeMarkAway();
                         }
                         if (brands.ok()) {
                           const std::vector<WantedKeys::Key> wanted = keys_;
                           for (size_t i = 0; i < brands->size() && keys_.size() < most; ++i) {
                             WantedKeys::Key key{(*brands)[i], kDefaultWindow};
                             if (std::find(wanted.begin(), wanted.end(), key) == wanted.end())
                               keys_.push_back(std::move(key));
                           }
                         }
                         Pace();
                       });
}

// A turn: as many loads as rate, share and the users leave.
void WarmUp::Pace() {
  const int most = std::max(1, static_cast<int>(options_.share * parts_.queue.concurrency()));
  may_ =
      std::min(may_ + options_.rate * std::chrono::duration<double>(kPace).count(), std::max(1.0, options_.rate / 10));
  while (may_ >= 1 && next_ < keys_.size() && in_flight_ < most && parts_.queue.idle()) {
    may_ -= 1;
    LoadNext();
  }
  left_.Set(static_cast<double>(keys_.size() - next_));
  if (next_ == keys_.size() && in_flight_ == 0) return End();
  pace_.expires_after(kPace);
  pace_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (*alive && !error) Pace();
  });
}

void WarmUp::LoadNext() {
  const WantedKeys::Key& key = keys_[next_++];
  ++in_flight_;
  Reader::Query query{key.brand, key.window, Clock::now() + kLoad, ""};
  query.beside = true;
  parts_.reader.Get(query, [this, alive = alive_](const Answer& answer) {
    if (!*alive) return;
    --in_flight_;
    any_loaded_ = any_loaded_ || answer.status.ok();
    (answer.status.ok() ? loaded_ : failed_).Increment();
  });
}

void WarmUp::End() {
  running_ = false;
  done_ = true;
  obs::Log(obs::Level::kInfo, "warm_up_done", {{"keys", keys_.size()}, {"any_loaded", any_loaded_}});
  if (!any_loaded_ && !keys_.empty()) TakeMarkAway();
  keys_.clear();
  next_ = 0;
}

void WarmUp::TakeMarkAway() {
  if (!marked_) return;
  marked_ = false;
  constexpr std::array<std::string_view, 2> kDelete = {"DEL", kMark};
  parts_.redis->Command(kDelete, [](const absl::StatusOr<redis::Reply>&) {});
}

}  // namespace lab::cacheapi
