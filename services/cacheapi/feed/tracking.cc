#include "services/cacheapi/feed/tracking.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/numbers.h"
#include "services/cacheapi/model/split_key.h"
#include "services/cacheapi/model/window.h"
#include "services/cacheapi/shared/entry.h"
#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"

namespace lab::cacheapi {
namespace {

constexpr size_t kMostHints = 4096;

obs::Counter& Told(obs::Metrics& metrics, const char* what) {
  return metrics.AddCounter("cacheapi_tracking_told_total", "Changes in L2 that Redis has told", {{"what", what}});
}
obs::Counter& Lost(obs::Metrics& metrics, const char* why) {
  return metrics.AddCounter("cacheapi_tracking_lost_total", "Times that L1 was put out of use", {{"why", why}});
}

uint64_t VersionOf(std::string_view head) {
  uint64_t version = 0;
  for (size_t i = 8; head.size() >= kEntryHeaderBytes && i-- > 0;) {
    version = version << 8 | static_cast<uint8_t>(head[kEntryVersionAt + i]);
  }
  return version;
}

}  // namespace

Tracking::Metrics::Metrics(obs::Metrics& m)
    : on(m.AddGauge("cacheapi_tracking_on", "Whether Redis tells of changes, and so L1 is in use")),
      beat(m.AddGauge("cacheapi_tracking_beat_seconds", "Of the last beat through Redis, there and back")),
      changed(Told(m, "changed")),
      own(Told(m, "own")),
      flush(Told(m, "flush")),
      subscriber(Lost(m, "subscriber")),
      reader(Lost(m, "reader")),
      silence(Lost(m, "silence")) {}

Tracking::Tracking(async::Loop& loop, redis::Client& redis, const redis::Options& server, SharedCache& shared,
                   Reader& reader, Options options, obs::Metrics& metrics, uint64_t seed)
    : redis_(redis),
      shared_(shared),
      reader_(reader),
      options_(options),
      metrics_(metrics),
      channel_(Concat("cacheapi:beat:", Mix(seed))),
      timer_(loop.io()),
      alive_(std::make_shared<bool>(true)),
      subscriber_(loop, server, {channel_}, {std::string(kEntryPrefix)},
                  {[this] {
                     doubted_at_ = Clock::now();
                     Beat();
                   },
                   [this](std::string_view, std::string_view text) { BeatCame(text); },
                   [this](std::string_view key) { Heard(key); },
                   [this] {
                     metrics_.flush.Increment();
                     reader_.ForgetAll();
                   },
                   [this](const absl::Status&) { Off(metrics_.subscriber); }},
                  metrics) {
  reader_.FollowShared(false);
  redis_.OnConnection([this, alive = alive_](bool stands) {
    if (!*alive) return;
    if (stands) return Beat();
    Off(metrics_.reader);
    // The address may lead to another server by now: the two must be the same one.
    subscriber_.Reconnect("a connection that reads was lost");
  });
  shared_.OnStore([this](const std::string& key, std::string_view head) {
    if (stored_.size() >= kMostHints) stored_.clear();
    if (on_) stored_.insert_or_assign(key, std::string(head));
  });
  BeatLater();
}

Tracking::~Tracking() {
  *alive_ = false;
  shared_.OnStore(nullptr);
}

// ---- what Redis tells ----

bool Tracking::Watched(std::string_view key) const {
  if (gate_ == nullptr || !gate_->watching()) return false;
  const std::vector<std::string> keys = CacheKeys(gate_->watched());
  return std::find(keys.begin(), keys.end(), WithoutCopy(key)) != keys.end();
}

void Tracking::Heard(std::string_view key) {
  if (!Watched(key)) return Changed(key);
  gate_->Arrive(StepGate::kPush, Step::kPublish, [this, alive = alive_, key = std::string(key)] {
    if (*alive) Changed(key);
  });
}

void Tracking::Changed(std::string_view key) {
  const auto hint = stored_.find(key);
  if (hint != stored_.end()) {
    std::string head = std::move(hint->second);
    stored_.erase(hint);
    return LookInto(std::string(key), std::move(head));
  }
  metrics_.changed.Increment();
  reader_.InvalidateKey(WithoutCopy(key));
}

void Tracking::LookInto(const std::string& key, std::string head) {
  metrics_.own.Increment();
  const uint64_t version = VersionOf(head);
  auto looked = [this, alive = alive_, key, version,
                 presence = StepGate::Presence(gate_, StepGate::kAtWork)](const absl::StatusOr<bool>& holds) {
    if (!*alive) return;
    const bool ours = holds.ok() && *holds;
    if (!ours) return reader_.InvalidateKey(WithoutCopy(key));
    if (version > 0) reader_.InvalidateKey(WithoutCopy(key), version - 1);  // what is older than L2 is
  };
  shared_.Holds(key, std::move(head), std::move(looked));
}

void Tracking::WhenHeard(absl::AnyInvocable<void()> done) {
  hearings_.push_back({Clock::now(), std::move(done)});
  Beat();
}

// ---- whether it tells ----

// A beat is the time at which it was sent, on this process' clock.
void Tracking::Beat() {
  if (!subscriber_.connected() || !redis_.connected()) return;
  const std::string now = std::to_string(Clock::now().time_since_epoch().count());
  const std::array<std::string_view, 3> publish = {"PUBLISH", channel_, now};
  redis_.Command(publish, [](const absl::StatusOr<redis::Reply>&) {});
}

void Tracking::BeatCame(std::string_view sent_at) {
  int64_t nanoseconds = 0;
  if (!absl::SimpleAtoi(View(sent_at), &nanoseconds)) return;
  const Clock::time_point sent{Nanos(nanoseconds)}, now = Clock::now();
  if (sent < doubted_at_ || sent > now) return;  // from before the last loss; or nobody of ours
  heard_ = std::max(heard_, sent);
  metrics_.beat.Set(std::chrono::duration<double>(now - sent).count());
  if (!on_ && now - heard_ < options_.silence) {
    on_ = true;
    metrics_.on.Set(1);
    obs::Log(obs::Level::kInfo, "cacheapi_tracking_on");
    reader_.FollowShared(true);
  }
  reader_.TrustLocalUntil(heard_ + options_.silence);
  std::vector<Hearing> waiting;
  for (Hearing& one : std::exchange(hearings_, {})) {
    if (one.asked <= sent) {
      one.done();
    } else {
      waiting.push_back(std::move(one));
    }
  }
  for (Hearing& one : waiting) hearings_.push_back(std::move(one));
}

void Tracking::Off(obs::Counter& why) {
  doubted_at_ = Clock::now();
  stored_.clear();
  if (!on_) return;
  on_ = false;
  why.Increment();
  metrics_.on.Set(0);
  obs::Log(obs::Level::kWarn, "cacheapi_tracking_off");
  reader_.FollowShared(false);
}

void Tracking::BeatLater() {
  timer_.expires_after(options_.beat);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (!*alive || error) return;
    const Clock::time_point last = std::max(heard_, doubted_at_);
    if (subscriber_.connected() && redis_.connected() && Clock::now() - last > options_.silence) {
      Off(metrics_.silence);
      subscriber_.Reconnect("no beat came back");
    }
    Beat();
    BeatLater();
  });
}

}  // namespace lab::cacheapi
