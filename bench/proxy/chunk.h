#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "services/runtime/base/time.h"

namespace lab::proxy {

// Bytes that were read together. `at`: when they were read, moved on by each delay they have served, so that delays of
// several toxics add up.
struct Chunk {
  std::string data;
  size_t begin = 0;  // of what is left of it
  Clock::time_point at{};

  std::string_view rest() const { return std::string_view(data).substr(begin); }
};

// Chunks in order, with what they hold of memory.
class ChunkQueue {
 public:
  // What a chunk costs besides its bytes; counted, so that many small chunks are bounded too.
  static constexpr size_t kOverhead = 128;

  void Push(Chunk chunk) {
    held_ += Cost(chunk);
    chunks_.push_back(std::move(chunk));
  }
  Chunk Pop() {
    Chunk chunk = std::move(chunks_.front());
    held_ -= Cost(chunk);
    chunks_.pop_front();
    return chunk;
  }
  // Cuts the first `bytes` off the first chunk, which has more; as a chunk of its own.
  Chunk Cut(size_t bytes) {
    Chunk& front = chunks_.front();
    Chunk piece{std::string(front.rest().substr(0, bytes)), 0, front.at};
    front.begin += bytes;
    return piece;
  }
  // Marks the first `bytes` of the first chunk as gone, and the chunk with its last one.
  void Consume(size_t bytes) {
    Chunk& front = chunks_.front();
    front.begin += bytes;
    if (front.begin == front.data.size()) Pop();
  }
  const Chunk& front() const { return chunks_.front(); }
  const std::deque<Chunk>& chunks() const { return chunks_; }
  bool empty() const { return chunks_.empty(); }
  size_t held() const { return held_; }
  void Clear() {
    chunks_.clear();
    held_ = 0;
  }

 private:
  static size_t Cost(const Chunk& chunk) { return chunk.data.size() + kOverhead; }

  std::deque<Chunk> chunks_;
  size_t held_ = 0;
};

}  // namespace lab::proxy
