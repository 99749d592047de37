// The failpoints of a service, armed at its loopback route. The receipt is twofold: the service's own counter of the
// failpoint, which operations that came by move and arming does not, and what the adapter's callers got, by its
// metrics; of a crash, that the process has ended. The service disarms it by itself when its time is over.

#include "bench/fault/failpoint_faults.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string_view>

#include "bench/fault/failpoint_options.h"
#include "bench/observe/http_get.h"
#include "bench/observe/metrics_text.h"
#include "bench/observe/process_figures.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr Millis kAnswer{50};
constexpr Millis kCommand{500};
constexpr Millis kLongest = std::chrono::hours(1);  // that a service takes

// A value in a query string.
std::string Escaped(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '.' || c == '-' || c == '_' || c == '/') {
      out += c;
    } else {
      out += Concat("%", std::string(1, kHex[byte >> 4]), std::string(1, kHex[byte & 15]));
    }
  }
  return out;
}

// The value of a series as the service wrote it, "name{label=\"value\"}"; 0 when there is none.
double Series(std::string_view text, const std::string& series) {
  if (series.empty()) return 0;
  const MetricsText wanted = ParseMetricsText(series + " 0\n");
  if (wanted.samples.size() != 1) return 0;
  for (const MetricSample& sample : ParseMetricsText(text).samples) {
    if (sample.name == wanted.samples[0].name && sample.labels == wanted.samples[0].labels) return sample.value;
  }
  return 0;
}

// Observations of a histogram above the largest of its bounds that is at most `seconds`.
double Slower(std::string_view text, const std::string& family, double seconds) {
  if (family.empty()) return 0;
  const std::string bucket = Concat(family, "_bucket{le=\"");
  double bound = 0, within = 0;
  for (size_t at = text.find(bucket); at != std::string_view::npos; at = text.find(bucket, at + 1)) {
    const std::string_view line = text.substr(at + bucket.size(), text.find('\n', at) - at - bucket.size());
    double le = 0, count = 0;
    const size_t value = line.find("\"} ");
    if (value == std::string_view::npos || line.substr(0, 4) == "+Inf") continue;
    std::from_chars(line.data(), line.data() + value, le);
    std::from_chars(line.data() + value + 3, line.data() + line.size(), count);
    if (le > seconds || le < bound) continue;
    bound = le;
    within = count;
  }
  return Series(text, Concat(family, "_count")) - within;
}

class Failpoint : public Fault {
 public:
  explicit Failpoint(const FaultRequest& request)
      : target_(request.target), length_(request.length), options_(FailpointOptions(request.options)) {
    point_ = options_["point"];
    options_.erase("point");
    action_ = options_["action"];
  }

  absl::Status Prepare() override {
    before_pid_ = target_.pid();
    const absl::StatusOr<std::string> points = Ask("GET", "/failpoints");
    if (absl::IsNotFound(points.status())) {
      return absl::FailedPreconditionError(
          Concat("failpoints are off in ", target_.name(), ": ",
                 "set failpoints.enabled: true for it in the lab file, or start with --set ", target_.name(),
                 ".failpoints.enabled=true"));
    }
    if (!points.ok()) return points.status();
    absl::StatusOr<FailpointOfService> found = FindFailpoint(*points, point_);
    if (!found.ok()) return found.status();
    if (!found->armed.empty()) {
      return absl::FailedPreconditionError(Concat(point_, " is armed already, as \"", found->armed, "\""));
    }
    evidence_ = *std::move(found);
    const absl::StatusOr<Counts> counts = Read();
    if (!counts.ok()) return counts.status();
    before_ = *counts;
    return absl::OkStatus();
  }

  absl::Status Apply() override {
    if (crashes()) target_.ExpectEnd();
    const Millis length = std::clamp<Millis>(std::chrono::ceil<Millis>(length_), Millis(1), kLongest);
    std::string query = Concat("?for=", length.count(), "ms");
    for (const auto& [name, value] : options_) query += Concat("&", name, "=", Escaped(value));
    return Ask("PUT", Concat(Path(), query)).status();
  }

  std::optional<std::string> Seen() override {
    if (crashes()) return SeenEnded();
    const absl::StatusOr<Counts> now = Read();
    if (!now.ok()) return std::nullopt;
    const double hits = now->hits - before_.hits;
    if (hits < 1) return std::nullopt;
    const std::string counted = Concat(hits, " operations met ", point_);
    if (action_ == "error") return With(counted, evidence_.error, now->failed - before_.failed, "failed at once");
    const double late = now->timed_out - before_.timed_out;
    if (action_ != "delay" || late >= 1) return With(counted, evidence_.timeout, late, "got no answer in time");
    return With(counted, evidence_.duration, now->slow - before_.slow, "took as long as the delay");
  }

