#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace lab::bench::live {

// What happened, numbered from 1 without gaps. `json` is an object without line breaks.
struct Event {
  uint64_t id = 0;
  std::string type;
  std::string json;
};

// What a page shows of a system: a document of its state, and the events that led there and go on from there. Whoever
// drives the system publishes, from any thread; the server reads. The events are kept in a ring, so that a client that
// lost its connection goes on where it was, and a client that was away for too long begins anew.
class Hub {
 public:
  struct Options {
    size_t max_events = 20'000;  // five hours of seconds
    size_t max_bytes = 8 << 20;  // of their types and JSON
  };
  Hub() : Hub(Options()) {}
  explicit Hub(Options options);

  // `json` must be one JSON object on one line; that is not checked. Returns the event's number.
  uint64_t Publish(const std::string& type, const std::string& json);
  // A member of the state document, at the top of it; `json` is any JSON value. Replaces what stood there, and when
  // that was another text, publishes it as an event "state" {key: value}: for what changes seldom.
  void SetState(const std::string& key, const std::string& json);
  // The same without an event: for what other events tell, so that a reader of the document alone has it too.
  void KeepState(const std::string& key, const std::string& json);
  // {"last_event":17,…}: the state, and the last event that was published by then.
  std::string State() const;
  uint64_t last_event() const;

  struct Batch {
    std::vector<Event> events;
    bool gap = false;  // events behind `after` are gone: these are the oldest that are left
  };
  // Events with a number above `after`, at most `max_bytes` of them and at least one if there is one. An `after` that
  // was never published (of another hub) is a gap.
  Batch After(uint64_t after, size_t max_bytes) const;

  // Called after each event, on the thread that published; one listener, null for none. Does not return
  // while the former one is being called.
  void SetListener(std::function<void()> listener);

 private:
  uint64_t Append(const std::string& type, const std::string& json);  // under the mutex
  void Tell();

  const Options options_;
  mutable std::mutex mutex_;
  std::deque<Event> ring_;
  size_t ring_bytes_ = 0;
  uint64_t last_ = 0;
  std::map<std::string, std::string> state_;
  std::mutex listener_mutex_;
  std::function<void()> listener_;
};

}  // namespace lab::bench::live
