// The rule of each toxic. Attributes are read in the order of ToxicKinds().

#include <algorithm>

#include "bench/proxy/stage.h"

namespace lab::proxy {
namespace {

// Longer than any experiment, and far from where a clock overflows.
constexpr int64_t kLongest = 1'000'000'000;

Millis ToMillis(int64_t value) { return Millis(std::clamp<int64_t>(value, 0, kLongest)); }

class Noop : public Stage {
 public:
  std::optional<Clock::time_point> Due() const override { return std::nullopt; }
  void Update(const Toxic&, Clock::time_point) override {}

 protected:
  void Work(Clock::time_point, Outlet& out) override { PassAll(out); }
};

// Each chunk leaves `latency` ± `jitter` after it was read. Chunks wait side by side, not one after the other: what is
// sent in a burst arrives as a burst. Order is kept, so a chunk with a short delay waits for the one before it.
class Latency : public Stage {
 public:
  Latency(const Toxic& toxic, Random& random) : random_(random) { Read(toxic); }
  std::optional<Clock::time_point> Due() const override {
    return due_.empty() ? std::nullopt : std::optional(due_.front());
  }
  void Update(const Toxic& toxic, Clock::time_point) override {
    Read(toxic);
    due_.clear();
    for (const Chunk& chunk : queue_.chunks()) due_.push_back(chunk.at + Delay());
  }

 protected:
  void Arrived(const Chunk& chunk, Clock::time_point) override { due_.push_back(chunk.at + Delay()); }
  void Work(Clock::time_point now, Outlet& out) override {
    while (!queue_.empty() && due_.front() <= now) {
      Chunk chunk = queue_.Pop();
      chunk.at = std::max(chunk.at, due_.front());
      due_.pop_front();
      out.Pass(std::move(chunk));
    }
    if (queue_.empty() && end_) Finish(*end_, out);
  }

 private:
  void Read(const Toxic& toxic) {
    latency_ = ToMillis(toxic.values[0]);
    jitter_ = ToMillis(toxic.values[1]);
  }
  Nanos Delay() {
    if (jitter_ <= Nanos(0)) return latency_;
    const auto spread = static_cast<uint64_t>(2 * jitter_.count());
    return std::max(Nanos(0), latency_ - jitter_ + Nanos(static_cast<int64_t>(random_.Below(spread))));
  }

  Random& random_;
  Nanos latency_{}, jitter_{};
  std::deque<Clock::time_point> due_;  // beside queue_
};

// `rate` KB/s, of 1,000 bytes. A chunk leaves when its last byte has been sent; large ones in pieces of 100 ms. A rate
// of 0 lets nothing pass.
class Bandwidth : public Stage {
 public:
  explicit Bandwidth(const Toxic& toxic) { Read(toxic); }
  std::optional<Clock::time_point> Due() const override { return due_; }
  void Update(const Toxic& toxic, Clock::time_point now) override {
    Read(toxic);
    free_at_ = now;
    due_.reset();
  }

 protected:
  void Work(Clock::time_point now, Outlet& out) override {
    while (!queue_.empty() && bytes_per_ms_ > 0) {
      const size_t most = static_cast<size_t>(bytes_per_ms_) * 100;
      const size_t size = std::min(queue_.front().rest().size(), most);
      if (!due_) due_ = std::max(free_at_, queue_.front().at) + Nanos(size * 1'000'000 / bytes_per_ms_);
      if (*due_ > now) return;
      free_at_ = *due_;
      Chunk piece = size < queue_.front().rest().size() ? queue_.Cut(size) : queue_.Pop();
      piece.at = std::max(piece.at, *due_);
      due_.reset();
      out.Pass(std::move(piece));
    }
    if (queue_.empty() && end_) Finish(*end_, out);
  }

 private:
  void Read(const Toxic& toxic) {
    bytes_per_ms_ = static_cast<uint64_t>(std::clamp<int64_t>(toxic.values[0], 0, kLongest));
  }

  uint64_t bytes_per_ms_ = 0;
  Clock::time_point free_at_{};
  std::optional<Clock::time_point> due_;  // of the piece in front
};

// Data passes; the end of the stream is `delay` late.
class SlowClose : public Stage {
 public:
  explicit SlowClose(const Toxic& toxic) : delay_(ToMillis(toxic.values[0])) {}
  std::optional<Clock::time_point> Due() const override {
    return end_ && !finished() ? std::optional(end_at_ + delay_) : std::nullopt;
  }
  void Update(const Toxic& toxic, Clock::time_point) override { delay_ = ToMillis(toxic.values[0]); }

 protected:
  void Work(Clock::time_point now, Outlet& out) override {
    while (!queue_.empty()) out.Pass(queue_.Pop());
    if (end_ && end_at_ + delay_ <= now) Finish(*end_, out);
  }

 private:
  Nanos delay_;
};

// Drops everything, and closes `timeout` after the last chunk (or its own beginning); 0: never. Its removal closes the
// connection, for the stream has a hole.
class Timeout : public Stage {
 public:
  Timeout(const Toxic& toxic, Clock::time_point now) : since_(now), timeout_(ToMillis(toxic.values[0])) {}
  std::optional<Clock::time_point> Due() const override {
    return timeout_ > Nanos(0) && !finished() ? std::optional(since_ + timeout_) : std::nullopt;
  }
  void Update(const Toxic& toxic, Clock::time_point now) override {
    timeout_ = ToMillis(toxic.values[0]);
    since_ = now;
  }
  void Leave(Clock::time_point, Outlet& out) override {
    if (!finished()) Finish(End::kClose, out);
  }

