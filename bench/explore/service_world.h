#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/cacheapi/stores.h"
#include "bench/explore/feed_state.h"
#include "bench/explore/gate.h"
#include "bench/explore/search.h"

namespace lab::bench::explore {

using cacheapi::Stores;

// The real thing: replicas of the cache-aside API with gates (services/cacheapi/edge/gate_api.h), their Redis and their
// PostgreSQL. Each schedule has a brand of its own, so that nothing has to be reset; leases and tombstones must live
// longer than a schedule takes (l2.lease, l2.tombstone, l2.ttl: minutes), because only moves let them end.
//
// What the environment may do, each at most once a schedule:
//   C:evict    the entry (or tombstone) goes, where there is one and somebody still moves
//   C:expire   the lease goes, where somebody has it; also, whatever the cast says, where nobody else can move any more
//   W:die      a writer, reader or feed that the cast says may die does so before a later step than its first
// What else moves: the feed, which takes only what there is (feed_state.h), and pushes, where the cast has a reader at
// that replica; elsewhere they would change nothing, and are let go as they come.
// Of actors that differ in nothing but their names the one that is named first begins: the other orders are mirror
// images. An answer is a move of its own only of a writer that may die before it: what comes later is owed less. A
// reader that waits for the lease of another one looks again only when there is something else to see: it would find
// what it found before. Not among the moves: what happens between the end of a command at a store and the arrival of
// its answer, but for L2's answers where there is an L1 (keep); there the safety of a mode rests on its tokens
// (services/cacheapi/README.md).
class ServiceWorld final : public World {
 public:
  struct Options {
    std::vector<int> http_ports;  // of the replicas; one where there is a feed
    int redis_port = 0, postgres_port = 0;
    PgLogin login;  // with which the service's database is read, and brands are made in it
    Cast cast;
    // Whether the arrival of a read is a move of its own: where it has an effect before the first step (a look into L1,
    // joining a load). Otherwise requests are sent at the beginning, and count as asked with their first step.
    bool asks = false;
    FeedKind feed = FeedKind::kNone;
    bool pushes = false;       // L1 is told by Redis of changes in L2
    std::string prefix = "x";  // of the brands' names: its own for each world of a database
  };
  // The options must name a replica for each actor's.
  explicit ServiceWorld(Options options);
  ~ServiceWorld() override;

  absl::Status Begin() override;
  std::vector<Move> Enabled() override;
  absl::StatusOr<Taken> Take(const Move& move) override;
  absl::StatusOr<History> Finish() override;
  absl::StatusOr<bool> Abandon() override;

 private:
  struct Actor;
  Actor* Find(const std::string& name);
  GateView& ViewOf(const Actor& actor);
  // service_requests.cc: what actors ask, and what they are answered; Finish and Abandon too.
  HttpRequest RequestOf(const Actor& actor) const;
  absl::Status Send(Actor& actor);
  absl::Status AwaitArrival(Actor& actor, bool held);
  absl::Status TakeAnswers();
  absl::Status TakeAnswer(Actor& actor);
  void Answered(Actor& actor, const HttpReply& reply, int move) const;
  absl::StatusOr<AtRest> ReadAtRest();
  absl::StatusOr<AtRest::Served> Serve(HttpConnection& connection);
  // service_world.cc
  absl::Status WarmUp();
  absl::Status WriteTo(const std::string& brand, HttpConnection& replica);
  absl::Status WarmUpFeed(const std::string& brand);
  absl::Status NextBrand();
  absl::Status Watch(const std::string& brand);
  absl::Status AwaitView(const std::function<bool(const GateView& view)>& there);
  absl::Status AwaitFeed();
  absl::StatusOr<Taken> Settle(size_t replica);
  absl::Status Hear();
  absl::Status See(const Move& move);
  std::string NameAt(const std::string& other, size_t replica) const;
  absl::StatusOr<size_t> MoveOther(const Move& move);
  absl::StatusOr<size_t> MoveActor(const Move& move, Actor& actor);
  bool LooksInVain(const Actor& actor) const;
  bool IsMirrored(const Actor& actor) const;
  void AddOthers(std::vector<Move>& moves, std::vector<Move>& deaths) const;
  void AddEvents(std::vector<Move>& moves) const;

  const Options options_;
  Stores stores_;
  FeedState feed_;
  bool makes_ = false;                        // somebody makes the brand, which is not there at the beginning
  std::vector<std::unique_ptr<Gate>> gates_;  // by replica
  std::vector<bool> watched_;                 // by replica: feeds or pushes there are held
  std::vector<GateView> views_;
  std::vector<std::unique_ptr<HttpConnection>> readers_;  // of what is served at rest, by replica
  std::vector<std::unique_ptr<Actor>> actors_;            // as in the cast
  std::string brand_;
  uint64_t brands_ = 0, used_ = 0, missing_ = 0;  // made, and used up; names of none
  bool evicted_ = false, expired_ = false, died_ = false;
  std::vector<Seen> moves_;
};

}  // namespace lab::bench::explore
