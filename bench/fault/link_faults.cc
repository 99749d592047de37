// Faults of a link: a toxic on each proxy of it (bench/proxy), seen by questions that go through them.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>

#include "absl/strings/numbers.h"
#include "bench/fault/fault.h"
#include "bench/fault/link_probe.h"
#include "bench/labfile/quantity.h"
#include "bench/proxy/client.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kSilence{50};   // unanswered that long, twice, when an answer took a hundredth of it before
constexpr Millis kLongest{250};  // a longer delay is seen by its not having ended by then
constexpr Millis kAnswer{200};
constexpr Millis kPatience{500};     // with a link that nothing has been done to yet
constexpr Millis kProof{150};        // a delay is seen that often in a row that the looks take so long: 2 to 5 times
constexpr Nanos kLeast = Millis(1);  // a delay that a probe can tell from what a host does by itself

using Options = std::map<std::string, std::string>;

// Values as lab files write them; they have been checked when a fault is made.
std::optional<Nanos> Duration(const std::string& text) {
  const absl::StatusOr<Nanos> duration = ParseDuration(text);
  return duration.ok() ? std::optional(*duration) : std::nullopt;
}
// "64kb", "64 kb/s" or plain bytes.
std::optional<double> Bytes(std::string text) {
  if (text.size() > 2 && text.compare(text.size() - 2, 2, "/s") == 0) text.resize(text.size() - 2);
  const absl::StatusOr<Quantity> quantity = QuantityOf(text);
  const bool fits = quantity.ok() && (quantity->unit.SameKind(Unit::Bytes()) || quantity->unit.SameKind(Unit::Plain()));
  return fits && quantity->unit.label != "%" && quantity->unit.label != "x" ? std::optional(quantity->value)
                                                                            : std::nullopt;
}

std::string WrongDuration(const std::string& text) {
  const absl::StatusOr<Nanos> duration = ParseDuration(text);
  if (!duration.ok()) return Concat(std::string(duration.status().message()), ", as 50ms");
  return *duration > std::chrono::hours(1) ? "an hour is the most" : "";
}
// Toxiproxy counts in milliseconds.
std::string WrongMillis(const std::string& text) {
  const std::string wrong = WrongDuration(text);
  if (!wrong.empty() || *Duration(text) % Millis(1) == Nanos(0)) return wrong;
  return Concat("\"", text, "\" is no whole number of milliseconds, as 5ms");
}
std::string WrongDelay(const std::string& text) {
  const std::string wrong = WrongMillis(text);
  return wrong.empty() && *Duration(text) < Millis(1) ? "1ms is the least" : wrong;
}
std::string WrongSliceDelay(const std::string& text) {
  const std::string wrong = WrongDuration(text);
  return wrong.empty() && *Duration(text) < Micros(10) ? "10us is the least: without a delay no probe sees slices"
                                                       : wrong;
}
std::string WrongSize(const std::string& text) {
  const std::optional<double> bytes = Bytes(text);
  if (!bytes) return Concat("\"", text, "\" is no size; write 500b, 64kb or 1mb");
  return *bytes < 0 || *bytes > 1 << 20 ? "allowed: 0b … 1mb" : "";
}
std::string WrongSlice(const std::string& text) {
  const std::string wrong = WrongSize(text);
  return wrong.empty() && *Bytes(text) < 1 ? "1b is the least" : wrong;
}
std::string WrongRate(const std::string& text) {
  const std::optional<double> rate = Bytes(text);
  if (!rate) return Concat("\"", text, "\" is no rate of bytes; write 64kb/s or 1mb/s");
  return *rate < 1'000 || *rate > 100e6 ? "allowed: 1kb/s … 95mb/s" : "";
}
std::string WrongToxicity(const std::string& text) {
  const absl::StatusOr<double> share = ShareOf(text);
  if (!share.ok()) return std::string(share.status().message());
  return *share > 0 && *share <= 1 ? "" : "above 0 (which nobody would ever see) and at most 1";
}

// What one look saw; nothing when the link was as before.
class LinkFault : public Fault {
 public:
  LinkFault(const FaultRequest& request, const char* type, const std::vector<FaultOption>& known)
      : link_(request.target), type_(type), client_(request.target.port("api")), probe_(request.target) {
    for (const FaultOption& option : known) options_[option.name] = option.fallback;
    for (const auto& [name, value] : request.options) options_[name] = value;
  }

