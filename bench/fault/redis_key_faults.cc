// Keys of a Redis that end before their time: expired, or deleted. Asked of the server itself; the receipt is by
// another connection.

#include <thread>
#include <utility>

#include "bench/fault/fault.h"
#include "bench/observe/resp.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kAnswer{50};
constexpr Millis kCommand{500};
constexpr Millis kComesBack{60};
constexpr Millis kLookAgain{3};
constexpr const char* kCanary = "lab:canary";
constexpr const char* kAll = "*";
constexpr size_t kMostKeys = 100'000;
constexpr size_t kMostWatched = 64;

absl::Status StatusOf(const absl::StatusOr<RespValue>& reply) {
  if (!reply.ok()) return reply.status();
  return reply->kind == RespValue::Kind::kError ? absl::FailedPreconditionError(reply->text) : absl::OkStatus();
}

// What keys hold before it, of some of them, is compared with what they hold afterwards. A hot key may be there again
// within a millisecond, so that its absence need not be seen; but then it was written anew. (An entry of a cache tells
// when it was written. Where values are written all the time, or expire by themselves, this is no receipt: the lab's
// times to live must be longer.)
class KeysEnd : public Fault {
 public:
  explicit KeysEnd(const FaultRequest& request)
      : hand_("127.0.0.1", request.target.port("redis")), probe_("127.0.0.1", request.target.port("redis")) {
    const auto given = request.options.find("key");
    if (given != request.options.end() && !given->second.empty()) pattern_ = given->second;
  }

  absl::Status Prepare() override {
    if (pattern_ == kAll) {  // there is one key at least
      if (absl::Status set = StatusOf(probe_.Command({"SET", kCanary, "1"}, kAnswer)); !set.ok()) return set;
    }
    absl::StatusOr<std::vector<std::string>> keys = Keys(probe_);
    // A key that was just deleted for a write is there again once somebody has read it.
    for (const Clock::time_point end = Clock::now() + kComesBack; keys.ok() && keys->empty() && Clock::now() < end;) {
      std::this_thread::sleep_for(kLookAgain);
      keys = Keys(probe_);
    }
    if (!keys.ok()) return keys.status();
    if (keys->empty()) return absl::FailedPreconditionError(Concat("there is no key ", pattern_, " to take away"));
    if (pattern_ == kAll) keys->insert(keys->begin(), kCanary);  // nobody else writes it
    watched_.clear();
    for (const std::string& key : *keys) {
      if (watched_.size() == kMostWatched) break;
      const absl::StatusOr<RespValue> value = probe_.Command({"DUMP", key}, kAnswer);
      if (absl::Status read = StatusOf(value); !read.ok()) return read;
      if (value->kind == RespValue::Kind::kText) watched_.emplace_back(key, value->text);
    }
    return watched_.empty() ? absl::FailedPreconditionError(Concat("the keys ", pattern_, " went by themselves"))
                            : absl::OkStatus();
  }

  absl::Status Apply() override {
    const absl::StatusOr<std::vector<std::string>> keys = Keys(hand_);
    if (!keys.ok()) return keys.status();
    if (keys->empty()) return absl::OkStatus();  // gone already; the receipt will say whether they came back
    return StatusOf(hand_.Command(Ending(*keys), kCommand));
  }

  std::optional<std::string> Seen() override {
    for (const auto& [key, before] : watched_) {
      const absl::StatusOr<RespValue> value = probe_.Command({"DUMP", key}, kAnswer);
      if (!StatusOf(value).ok()) return std::nullopt;
      if (value->kind == RespValue::Kind::kText && value->text == before) return std::nullopt;
    }
    if (watched_.empty()) return std::nullopt;
    return Concat(watched_.size() == 1 ? Concat("the key ", watched_[0].first, " is gone")
                                       : Concat(watched_.size(), " keys ", pattern_, " are gone"),
                  ", or was written anew");
  }

  bool Healed() override { return StatusOf(probe_.Command({"PING"}, kAnswer)).ok(); }

 protected:
  // The command that ends all of these at once.
  virtual std::vector<std::string> Ending(const std::vector<std::string>& keys) const = 0;

 private:
  absl::StatusOr<std::vector<std::string>> Keys(RespConnection& connection) const {
    std::vector<std::string> keys;
    if (pattern_.find_first_of("*?[\\") == std::string::npos) {
      const absl::StatusOr<RespValue> there = connection.Command({"EXISTS", pattern_}, kAnswer);
      if (absl::Status asked = StatusOf(there); !asked.ok()) return asked;
      if (there->integer > 0) keys.push_back(pattern_);
      return keys;
    }
    for (std::string cursor = "0";;) {
      const absl::StatusOr<RespValue> page =
          connection.Command({"SCAN", cursor, "MATCH", pattern_, "COUNT", "1000"}, kCommand);
      if (absl::Status read = StatusOf(page); !read.ok()) return read;
      if (page->items.size() != 2) return absl::DataLossError("SCAN answered something else");
      for (const RespValue& key : page->items[1].items) keys.push_back(key.text);
      if (keys.size() > kMostKeys) {
        return absl::ResourceExhaustedError(Concat("more than ", kMostKeys, " keys ", pattern_));
      }
      cursor = page->items[0].text;
      if (cursor == "0") return keys;
    }
  }

  std::string pattern_ = kAll;
  std::vector<std::pair<std::string, std::string>> watched_;  // key, what it held
  RespConnection hand_, probe_;
};

class Expire : public KeysEnd {
 public:
  using KeysEnd::KeysEnd;

 protected:
  std::vector<std::string> Ending(const std::vector<std::string>& keys) const override {
    std::vector<std::string> command = {"EVAL", "for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, 1) end",
                                        std::to_string(keys.size())};
    command.insert(command.end(), keys.begin(), keys.end());
    return command;
  }
};

class Delete : public KeysEnd {
 public:
  using KeysEnd::KeysEnd;

 protected:
  std::vector<std::string> Ending(const std::vector<std::string>& keys) const override {
    std::vector<std::string> command = {"DEL"};
    command.insert(command.end(), keys.begin(), keys.end());
    return command;
  }
};

template <typename T>
std::unique_ptr<Fault> Make(const FaultRequest& request) {
  return std::make_unique<T>(request);
}

}  // namespace

std::vector<FaultKind> RedisKeyFaults() {
  const FaultOption key{"key", kAll, "a key, or a pattern as KEYS takes it: insights:{brand-0}:*", {}};
  return {
      {"redis", "expire", "keys expire now, all at once", true, {key}, &Make<Expire>},
      {"redis", "delete", "keys are deleted, all at once", true, {key}, &Make<Delete>},
  };
}

}  // namespace lab::bench
