#include "services/cacheapi/model/split_key.h"

#include "services/runtime/base/text.h"

namespace lab::cacheapi {

std::string SplitKey(std::string_view key, size_t copy) {
  // Redis Cluster's rule: from the first { to the first } after it, when something stands between.
  const size_t open = key.find('{');
  const size_t close = open == std::string_view::npos ? open : key.find('}', open);
  const bool tagged = close != std::string_view::npos && close > open + 1;
  const size_t at = tagged ? close : key.size();
  return Concat(key.substr(0, at), "#", copy, key.substr(at));
}

std::vector<std::string> KeyAndCopies(std::string_view key, size_t copies) {
  std::vector<std::string> keys = {std::string(key)};
  for (size_t copy = 0; copy < copies; ++copy) keys.push_back(SplitKey(key, copy));
  return keys;
}

std::string WithoutCopy(std::string_view key) {
  const size_t mark = key.find('#');
  if (mark == std::string_view::npos) return std::string(key);
  size_t end = mark + 1;
  while (end < key.size() && key[end] >= '0' && key[end] <= '9') ++end;
  return Concat(key.substr(0, mark), key.substr(end));
}

}  // namespace lab::cacheapi
