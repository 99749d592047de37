#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "services/cacheapi/gate/step_gate.h"
#include "services/cacheapi/read/reader.h"
#include "services/cacheapi/shared/shared_cache.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/string_map.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/redis/client.h"
#include "services/runtime/redis/subscriber.h"

namespace lab::cacheapi {

// L1 kept right by Redis: every change of an entry in L2, by whomever, is told to this process (client tracking in
// broadcasting mode, redis/subscriber.h), and drops it from L1, fences the fills that are under way and detaches their
// flight. How the races end (README):
//
//   13, 14  what was read from L2 before a change and comes after its invalidation shows an old token and is not
//           stored; what comes before it is dropped by it. Which of the two connections is faster does not matter.
//   15      while the connection that tells, or one that reads, is lost, or no beat comes back, L1 is empty, and
//           neither read nor filled (Reader::FollowShared). A flush of Redis empties it.
//   1       a delete of what is not in L2 is told to nobody. So L1 holds only what L2 has: a fill enters it once L2 has
//           taken it, and what L2 refused (the lease was gone) or lost (out of memory) never does.
//
// The beat: each `beat` a message is published through the connections that read, and must come back on the one that
// tells. So both reach the same server, and everything that was told before the beat has been heard. L1 is given from
// for `silence` after the sending of the last beat that came back (Reader::TrustLocalUntil), so that a connection that
// dies without a word, or a process that was stopped for a while, gives nothing that was overwritten longer ago.
//
// What it costs: with Redis away there is no L1, also not for what is stale (stale.if_error). Who would rather have old
// answers then leaves tracking off, and has l1.ttl as the bound.
//
// Own stores. Redis tells of them too: NOLOOP would not help, since it knows a change by a script as nobody's, and
// leaves out a change of others that ours follows in the same turn of the server. To drop what has just been filled
// would cost a read of L2 for each fill; so a change of a key that we have just stored is looked into: the first 48
// bytes of what L2 holds (version, times) are compared with those of our store. The same: ours it was, or what has come
// meanwhile is told by a message of its own. Another: dropped. That we had stored is only a hint; a wrong one costs the
// look.
//
//   cacheapi_tracking_on                                      0 or 1
//   cacheapi_tracking_told_total{what=changed|own|flush}      what came
//   cacheapi_tracking_lost_total{why=subscriber|reader|silence}
//   cacheapi_tracking_beat_seconds                            of the last beat, there and back
class Tracking {
 public:
  struct Options {
    Nanos beat = Millis(250);
    Nanos silence = std::chrono::seconds(1);  // without a beat; then L1 is put out of use
  };
  // `server`: where `redis` connects to. Takes the hook of `shared` (OnStore). L1 is out of use until the first beat is
  // back.
  Tracking(async::Loop& loop, redis::Client& redis, const redis::Options& server, SharedCache& shared, Reader& reader,
           Options options, obs::Metrics& metrics, uint64_t seed);
  ~Tracking();
  Tracking(const Tracking&) = delete;
  Tracking& operator=(const Tracking&) = delete;

  bool on() const { return on_; }
  // What Redis tells of the brand that the gate watches is held at the step publish, as the actor StepGate::kPush. At
  // once after it was made; may be null.
  void HoldAt(StepGate* gate) { gate_ = gate; }
  // `done` once everything that Redis had told before this call has been heard: with the next beat that comes back.
  void WhenHeard(absl::AnyInvocable<void()> done);

 private:
  struct Metrics {
    explicit Metrics(obs::Metrics& metrics);
    obs::Gauge &on, &beat;
    obs::Counter &changed, &own, &flush, &subscriber, &reader, &silence;
  };
  void Heard(std::string_view key);
  bool Watched(std::string_view key) const;
  void Changed(std::string_view key);
  void LookInto(const std::string& key, std::string head);
  void Beat();
  void BeatCame(std::string_view sent_at);
  void Off(obs::Counter& why);
  void BeatLater();

  redis::Client& redis_;
  SharedCache& shared_;
  Reader& reader_;
  const Options options_;
  Metrics metrics_;
  const std::string channel_;  // this process' own
  StepGate* gate_ = nullptr;
  struct Hearing {
    Clock::time_point asked;
    absl::AnyInvocable<void()> done;
  };
  std::vector<Hearing> hearings_;
  bool on_ = false;
  Clock::time_point doubted_at_{};  // the last loss or new connection: a beat from before says nothing
  Clock::time_point heard_{};       // when the last beat that came back was sent
  StringMap<std::string> stored_;   // heads of own stores that Redis has not told of yet, by key; hints, and bounded
  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
  redis::Subscriber subscriber_;
};

}  // namespace lab::cacheapi
