#include "bench/live/hub.h"

#include <utility>

#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {
namespace {

size_t SizeOf(const Event& event) { return event.type.size() + event.json.size(); }

}  // namespace

Hub::Hub(Options options) : options_(options) {}

uint64_t Hub::Publish(const std::string& type, const std::string& json) {
  uint64_t id = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    id = Append(type, json);
  }
  Tell();
  return id;
}

void Hub::SetState(const std::string& key, const std::string& json) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string& value = state_[key];
    if (value == json) return;
    value = json;
    Append("state", Concat("{", JsonString(key), ":", json, "}"));
  }
  Tell();
}

void Hub::KeepState(const std::string& key, const std::string& json) {
  const std::lock_guard<std::mutex> lock(mutex_);
  state_[key] = json;
}

uint64_t Hub::Append(const std::string& type, const std::string& json) {
  ring_.push_back({++last_, type, json});
  ring_bytes_ += SizeOf(ring_.back());
  // The newest one stays, however large it is.
  while (ring_.size() > 1 && (ring_.size() > options_.max_events || ring_bytes_ > options_.max_bytes)) {
    ring_bytes_ -= SizeOf(ring_.front());
    ring_.pop_front();
  }
  return last_;
}

std::string Hub::State() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string out = Concat("{\"last_event\":", last_);
  for (const auto& [key, json] : state_) out += Concat(",", JsonString(key), ":", json);
  return out + "}";
}

uint64_t Hub::last_event() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return last_;
}

Hub::Batch Hub::After(uint64_t after, size_t max_bytes) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Batch batch;
  const uint64_t oldest = last_ - ring_.size() + 1;
  if (after > last_ || after + 1 < oldest) {
    // A client that has seen nothing yet misses nothing: it begins with what is left.
    batch.gap = after != 0;
    after = oldest - 1;
  }
  size_t bytes = 0;
  for (size_t i = after - (oldest - 1); i < ring_.size(); ++i) {
    bytes += SizeOf(ring_[i]);
    if (!batch.events.empty() && bytes > max_bytes) break;
    batch.events.push_back(ring_[i]);
  }
  return batch;
}

void Hub::SetListener(std::function<void()> listener) {
  const std::lock_guard<std::mutex> lock(listener_mutex_);
  listener_ = std::move(listener);
}

void Hub::Tell() {
  const std::lock_guard<std::mutex> lock(listener_mutex_);
  if (listener_) listener_();
}

}  // namespace lab::bench::live