 protected:
  void Work(Clock::time_point now, Outlet& out) override {
    if (!queue_.empty()) since_ = now;
    queue_.Clear();
    if (end_) {
      Finish(*end_, out);
    } else if (timeout_ > Nanos(0) && since_ + timeout_ <= now) {
      Finish(End::kClose, out);
    }
  }

 private:
  Clock::time_point since_;
  Nanos timeout_;
};

// Resets the connection `timeout` after the first thing that came, which is dropped with all that follows.
class ResetPeer : public Stage {
 public:
  explicit ResetPeer(const Toxic& toxic) : timeout_(ToMillis(toxic.values[0])) {}
  std::optional<Clock::time_point> Due() const override {
    return first_ && !finished() ? std::optional(*first_ + timeout_) : std::nullopt;
  }
  void Update(const Toxic& toxic, Clock::time_point) override { timeout_ = ToMillis(toxic.values[0]); }
  void Leave(Clock::time_point now, Outlet& out) override {
    if (finished()) return;
    if (first_) {
      Finish(End::kReset, out);
    } else {
      Stage::Leave(now, out);
    }
  }

 protected:
  void Work(Clock::time_point now, Outlet& out) override {
    if (!first_ && (!queue_.empty() || end_)) first_ = now;
    queue_.Clear();
    if (first_ && *first_ + timeout_ <= now) Finish(End::kReset, out);
  }

 private:
  Nanos timeout_;
  std::optional<Clock::time_point> first_;
};

// Cuts into slices of `average_size` ± `size_variation` bytes, `delay` microseconds apart.
class Slicer : public Stage {
 public:
  Slicer(const Toxic& toxic, Random& random) : random_(random) { Read(toxic); }
  std::optional<Clock::time_point> Due() const override {
    return queue_.empty() ? std::nullopt : std::optional(next_at_);
  }
  void Update(const Toxic& toxic, Clock::time_point) override { Read(toxic); }

 protected:
  void Work(Clock::time_point now, Outlet& out) override {
    while (!queue_.empty() && next_at_ <= now) {
      const size_t rest = queue_.front().rest().size();
      const size_t size = SliceOf(rest);
      out.Pass(size < rest ? queue_.Cut(size) : queue_.Pop());
      if (delay_ > Nanos(0)) next_at_ = now + delay_;
    }
    if (queue_.empty() && end_) Finish(*end_, out);
  }

 private:
  void Read(const Toxic& toxic) {
    average_ = static_cast<size_t>(std::clamp<int64_t>(toxic.values[0], 1, kLongest));
    variation_ = static_cast<size_t>(std::clamp<int64_t>(toxic.values[1], 0, static_cast<int64_t>(average_) - 1));
    delay_ = Micros(std::clamp<int64_t>(toxic.values[2], 0, kLongest));
  }
  size_t SliceOf(size_t rest) {
    if (rest <= average_ + variation_) return rest;
    return variation_ == 0 ? average_ : average_ - variation_ + random_.Below(2 * variation_ + 1);
  }

  Random& random_;
  size_t average_ = 1, variation_ = 0;
  Nanos delay_{};
  Clock::time_point next_at_{};
};

// Closes the connection once `bytes` have passed.
class LimitData : public Stage {
 public:
  explicit LimitData(const Toxic& toxic) { Update(toxic, {}); }
  std::optional<Clock::time_point> Due() const override { return std::nullopt; }
  void Update(const Toxic& toxic, Clock::time_point) override {
    limit_ = static_cast<uint64_t>(std::max<int64_t>(toxic.values[0], 0));
  }

 protected:
  void Work(Clock::time_point, Outlet& out) override {
    while (!queue_.empty()) {
      const uint64_t left = limit_ > passed_ ? limit_ - passed_ : 0;
      const size_t rest = queue_.front().rest().size();
      if (left > 0) {
        Chunk chunk = left < rest ? queue_.Cut(static_cast<size_t>(left)) : queue_.Pop();
        passed_ += chunk.rest().size();
        out.Pass(std::move(chunk));
      }
      if (passed_ >= limit_) {
        Finish(End::kClose, out);
        return;
      }
    }
    if (end_) Finish(*end_, out);
  }

 private:
  uint64_t limit_ = 0, passed_ = 0;
};

}  // namespace

std::unique_ptr<Stage> MakeStage(const Toxic& toxic, Random& random, Clock::time_point now) {
  switch (toxic.kind->type) {
    case ToxicType::kLatency:
      return std::make_unique<Latency>(toxic, random);
    case ToxicType::kBandwidth:
      return std::make_unique<Bandwidth>(toxic);
    case ToxicType::kSlowClose:
      return std::make_unique<SlowClose>(toxic);
    case ToxicType::kTimeout:
      return std::make_unique<Timeout>(toxic, now);
    case ToxicType::kResetPeer:
      return std::make_unique<ResetPeer>(toxic);
    case ToxicType::kSlicer:
      return std::make_unique<Slicer>(toxic, random);
    case ToxicType::kLimitData:
      return std::make_unique<LimitData>(toxic);
    case ToxicType::kNoop:
      break;
  }
  return std::make_unique<Noop>();
}

}  // namespace lab::proxy