  absl::Status Prepare() override {
    absl::StatusOr<std::vector<std::string>> proxies = client_.Proxies();
    if (!proxies.ok()) return proxies.status();
    proxies_ = std::move(*proxies);
    if (absl::Status answers = probe_.Prepare(); !answers.ok()) return answers;
    return Measure();
  }
  absl::Status Apply() override {
    const std::string toxic =
        Concat("{\"type\":\"", type_, "\",\"name\":\"", ToxicName(), "\",\"stream\":\"", options_.at("stream"),
               "\",\"toxicity\":", JsonNumber(Toxicity()), ",\"attributes\":{", Attributes(), "}}");
    for (const std::string& proxy : proxies_) {
      if (absl::Status added = client_.AddToxic(proxy, toxic); !added.ok()) return added;
    }
    return absl::OkStatus();
  }
  absl::Status Heal() override {
    for (const std::string& proxy : proxies_) {
      if (absl::Status removed = client_.RemoveToxic(proxy, ToxicName()); !removed.ok()) return removed;
    }
    return absl::OkStatus();
  }
  bool Healed() override { return probe_.Exchange(1, kAnswer).end == LinkProbe::End::kAnswered && !Seen(); }

 protected:
  // What the receipt compares with.
  virtual absl::Status Measure() { return absl::OkStatus(); }
  // Of the toxic, as JSON members.
  virtual std::string Attributes() const = 0;

  // The control of a look: the same process answers on a port without a toxic. A host that stalls is no fault of ours.
  bool HostAnswersWithin(Nanos time) const {
    const Clock::time_point begin = Clock::now();
    return client_.Answers() && Clock::now() - begin < time;
  }

  Nanos Time(const char* name) const { return Duration(options_.at(name)).value_or(Nanos(0)); }
  double Size(const char* name) const { return Bytes(options_.at(name)).value_or(0); }
  static std::string Member(const char* name, int64_t value) { return Concat("\"", name, "\":", value); }
  static int64_t MillisOf(Nanos time) { return std::chrono::duration_cast<Millis>(time).count(); }

  FaultTarget& link_;
  const char* const type_;
  Options options_;
  const proxy::Client client_;
  LinkProbe probe_;
  std::vector<std::string> proxies_;

 private:
  double Toxicity() const { return ShareOf(options_.at("toxicity")).value_or(1); }
  std::string ToxicName() const { return Concat("lab_", type_, "_", number_); }
  // Two of the same kind may be there at a time, and each removes its own.
  static int NextNumber() {
    static std::atomic<int> next{1};
    return next++;
  }

  const int number_ = NextNumber();
};

// Toxics that delay something: seen when it takes at least what they add, which must stand out from what it took
// before.
class DelayFault : public LinkFault {
 public:
  using LinkFault::LinkFault;
  std::optional<std::string> Seen() override {
    const Nanos enough = std::min<Nanos>(expected_, kLongest);
    LinkProbe::Result result;
    Nanos least = Nanos::max();
    for (int64_t look = 0; look < std::clamp<int64_t>(kProof / enough, 2, 5); ++look) {
      result = Ask(enough + kLongest);
      if (result.end == LinkProbe::End::kRefused || result.end == LinkProbe::End::kCut) return std::nullopt;
      least = std::min(least, result.took);
      if (least < enough || !HostAnswersWithin(enough / 2)) return std::nullopt;
    }
    return Concat(What(), " took ", FormatDuration(least), result.end == LinkProbe::End::kSilent ? " and more" : "",
                  " (", FormatDuration(before_), " before)");
  }

  // As quick as before, and not by luck of a jitter or a toxicity.
  bool Healed() override {
    for (int look = 0; look < 3; ++look) {
      const LinkProbe::Result result = Ask(kAnswer);
      if (result.end != LinkProbe::End::kAnswered || result.took >= expected_) return false;
    }
    return true;
  }

 protected:
  virtual Nanos Expected() const = 0;
  virtual LinkProbe::Result Ask(Nanos timeout) const = 0;
  virtual std::string What() const { return "an answer"; }

  absl::Status Measure() override {
    expected_ = Expected();
    before_ = Nanos::max();
    for (int look = 0; look < 3; ++look) {
      const LinkProbe::Result result = Ask(kPatience);
      if (result.end == LinkProbe::End::kAnswered) before_ = std::min(before_, result.took);
    }
    if (before_ == Nanos::max()) return absl::UnavailableError("the link did not answer before the fault");
    if (expected_ >= kLeast && expected_ > 2 * before_) return absl::OkStatus();
    return absl::FailedPreconditionError(Concat("no probe would see it: it adds ", FormatDuration(expected_),
                                                ", and without it ", What(), " takes ", FormatDuration(before_)));
  }

  Nanos expected_{}, before_{};
};

class Latency : public DelayFault {
 public:
  using DelayFault::DelayFault;

