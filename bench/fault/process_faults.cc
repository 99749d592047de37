// Faults of any part that is a process: kill, pause, terminate, restart.

#include <algorithm>
#include <csignal>
#include <vector>

#include "bench/fault/fault.h"
#include "bench/host/family.h"
#include "bench/observe/process_figures.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kSilence{20};
constexpr Millis kAnswer{50};
constexpr Millis kEnd{2000};
constexpr int kLooks = 3;

class ProcessFault : public Fault {
 public:
  explicit ProcessFault(const FaultRequest& request)
      : target_(request.target),
        keep_data_(request.options.count("data") == 0 || request.options.at("data") == "keep") {}

  absl::Status Prepare() override {
    before_ = target_.pid();
    family_ = FamilyOf(before_);
    for (int look = 0; look < kLooks; ++look) {  // a busy host may make one late
      const Look seen = target_.Ask(kAnswer);
      if (seen == Look::kAnswers) return absl::OkStatus();
      if (seen == Look::kRefused) break;
    }
    return absl::UnavailableError("the part did not answer before the fault");
  }
  bool Healed() override { return target_.pid() > 0 && target_.Ask(kAnswer) == Look::kAnswers; }

 protected:
  // The receipt of an end: clients are refused, and the process that answered them is gone.
  std::optional<std::string> SeenEnded() {
    if (target_.Ask(kSilence) != Look::kRefused) return std::nullopt;
    if (!AllAre('Z')) return std::nullopt;
    if (family_.size() == 1) return "connection refused, its process has ended";
    return Concat("connection refused, its ", family_.size(), " processes have ended");
  }
  // Whether each process that it had before is in this state, or gone.
  bool AllAre(char state) const {
    return std::all_of(family_.begin(), family_.end(), [state](pid_t pid) {
      const auto stat = ReadProcess(pid);
      return !stat || stat->state == 'Z' || stat->state == state;
    });
  }

  FaultTarget& target_;
  const bool keep_data_;
  pid_t before_ = -1;
  std::vector<pid_t> family_;
};

class End : public ProcessFault {
 public:
  End(const FaultRequest& request, bool kill) : ProcessFault(request), kill_(kill) {}
  absl::Status Apply() override {
    target_.ExpectEnd();
    return target_.Signal(kill_ ? SIGKILL : target_.end_signal());
  }
  std::optional<std::string> Seen() override { return SeenEnded(); }
  absl::Status Heal() override {
    // What was asked to end and has not done so is not well; it ends now, and starts like the others.
    if (target_.pid() > 0 && target_.pid() == before_ && target_.Ask(kAnswer) != Look::kAnswers) {
      if (absl::Status sent = target_.Signal(SIGKILL); !sent.ok()) return sent;
      target_.WaitEnd(kEnd);
    }
    return target_.Restart(keep_data_);
  }

 private:
  const bool kill_;
};

class Pause : public ProcessFault {
 public:
  using ProcessFault::ProcessFault;
  absl::Status Apply() override { return target_.Signal(SIGSTOP); }
  std::optional<std::string> Seen() override {
    if (target_.Ask(kSilence) != Look::kSilent) return std::nullopt;
    // Silence alone might be a busy host.
    const auto stat = ReadProcess(target_.pid());
    if (!stat || stat->state != 'T' || !AllAre('T')) return std::nullopt;
    return Concat(
        "unanswered for ", kSilence.count(), " ms, ",
        family_.size() == 1 ? "its process is stopped" : Concat("its ", family_.size(), " processes are stopped"));
  }
  absl::Status Heal() override { return target_.Signal(SIGCONT); }
};

class Restart : public ProcessFault {
 public:
  using ProcessFault::ProcessFault;
  absl::Status Apply() override {
    target_.ExpectEnd();
    if (absl::Status sent = target_.Signal(target_.end_signal()); !sent.ok()) return sent;
    if (!target_.WaitEnd(kEnd)) {
      if (absl::Status sent = target_.Signal(SIGKILL); !sent.ok()) return sent;
      target_.WaitEnd(kEnd);
    }
    return target_.Restart(keep_data_);
  }
  std::optional<std::string> Seen() override {
    const pid_t now = target_.pid();
    if (now <= 0 || now == before_ || target_.Ask(kAnswer) != Look::kAnswers) return std::nullopt;
    return Concat("another process answers (", before_, " before, ", now, " now)");
  }
  absl::Status Heal() override { return target_.Restart(keep_data_); }  // nothing when it runs
};

template <bool kill>
std::unique_ptr<Fault> MakeEnd(const FaultRequest& request) {
  return std::make_unique<End>(request, kill);
}
template <typename T>
std::unique_ptr<Fault> Make(const FaultRequest& request) {
  return std::make_unique<T>(request);
}

}  // namespace

std::vector<FaultKind> ProcessFaults() {
  const std::vector<FaultOption> data = {
      {"data", "keep", "what the restarted process finds of its data folder", {"keep", "lost"}}};
  return {
      {"", "kill", "SIGKILL; healed by a start on the same ports", false, data, &MakeEnd<true>},
      {"", "terminate", "SIGTERM, of PostgreSQL SIGINT; healed by a start on the same ports", false, data,
       &MakeEnd<false>},
      {"", "restart", "SIGTERM or SIGINT, and at its end a start on the same ports", true, data, &Make<Restart>},
      {"", "pause", "SIGSTOP: connections stand, nothing answers; healed by SIGCONT", false, {}, &Make<Pause>},
  };
}

}  // namespace lab::bench
