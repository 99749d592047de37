#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/explore/gate.h"
#include "bench/explore/search.h"
#include "bench/explore/stores.h"

namespace lab::bench::explore {

// The real thing: replicas of the cache-aside API with gates (services/cacheapi/gate_api.h), their Redis and their
// PostgreSQL. Each schedule has a brand of its own, so that nothing has to be reset; leases and tombstones must live
// longer than a schedule takes (l2.lease, l2.tombstone, l2.ttl: minutes), because only moves let them end.
//
// What the environment may do, each at most once a schedule:
//   C:evict    the entry (or tombstone) goes, where there is one and somebody still moves
//   C:expire   the lease goes, where somebody has it; also, whatever the cast says, where nobody else can move any more
//   W:die      a writer that has taken a step is held for ever
// A reader that waits for the lease of another one looks again only when there is something else to see: it would find
// what it found before. Not among the moves: what happens between the end of a command at a store and the arrival of
// its answer; there the safety of a mode rests on its tokens (services/cacheapi/README.md).
class ServiceWorld final : public World {
 public:
  struct Options {
    std::vector<int> http_ports;  // of the replicas
    int redis_port = 0, postgres_port = 0;
    PgLogin login;  // with which the service's database is read, and brands are made in it
    Cast cast;
    // Whether the arrival of a read is a move of its own: where it has an effect before the first step (a look into L1,
    // joining a load). Otherwise requests are sent at the beginning, and count as asked with their first step.
    bool asks = false;
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
  absl::Status WarmUp();
  absl::Status NextBrand();
  absl::Status Send(Actor& actor);
  absl::Status AwaitArrival(Actor& actor, bool held);
  absl::StatusOr<Taken> Settle(size_t replica);
  absl::Status See(const Move& move);
  absl::Status TakeAnswers();
  absl::Status TakeAnswer(Actor& actor);
  bool LooksInVain(const Actor& actor) const;
  void AddEvents(std::vector<Move>& moves) const;
  absl::StatusOr<AtRest> ReadAtRest();
  absl::StatusOr<AtRest::Served> Serve(HttpConnection& connection);

  const Options options_;
  Stores stores_;
  std::vector<std::unique_ptr<Gate>> gates_;  // by replica
  std::vector<GateView> views_;
  std::vector<std::unique_ptr<HttpConnection>> readers_;  // of what is served at rest, by replica
  std::vector<std::unique_ptr<Actor>> actors_;            // as in the cast
  std::string brand_;
  uint64_t brands_ = 0, used_ = 0;  // made, and used up
  bool evicted_ = false, expired_ = false, died_ = false;
  std::vector<Seen> moves_;
};

}  // namespace lab::bench::explore