 protected:
  std::string Attributes() const override {
    return Concat(Member("latency", MillisOf(Time("latency"))), ",", Member("jitter", MillisOf(Time("jitter"))));
  }
  // With a jitter beyond the latency some answers are not delayed at all; the looks go on until one is.
  Nanos Expected() const override {
    return Time("latency") > Time("jitter") ? Time("latency") - Time("jitter") : Time("latency") / 2;
  }
  LinkProbe::Result Ask(Nanos timeout) const override { return probe_.Exchange(1, timeout); }
  std::string What() const override { return probe_.question(); }
};

class Bandwidth : public DelayFault {
 public:
  using DelayFault::DelayFault;

 protected:
  // Toxiproxy counts in units of 1,000 bytes.
  int64_t Rate() const { return std::max<int64_t>(1, std::llround(Size("rate") / 1000)); }
  size_t ProbeBytes() const {
    return std::min(probe_.most_bytes(), std::max<size_t>(64, static_cast<size_t>(Rate()) * 100));
  }
  std::string Attributes() const override { return Member("rate", Rate()); }
  Nanos Expected() const override {
    return Nanos(static_cast<int64_t>(static_cast<double>(ProbeBytes()) * 1e6 / static_cast<double>(Rate()) * 0.8));
  }
  LinkProbe::Result Ask(Nanos timeout) const override { return probe_.Exchange(ProbeBytes(), timeout); }
  std::string What() const override { return Concat(ProbeBytes(), " bytes there and back"); }
};

class SlowClose : public DelayFault {
 public:
  using DelayFault::DelayFault;

 protected:
  std::string Attributes() const override { return Member("delay", MillisOf(Time("delay"))); }
  Nanos Expected() const override { return Time("delay"); }
  LinkProbe::Result Ask(Nanos timeout) const override { return probe_.Close(timeout); }
  std::string What() const override { return "the end of a connection"; }
};

class Slicer : public DelayFault {
 public:
  using DelayFault::DelayFault;

 protected:
  static constexpr Millis kWanted{20};  // what the slices of one question are to add

  double Largest() const { return Size("average_size") + Size("size_variation"); }
  size_t ProbeBytes() const {
    const double slices = std::max(3.0, std::ceil(std::chrono::duration<double>(kWanted) / Time("delay"))) + 1;
    return std::min(probe_.most_bytes(), static_cast<size_t>(slices * Largest()));
  }
  std::string Attributes() const override {
    return Concat(Member("average_size", std::llround(Size("average_size"))), ",",
                  Member("size_variation", std::llround(Size("size_variation"))), ",",
                  Member("delay", std::chrono::duration_cast<Micros>(Time("delay")).count()));
  }
  Nanos Expected() const override {
    const double slices = static_cast<double>(ProbeBytes()) / Largest() - 1;
    return Nanos(static_cast<int64_t>(slices * static_cast<double>(Time("delay").count())));
  }
  LinkProbe::Result Ask(Nanos timeout) const override { return probe_.Exchange(ProbeBytes(), timeout); }
  std::string What() const override { return Concat(ProbeBytes(), " bytes there and back"); }
};

class Timeout : public LinkFault {
 public:
  using LinkFault::LinkFault;
  std::optional<std::string> Seen() override {
    const Nanos timeout = Time("timeout");
    for (int look = 0; look < 2; ++look) {
      const LinkProbe::Result result = probe_.Exchange(1, kSilence);
      const bool closed = timeout > Nanos(0) && result.end == LinkProbe::End::kCut && result.took >= timeout;
      if (result.end != LinkProbe::End::kSilent && !closed) return std::nullopt;
      if (!HostAnswersWithin(kSilence / 2)) return std::nullopt;
      if (closed) return Concat("closed without an answer after ", FormatDuration(result.took));
    }
    return Concat(probe_.question(), " unanswered for ", FormatDuration(kSilence), ", twice");
  }

 protected:
  std::string Attributes() const override { return Member("timeout", MillisOf(Time("timeout"))); }
};

class ResetPeer : public LinkFault {
 public:
  using LinkFault::LinkFault;
  std::optional<std::string> Seen() override {
    const LinkProbe::Result result = probe_.Exchange(1, std::min<Nanos>(Time("timeout"), kLongest) + kSilence);
    if (result.end == LinkProbe::End::kReset) return "the connection was reset";
    if (result.end != LinkProbe::End::kSilent || Time("timeout") <= kLongest) return std::nullopt;
    return Concat(probe_.question(), " unanswered for ", FormatDuration(result.took));
  }

 protected:
  std::string Attributes() const override { return Member("timeout", MillisOf(Time("timeout"))); }
};

class LimitData : public LinkFault {
 public:
  using LinkFault::LinkFault;
  std::optional<std::string> Seen() override {
    const LinkProbe::Result result = probe_.Exchange(ProbeBytes(), kLongest);
    if (result.end != LinkProbe::End::kCut && result.end != LinkProbe::End::kReset) return std::nullopt;
    return Concat("cut off after ", result.received, " of ", ProbeBytes(), " bytes");
  }