  absl::Status Heal() override {
    if (target_.pid() <= 0 || Ended()) return target_.Restart(true);
    const absl::Status disarmed = Ask("DELETE", Path()).status();
    // It may have crashed this very moment.
    return disarmed.ok() || !Ended() ? disarmed : target_.Restart(true);
  }

  bool Healed() override {
    const absl::StatusOr<std::string> points = Ask("GET", "/failpoints");
    if (!points.ok()) return false;
    const absl::StatusOr<FailpointOfService> found = FindFailpoint(*points, point_);
    return found.ok() && found->armed.empty();
  }

 private:
  struct Counts {
    double hits = 0, failed = 0, timed_out = 0, slow = 0;
  };

  bool crashes() const { return action_ == "crash"; }
  std::string Path() const { return Concat("/failpoints/", point_); }

  absl::StatusOr<std::string> Ask(const std::string& method, const std::string& path) {
    HttpRequest request;
    request.method = method;
    request.path = path;
    absl::StatusOr<HttpAnswer> answer = HttpCall(kHost, target_.port("http"), request, kCommand);
    if (!answer.ok()) return answer.status();
    if (answer->status == 404) return absl::NotFoundError(answer->body);
    if (answer->status != 200) return absl::InvalidArgumentError(Concat(method, " ", path, ": ", answer->body));
    return std::move(answer->body);
  }

  absl::StatusOr<Counts> Read() {
    const absl::StatusOr<HttpAnswer> answer = HttpGet(kHost, target_.port("http"), "/metrics", kAnswer);
    if (!answer.ok()) return answer.status();
    const std::string& text = answer->body;
    const absl::StatusOr<Nanos> delay =
        ParseDuration(crashes() || options_.count("delay") == 0 ? "0" : options_["delay"]);
    const double seconds = delay.ok() ? std::chrono::duration<double>(*delay).count() : 0;
    return Counts{Series(text, Concat("failpoint_hits_total{action=\"", action_, "\",point=\"", point_, "\"}")),
                  Series(text, evidence_.error), Series(text, evidence_.timeout),
                  action_ == "delay" ? Slower(text, evidence_.duration, seconds) : 0};
  }

  // The counter of the failpoint, and what the adapter's callers got where it tells.
  static std::optional<std::string> With(const std::string& counted, const std::string& series, double grown,
                                         std::string_view what) {
    if (series.empty()) return Concat(counted, "; its adapter has no metric of what became of them");
    if (grown < 1) return std::nullopt;
    return Concat(counted, ", ", grown, " ", what);
  }

  bool Ended() const {
    const auto stat = ReadProcess(before_pid_);
    return !stat || stat->state == 'Z';
  }
  std::optional<std::string> SeenEnded() {
    if (!Ended() || target_.Ask(kAnswer) != Look::kRefused) return std::nullopt;
    return "connection refused, its process has ended";
  }

  FaultTarget& target_;
  const Nanos length_;
  std::map<std::string, std::string> options_;
  std::string point_, action_;
  pid_t before_pid_ = -1;
  FailpointOfService evidence_;
  Counts before_;
};

// Parts that are services of ours, with failpoints in their adapters.
constexpr const char* kServices[] = {"ratelimit"};

}  // namespace

std::vector<FaultOption> FailpointFaultOptions() {
  return {
      {"point", "redis.script.before", "which, of those that the service lists (--print-failpoints)", {}},
      {"action",
       "error",
       "before an effect crash, delay or error; after it crash, delay or apply-then-timeout",
       {"crash", "delay", "error", "apply-then-timeout"}},
      {"delay", "20ms", "of the action delay", {}},
      {"share", "1", "probability that an operation is hit, above 0 and at most 1", {}},
      {"every", "1", "every so manieth operation only", {}},
      {"times", "0", "hits before it is over; 0: no bound", {}},
      {"operation", "", "only operations of this name: a command, a script, a method", {}},
  };
}

std::vector<FaultKind> FailpointFaults() {
  std::vector<FaultKind> kinds;
  for (const char* service : kServices) {
    kinds.push_back(
        {service, "failpoint", "an armed failpoint acts on the operations that come by", false, FailpointFaultOptions(),
         [](const FaultRequest& request) -> std::unique_ptr<Fault> { return std::make_unique<Failpoint>(request); }});
  }
  return kinds;
}

}  // namespace lab::bench
