// Faults of a Redis that are asked of the server itself; each on a connection of its own, the receipt on another.

#include <algorithm>

#include "bench/fault/fault.h"
#include "bench/fault/host_access.h"
#include "bench/host/namespaces.h"
#include "bench/observe/resp.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kSilence{20};
constexpr Millis kAnswer{50};
constexpr Millis kCommand{500};
constexpr const char* kCanary = "lab:canary";

absl::Status StatusOf(const absl::StatusOr<RespValue>& reply) {
  if (!reply.ok()) return reply.status();
  return reply->kind == RespValue::Kind::kError ? absl::FailedPreconditionError(reply->text) : absl::OkStatus();
}

class RedisFault : public Fault {
 public:
  explicit RedisFault(const FaultRequest& request)
      : target_(request.target),
        options_(request.options),
        length_(request.length),
        hand_("127.0.0.1", request.target.port("redis")),
        probe_("127.0.0.1", request.target.port("redis")) {}

  // A key of ours whose reading and writing are the probe.
  absl::Status Prepare() override { return StatusOf(probe_.Command({"SET", kCanary, "1"}, kAnswer)); }
  bool Healed() override { return StatusOf(probe_.Command({"SET", kCanary, "1"}, kAnswer)).ok(); }

 protected:
  std::string Option(const std::string& name, const std::string& fallback) const {
    const auto found = options_.find(name);
    return found == options_.end() ? fallback : found->second;
  }
  absl::Status Tell(const std::vector<std::string>& command) { return StatusOf(hand_.Command(command, kCommand)); }

  // Unanswered on two connections one after the other: a stall of the host that long is no fault of ours.
  std::optional<std::string> SeenSilent(const std::vector<std::string>& command) {
    for (int connection = 0; connection < 2; ++connection) {
      if (!absl::IsDeadlineExceeded(probe_.Command(command, kSilence).status())) return std::nullopt;
    }
    return Concat(command[0], " unanswered for ", kSilence.count(), " ms, twice");
  }
  // A write that is refused in the words of this fault.
  std::optional<std::string> SeenRefused(const char* error) {
    const absl::StatusOr<RespValue> reply = probe_.Command({"SET", kCanary, "1"}, kAnswer);
    if (!reply.ok() || !reply->IsError(error)) return std::nullopt;
    return Concat("SET answered ", error);
  }

  FaultTarget& target_;
  const std::map<std::string, std::string> options_;
  const Nanos length_;
  RespConnection hand_, probe_;
};

int64_t MillisOf(Nanos length) { return std::max<int64_t>(1, std::chrono::ceil<Millis>(length).count()); }

// https://redis.io/commands/client-pause: the server ends it by itself; asked to stop only writes it can be ended
// early, asked to stop all it takes no command until then.
class ClientPause : public RedisFault {
 public:
  using RedisFault::RedisFault;
  absl::Status Apply() override {
    return Tell({"CLIENT", "PAUSE", std::to_string(MillisOf(length_)), writes_only() ? "WRITE" : "ALL"});
  }
  std::optional<std::string> Seen() override {
    if (writes_only()) return SeenSilent({"SET", kCanary, "1"});
    return SeenSilent({"PING"});
  }
  absl::Status Heal() override {
    if (!writes_only()) return absl::OkStatus();
    return Tell({"CLIENT", "UNPAUSE"});
  }

 private:
  bool writes_only() const { return Option("commands", "all") == "writes"; }
};

// A script that keeps the one thread of Redis busy. Silent for its length: `lua-time-limit`, from which on Redis
// answers BUSY and takes SCRIPT KILL, is set to it. Its own bound, should nobody kill it, is a count of turns (no clock
// runs in a script): 10^9 a second of length, at which it ends after some ten times its length.
class Busy : public RedisFault {
 public:
  using RedisFault::RedisFault;
  absl::Status Prepare() override {
    const absl::StatusOr<RespValue> old = hand_.Command({"CONFIG", "GET", "lua-time-limit"}, kAnswer);
    if (absl::Status read = StatusOf(old); !read.ok()) return read;
    if (old->items.size() == 2) before_ = old->items[1].text;
    return RedisFault::Prepare();
  }
  absl::Status Apply() override {
    const int64_t length_ms = MillisOf(length_);
    if (absl::Status set = Tell({"CONFIG", "SET", "lua-time-limit", std::to_string(length_ms)}); !set.ok()) return set;
    const std::string script = Concat("for i = 1, ", length_ms, " * 1e6 do end return 1");
    return hand_.Send({"EVAL", script, "0"}, kCommand);
  }
  std::optional<std::string> Seen() override { return SeenSilent({"PING"}); }
  absl::Status Heal() override {
    // A connection of its own: the hand's waits for the script. NOTBUSY: it has ended.
    const absl::StatusOr<RespValue> killed = probe_.Command({"SCRIPT", "KILL"}, kCommand);
    if (!killed.ok()) return killed.status();
    if (killed->kind == RespValue::Kind::kError && !killed->IsError("NOTBUSY")) return StatusOf(killed);
    return StatusOf(probe_.Command({"CONFIG", "SET", "lua-time-limit", before_}, kCommand));
  }

 private:
  std::string before_ = "5000";
};

