#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lab::pg {

// A parameter that is an array, in its text form: `unnest($1::text[])` makes one statement of many rows.
class ArrayText {
 public:
  void Add(std::string_view element);
  void Add(int64_t element);
  void AddNull();
  size_t size() const { return size_; }
  // "{1,\"a b\",NULL}"; valid until the next Add or Clear.
  std::string_view text();
  void Clear();  // keeps its memory

 private:
  void Separate();
  std::string text_ = "{";
  size_t size_ = 0;
  bool closed_ = false;
};

}  // namespace lab::pg
