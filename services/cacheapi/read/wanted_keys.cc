#include "services/cacheapi/read/wanted_keys.h"

#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

constexpr int kMostHalvings = 64;  // then nothing is left

std::string Line(const WantedKeys::Key& key) { return Concat(Name(key.window), " ", key.brand); }

bool Parse(std::string_view line, WantedKeys::Key& key) {
  const size_t blank = line.find(' ');
  if (blank == std::string_view::npos) return false;
  const absl::StatusOr<Window> window = ParseWindow(line.substr(0, blank));
  key.brand = std::string(line.substr(blank + 1));
  if (!window.ok() || !CheckBrand(key.brand).ok()) return false;
  key.window = *window;
  return true;
}

}  // namespace

void WantedKeys::Observe(std::string_view brand, Window window, Clock::time_point now) {
  if (random_.Below(kSample) != 0) return;
  if (next_ == Clock::time_point{}) next_ = now + kHalfLife;
  for (int i = 0; now >= next_ && i < kMostHalvings; ++i, next_ += kHalfLife) keys_.Halve();
  if (now >= next_) next_ = now + kHalfLife;
  keys_.Add(Line({std::string(brand), window}));
}

std::vector<WantedKeys::Key> WantedKeys::Top() const {
  std::vector<Key> top;
  for (const HotKeys::Item& item : keys_.Top()) {
    Key key;
    if (item.hits > item.error && Parse(item.key, key)) top.push_back(std::move(key));
  }
  return top;
}

std::string WantedKeys::ToText(const std::vector<Key>& keys) {
  std::string text;
  for (const Key& key : keys) text += Concat(Line(key), "\n");
  return text;
}

std::vector<WantedKeys::Key> WantedKeys::FromText(std::string_view text) {
  std::vector<Key> keys;
  while (!text.empty() && keys.size() < kMost) {
    const size_t end = text.find('\n');
    Key key;
    if (Parse(text.substr(0, end), key)) keys.push_back(std::move(key));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return keys;
}

}  // namespace lab::cacheapi