 protected:
  size_t ProbeBytes() const { return static_cast<size_t>(Size("bytes")) + 2; }
  std::string Attributes() const override { return Member("bytes", std::llround(Size("bytes"))); }
  absl::Status Measure() override {
    if (ProbeBytes() > probe_.most_bytes() + 2) {
      return absl::FailedPreconditionError(Concat("over this link a probe carries ", probe_.most_bytes(), " bytes"));
    }
    if (probe_.Exchange(ProbeBytes(), kLongest).end == LinkProbe::End::kAnswered) return absl::OkStatus();
    return absl::UnavailableError(Concat("the link did not carry ", ProbeBytes(), " bytes before the fault"));
  }
};

class Down : public LinkFault {
 public:
  using LinkFault::LinkFault;
  absl::Status Apply() override { return EnableAll(false); }
  absl::Status Heal() override { return EnableAll(true); }
  std::optional<std::string> Seen() override {
    if (probe_.Exchange(1, kSilence).end != LinkProbe::End::kRefused) return std::nullopt;
    return "connection refused";
  }

 protected:
  std::string Attributes() const override { return ""; }

 private:
  absl::Status EnableAll(bool enabled) {
    for (const std::string& proxy : proxies_) {
      if (absl::Status set = client_.Enable(proxy, enabled); !set.ok()) return set;
    }
    return absl::OkStatus();
  }
};

// The attributes of a toxic and what every toxic has.
std::vector<FaultOption> WithStream(std::vector<FaultOption> options) {
  options.push_back(
      {"stream", "downstream", "upstream (what is asked) or downstream (the answers)", {"upstream", "downstream"}});
  options.push_back({"toxicity", "1", "share of the connections that it affects", {}, &WrongToxicity});
  return options;
}

const std::vector<FaultOption>& OptionsOf(const std::string& action) {
  static const std::map<std::string, std::vector<FaultOption>> all = {
      {"latency", WithStream({{"latency", "100ms", "added to each read, on top of what it takes", {}, &WrongDelay},
                              {"jitter", "0ms", "plus or minus", {}, &WrongMillis}})},
      {"bandwidth", WithStream({{"rate", "64kb/s", "bytes a second and connection", {}, &WrongRate}})},
      {"slow_close", WithStream({{"delay", "100ms", "of the end of a connection", {}, &WrongDelay}})},
      {"timeout", WithStream({{"timeout", "0ms", "closed after it; 0: held for ever", {}, &WrongMillis}})},
      {"reset_peer", WithStream({{"timeout", "0ms", "from the first data to the reset", {}, &WrongMillis}})},
      {"slicer", WithStream({{"average_size", "64b", "of a slice", {}, &WrongSlice},
                             {"size_variation", "0b", "plus or minus", {}, &WrongSize},
                             {"delay", "1ms", "between slices", {}, &WrongSliceDelay}})},
      {"limit_data", WithStream({{"bytes", "1kb", "after which the connection is closed", {}, &WrongSize}})},
      {"down", {}},
  };
  return all.at(action);
}

template <typename T>
std::unique_ptr<Fault> Make(const FaultRequest& request, const char* action) {
  return std::make_unique<T>(request, action, OptionsOf(action));
}

}  // namespace

std::vector<FaultKind> LinkFaults() {
  const auto kind = [](const char* action, const char* doc, auto make) {
    return FaultKind{"link", action, doc, false, OptionsOf(action), make};
  };
  using Request = const FaultRequest&;
  return {
      kind("latency", "data is late by a latency ± jitter", [](Request r) { return Make<Latency>(r, "latency"); }),
      kind("bandwidth", "data comes at a limited rate", [](Request r) { return Make<Bandwidth>(r, "bandwidth"); }),
      kind("slow_close", "connections end late", [](Request r) { return Make<SlowClose>(r, "slow_close"); }),
      kind("timeout", "connections stand and nothing comes; closed after a time, if any",
           [](Request r) { return Make<Timeout>(r, "timeout"); }),
      kind("reset_peer", "connections are reset", [](Request r) { return Make<ResetPeer>(r, "reset_peer"); }),
      kind("slicer", "data comes in small slices", [](Request r) { return Make<Slicer>(r, "slicer"); }),
      kind("limit_data", "connections are closed after so many bytes",
           [](Request r) { return Make<LimitData>(r, "limit_data"); }),
      kind("down", "connections are closed, and refused while it lasts",
           [](Request r) { return Make<Down>(r, "down"); }),
  };
}

}  // namespace lab::bench
