// Faults of any part that is a process, by a control group of its own for as long as they last.

#include <cmath>

#include "bench/fault/fault.h"
#include "bench/fault/host_access.h"
#include "bench/host/cgroup.h"
#include "bench/labfile/quantity.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kAnswer{50};
constexpr Millis kSlow{20};
constexpr Millis kLook{40};

class CgroupFault : public Fault {
 public:
  CgroupFault(const FaultRequest& request, std::string controller)
      : target_(request.target), controller_(std::move(controller)) {}

  absl::Status Prepare() override {
    if (target_.host() == nullptr) return absl::FailedPreconditionError("nobody here can make groups for this part");
    if (target_.Ask(kAnswer) != Look::kAnswers) {
      return absl::UnavailableError("the part did not answer before the fault");
    }
    const absl::StatusOr<Cgroup> before = CgroupOf(target_.pid(), controller_);
    if (!before.ok()) return before.status();
    before_ = *before;
    // Known before anything is made, so that the receipt looks at the host and not at what Apply did.
    const absl::StatusOr<Cgroup> place =
        PlaceForCgroup(controller_, Concat(target_.host()->OwnName(), "-", controller_));
    if (!place.ok()) return place.status();
    group_ = *place;
    return absl::OkStatus();
  }

 protected:
  // A group with the limit, then the part in it: it is never in one without.
  template <typename Limit>
  absl::Status Confine(const Limit& limit) {
    if (absl::Status written = target_.host()->WriteDown(Concat("cgroup ", group_.folder)); !written.ok()) {
      return written;
    }
    if (absl::Status made = MakeCgroup(group_); !made.ok()) return made;
    if (absl::Status limited = limit(group_); !limited.ok()) return limited;
    return MoveToCgroup(group_, target_.pid());
  }
  absl::Status Free() { return group_.folder.empty() ? absl::OkStatus() : RemoveCgroup(group_, before_); }
  bool IsConfined() const {
    const absl::StatusOr<Cgroup> now = CgroupOf(target_.pid(), controller_);
    return now.ok() && now->folder == group_.folder;
  }

  FaultTarget& target_;
  const std::string controller_;
  Cgroup before_, group_;
};

// https://docs.kernel.org/scheduler/sched-bwc.html: what runs longer than its quota in a period waits for the next one.
class CpuLimit : public CgroupFault {
 public:
  explicit CpuLimit(const FaultRequest& request) : CgroupFault(request, "cpu") {
    const auto share = request.options.find("share");
    if (share != request.options.end()) cores_ = ShareOf(share->second).value_or(cores_);
  }
  absl::Status Apply() override {
    return Confine([this](const Cgroup& group) { return LimitCpu(group, cores_); });
  }
  // Asked again and again, which is load of its own: a limit that nobody reaches has had no effect.
  std::optional<std::string> Seen() override {
    if (!IsConfined()) return std::nullopt;
    const Clock::time_point end = Clock::now() + kLook;
    bool slow = false;
    while (!slow && Clock::now() < end) slow = target_.Ask(kSlow) != Look::kAnswers;
    const uint64_t throttled = ThrottledPeriods(group_);
    if (!slow || throttled == 0) return std::nullopt;
    return Concat("unanswered for ", kSlow.count(), " ms, kept from running in ", throttled, " periods of 100 ms");
  }
  absl::Status Heal() override { return Free(); }
  bool Healed() override { return !IsConfined() && target_.Ask(kAnswer) == Look::kAnswers; }

 private:
  double cores_ = 0.1;
};

// What the part holds already is not counted (MoveToCgroup): the limit is on what it allocates from now on.
class OutOfMemory : public CgroupFault {
 public:
  explicit OutOfMemory(const FaultRequest& request) : CgroupFault(request, "memory") {
    const auto room = request.options.find("room");
    if (room == request.options.end()) return;
    if (const absl::StatusOr<Quantity> bytes = QuantityOf(room->second); bytes.ok()) {
      room_ = static_cast<uint64_t>(std::llround(bytes->value));
    }
  }
  absl::Status Apply() override {
    target_.ExpectEnd();
    return Confine([this](const Cgroup& group) { return LimitMemory(group, room_); });
  }
  std::optional<std::string> Seen() override {
    const Look look = target_.Ask(kSlow);
    const uint64_t kills = OomKills(group_);
    // Of a PostgreSQL a process of many, and then it ends the others and refuses clients while it recovers.
    if (look != Look::kRefused || kills == 0) return std::nullopt;
    return Concat("connection refused, killed for want of memory (oom_kill ", kills, ")");
  }
  absl::Status Heal() override {
    if (group_.folder.empty()) return absl::OkStatus();
    const uint64_t kills = OomKills(group_);
    if (absl::Status freed = Free(); !freed.ok()) return freed;
    if (kills > 0) target_.host()->OwnOomKills(kills);
    return target_.Restart(true);
  }
  bool Healed() override { return target_.pid() > 0 && !IsConfined() && target_.Ask(kAnswer) == Look::kAnswers; }

 private:
  uint64_t room_ = 0;
};

template <typename T>
std::unique_ptr<Fault> Make(const FaultRequest& request) {
  return std::make_unique<T>(request);
}

}  // namespace

std::vector<FaultKind> CgroupFaults() {
  FaultKind cpu{"",
                "cpu_limit",
                "a CPU quota by cgroup: it stands still for the rest of each 100 ms in which it has used its share",
                false,
                {{"share", "10%", "of one core", {}, &WrongShare}},
                &Make<CpuLimit>};
  cpu.on_idle = {{"share", "1%"}};
  cpu.why_not_here = [] { return WhyNoCgroup("cpu"); };
  FaultKind memory{"",
                   "out_of_memory",
                   "a memory limit by cgroup: the kernel kills it when it allocates more; healed by a start",
                   false,
                   {{"room", "0b", "what it may still allocate before that", {}, &WrongBytes}},
                   &Make<OutOfMemory>};
  memory.why_not_here = [] { return WhyNoCgroup("memory"); };
  return {std::move(cpu), std::move(memory)};
}

}  // namespace lab::bench
