#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/proxy/stage.h"

namespace lab::proxy {

// One stream of one connection: the stages of its toxics in the order in which they were added, and what has passed
// them all. Toxics come, change and go while bytes are on their way; these stay in order, and none is lost that its
// toxics do not drop. Holds no clock and does no I/O. `random` must outlive it.
class Pipeline {
 public:
  // What it holds at most, but for one more read: whoever fills it stops then (back pressure).
  static constexpr size_t kBound = 4 << 20;

  explicit Pipeline(Random& random) : random_(random) {}

  void Add(const Toxic& toxic, Clock::time_point now);
  void Update(const Toxic& toxic, Clock::time_point now);
  void Remove(const std::string& name, Clock::time_point now);

  void Push(std::string_view bytes, Clock::time_point now);
  void PushEnd(End end, Clock::time_point now);
  // Moves on what is due.
  void Run(Clock::time_point now);
  // When Run has something to do again.
  std::optional<Clock::time_point> Due() const;

  // What is to be written, and how the stream ends after it.
  ChunkQueue& output() { return output_; }
  const std::optional<End>& end() const { return end_; }

  // Whether bytes may pass by it: no toxic, and nothing on its way.
  bool Bypass() const { return stages_.empty() && output_.empty() && !input_ended_; }
  // Whether it takes more: it is not full, and the stream has not ended.
  bool Wants() const { return !input_ended_ && held() < kBound; }
  size_t held() const;

 private:
  struct Member {
    Toxic toxic;
    bool affected;  // by its toxicity, drawn for this connection
    std::unique_ptr<Stage> stage;
  };
  class Behind;

  Member MakeMember(const Toxic& toxic, Clock::time_point now);
  std::vector<Member>::iterator Find(const std::string& name);
  // What is due from stage `first` on.
  void RunFrom(size_t first, Clock::time_point now);

  Random& random_;
  std::vector<Member> stages_;
  ChunkQueue output_;
  std::optional<End> end_;
  bool input_ended_ = false;  // also when a stage ended the stream
};

}  // namespace lab::proxy