class Flush : public RedisFault {
 public:
  using RedisFault::RedisFault;
  absl::Status Apply() override { return Tell({"FLUSHALL", Option("mode", "sync") == "async" ? "ASYNC" : "SYNC"}); }
  std::optional<std::string> Seen() override {
    const absl::StatusOr<RespValue> reply = probe_.Command({"EXISTS", kCanary}, kAnswer);
    if (!reply.ok() || reply->kind != RespValue::Kind::kInteger || reply->integer != 0) return std::nullopt;
    return "a key without expiry is gone";
  }
  bool Healed() override { return StatusOf(probe_.Command({"PING"}, kAnswer)).ok(); }
};

class MemoryLimit : public RedisFault {
 public:
  using RedisFault::RedisFault;
  absl::Status Prepare() override {
    for (auto& [name, value] : before_) {
      const absl::StatusOr<RespValue> old = hand_.Command({"CONFIG", "GET", name}, kAnswer);
      if (absl::Status read = StatusOf(old); !read.ok()) return read;
      if (old->items.size() == 2) value = old->items[1].text;
    }
    return RedisFault::Prepare();
  }
  absl::Status Apply() override {
    if (absl::Status set = Tell({"CONFIG", "SET", "maxmemory-policy", "noeviction"}); !set.ok()) return set;
    return Tell({"CONFIG", "SET", "maxmemory", Option("bytes", "1")});
  }
  std::optional<std::string> Seen() override { return SeenRefused("OOM"); }
  absl::Status Heal() override {
    for (const auto& [name, value] : before_) {
      if (absl::Status set = Tell({"CONFIG", "SET", name, value}); !set.ok()) return set;
    }
    return absl::OkStatus();
  }

 private:
  std::map<std::string, std::string> before_ = {{"maxmemory", "0"}, {"maxmemory-policy", "noeviction"}};
};

// A replica of a master that is not there: its first synchronisation never begins, so its data stays, and writes are
// refused with READONLY.
class ReadOnly : public RedisFault {
 public:
  using RedisFault::RedisFault;
  absl::Status Apply() override { return Tell({"REPLICAOF", "127.0.0.1", "1"}); }  // tcpmux: nobody has it
  std::optional<std::string> Seen() override { return SeenRefused("READONLY"); }
  absl::Status Heal() override { return Tell({"REPLICAOF", "NO", "ONE"}); }
};

// The disk of its append-only file is full: Redis refuses writes, or ends when it promised to sync each of them.
class DiskFull : public RedisFault {
 public:
  using RedisFault::RedisFault;
  absl::Status Prepare() override {
    if (target_.host() == nullptr || target_.host()->OwnDisk().empty()) {
      return absl::FailedPreconditionError("this Redis has no disk of its own; write \"disk: 16mb\" at it");
    }
    const absl::StatusOr<RespValue> log = hand_.Command({"CONFIG", "GET", "appendonly"}, kAnswer);
    if (absl::Status read = StatusOf(log); !read.ok()) return read;
    if (log->items.size() != 2 || log->items[1].text != "yes") {
      return absl::FailedPreconditionError("this Redis writes nothing to its disk; set appendonly: yes");
    }
    return RedisFault::Prepare();
  }
  absl::Status Apply() override {
    target_.ExpectEnd();
    return FillDisk(target_.host()->OwnDisk());
  }
  // What it is told is larger than the rest of a page that it may still have, and not sent while there is room.
  std::optional<std::string> Seen() override {
    if (!DiskIsFull(target_.host()->OwnDisk())) return std::nullopt;
    const absl::StatusOr<RespValue> reply = probe_.Command({"SET", kCanary, std::string(8192, 'x')}, kAnswer);
    if (!reply.ok() && target_.WaitEnd(Nanos(0))) return "no room is left on its disk, and its process has ended";
    if (!reply.ok() || !reply->IsError("MISCONF")) return std::nullopt;
    return Concat("no room is left on its disk, and SET answered ", reply->text.substr(0, reply->text.find(". ")));
  }
  absl::Status Heal() override {
    if (target_.host() == nullptr || target_.host()->OwnDisk().empty()) return absl::OkStatus();
    if (absl::Status freed = FreeDisk(target_.host()->OwnDisk()); !freed.ok()) return freed;
    return target_.Restart(true);  // nothing when it runs
  }
};

template <typename T>
std::unique_ptr<Fault> Make(const FaultRequest& request) {
  return std::make_unique<T>(request);
}

}  // namespace

std::vector<FaultKind> RedisFaults() {
  FaultKind disk_full{"redis", "disk_full", "the disk of its append-only file is filled; healed by freeing it",
                      false,   {},          &Make<DiskFull>};
  disk_full.why_not_here = [] { return WhyNoNamespaces({.mounts = true}); };
  disk_full.needs = "disk";
  return {
      {"redis",
       "client_pause",
       "CLIENT PAUSE: commands wait",
       false,
       {{"commands", "all", "which wait; all: cannot be healed before its time", {"all", "writes"}}},
       &Make<ClientPause>},
      {"redis", "busy", "a busy script holds the one thread of Redis; healed by SCRIPT KILL", false, {}, &Make<Busy>},
      {"redis",
       "flush",
       "FLUSHALL: every key is gone",
       true,
       {{"mode", "sync", "whether memory is freed at once or in the background", {"sync", "async"}}},
       &Make<Flush>},
      {"redis",
       "memory_limit",
       "maxmemory below what is used, noeviction: writes are refused with OOM",
       false,
       {{"bytes", "1", "maxmemory while it lasts, in bytes", {}}},
       &Make<MemoryLimit>},
      {"redis",
       "readonly",
       "made a replica of nobody: writes are refused with READONLY, data stays",
       false,
       {},
       &Make<ReadOnly>},
      std::move(disk_full),
  };
}

}  // namespace lab::bench
