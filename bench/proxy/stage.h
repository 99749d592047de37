#pragma once

#include <memory>
#include <optional>

#include "bench/proxy/chunk.h"
#include "bench/proxy/toxic.h"
#include "services/runtime/base/random.h"

namespace lab::proxy {

// How a stream ends.
enum class End {
  kShut,   // the source said that nothing more comes; the other direction goes on
  kClose,  // a toxic closes the connection
  kReset,  // the connection is reset, by its source or a toxic
};

// Where a stage hands things on to.
class Outlet {
 public:
  virtual ~Outlet() = default;
  virtual void Pass(Chunk chunk) = 0;
  virtual void Finish(End end) = 0;
};

// One toxic on one stream of one connection: a queue and the rule by which it empties. Holds no clock: callers pass
// `now`, which never goes back. What comes in goes out in the same order, or (timeout, reset_peer, limit_data) is
// dropped, and then the stream ends and never goes on with a hole.
class Stage {
 public:
  virtual ~Stage() = default;

  void Take(Chunk chunk, Clock::time_point now);
  void TakeEnd(End end, Clock::time_point now);
  // Hands on what is due.
  void Advance(Clock::time_point now, Outlet& out);
  // When Advance has something to do again, as far as that is known now.
  virtual std::optional<Clock::time_point> Due() const = 0;
  // Its toxic has other attributes now, which go for what it holds as well.
  virtual void Update(const Toxic& toxic, Clock::time_point now) = 0;
  // Its toxic was removed: hands on all that it holds, in order. The stage must not be used after it.
  virtual void Leave(Clock::time_point now, Outlet& out);

  size_t held() const { return queue_.held(); }
  // Whether it has ended the stream: what comes later is dropped.
  bool finished() const { return finished_; }

 protected:
  virtual void Arrived(const Chunk& /*chunk*/, Clock::time_point /*now*/) {}
  virtual void Work(Clock::time_point now, Outlet& out) = 0;
  void Finish(End end, Outlet& out);
  // Everything queued, then the end if it has come.
  void PassAll(Outlet& out);

  ChunkQueue queue_;
  std::optional<End> end_;
  Clock::time_point end_at_{};

 private:
  bool finished_ = false;
};

// `random` must outlive the stage.
std::unique_ptr<Stage> MakeStage(const Toxic& toxic, Random& random, Clock::time_point now);

}  // namespace lab::proxy
