#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lab::ratelimit {

// The part of MessagePack (msgpack.org) that decide.lua speaks: one flat array of numbers.

// Writes an array. The number of items need not be known before Finish.
class NumberWriter {
 public:
  NumberWriter();
  void Add(uint64_t value);
  size_t count() const { return count_; }
  std::string_view Finish();
  void Clear();

 private:
  std::string bytes_;
  size_t count_ = 0;
};

// Reads an array of integers and doubles; false when the bytes are anything else. Integers must be below 2^53.
bool ReadNumbers(std::string_view bytes, std::vector<double>& out);

}  // namespace lab::ratelimit
