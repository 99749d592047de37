// Serves the live page with an invented system, for the tests of the page in a browser and for working on it:
//
//   live_sample [--judged] [--seconds N] [--port P]
//
// Prints its address, tells N seconds at once and one more each second, and ends with its standard input. What is asked
// for by hand happens at once.

#include <poll.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "absl/strings/str_format.h"
#include "bench/live/server.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {
namespace {

constexpr char kParts[] =
    R"([{"name":"redis","replica":0,"kind":"redis","version":"redis 7.0.15","state":"up","ports":{"redis":7001}},)"
    R"({"name":"ratelimit","replica":0,"label":"ratelimit-0","kind":"ratelimit","version":"ratelimit","state":"up","ports":{"grpc":7002,"http":7003}},)"
    R"({"name":"ratelimit","replica":1,"label":"ratelimit-1","kind":"ratelimit","version":"ratelimit","state":"up","ports":{"grpc":7004,"http":7005}}])";
constexpr char kLinks[] = R"([{"from":"load","to":"ratelimit"},{"from":"ratelimit","to":"redis","proxied":true}])";
constexpr char kBreakable[] =
    R"([{"fault":"redis.pause","doc":"the process is stopped and goes on where it was","options":[],"instantaneous":false},)"
    R"({"fault":"redis.flush","doc":"all keys are gone at once","options":[],"instantaneous":true},)"
    R"({"fault":"ratelimit->redis.latency","doc":"every byte is late","options":[{"name":"latency","fallback":"40ms","doc":"how late"},)"
    R"({"name":"stream","fallback":"downstream","doc":"which way","names":["upstream","downstream"]}],"instantaneous":false}])";
constexpr char kVerdict[] =
    R"({"state":"fail","reasons":["1 of 2 checks is broken","deadline-holds (no-deadline): 2.3 s > 7 ms"],"findings":[)"
    R"({"rule":"deadline-holds","text":"","variant":"no-deadline","state":"fail","measured":"2.3 s > 7 ms","why":"","control":true},)"
    R"({"rule":"recovers","text":"","variant":"","state":"pass","measured":"100 ms <= 2 s","why":"","control":false}],)"
    R"("report":".lab/runs/sample/report.html"})";

class Sample : public Control {
 public:
  explicit Sample(Hub& hub) : hub_(hub) {}

  void Begin(bool judged) {
    const std::pair<const char*, std::string> members[] = {
        {"lab", "\"rate-limit-outage\""},
        {"title", "\"The limiter loses its Redis\""},
        {"question", "\"What does your rate limiter answer while its store is away, and how wrong is it afterwards?\""},
        {"mode", judged ? "\"run\"" : "\"up\""},
        {"variant", "\"deny\""},
        {"seed", "7"},
        {"started", "\"2026-11-21T12:00:00+0000\""},
        {"parts", kParts},
        {"links", kLinks},
        {"breakable", kBreakable},
        {"load_factor", "1"},
        {"phases", judged ? R"([{"name":"warmup","begin_s":0,"end_s":2},{"name":"steady","begin_s":2,"end_s":6},)"
                            R"({"name":"pause","begin_s":6,"end_s":14},{"name":"after_pause","begin_s":14,"end_s":22}])"
                          : "[]"}};
    for (const auto& [key, json] : members) hub_.SetState(key, json);
    if (judged) hub_.Publish("trial", R"({"variant":"deny","repeat":1,"index":0,"total":2})");
  }

  // A quarter of the time Redis is away.
  void Second() {
    const std::lock_guard<std::mutex> lock(mutex_);
    const int at = ++now_;
    const bool away = at % 16 >= 6 && at % 16 < 10;
    if (at % 16 == 6) Fault(Concat("redis.pause#", at / 16 + 1), at, away);
    if (at % 16 == 10) Fault(Concat("redis.pause#", at / 16 + 1), at - 4, false);
    const double wave = std::sin(at * 0.7), p99 = away ? 0.0061 : 0.00045 + 0.0001 * wave;
    hub_.Publish("second",
                 absl::StrFormat(R"({"at_s":%d,"offered":%.0f,"achieved":%.0f,"errors":%d,"dropped":0,"admitted":%.0f,)"
                                 R"("p50_s":%.6f,"p99_s":%.6f,"p999_s":%.6f,"max_s":%.6f,"in_flight":%d,)"
                                 R"("queues":{"ratelimit.redis_outstanding":%d}})",
                                 at, factor_ * (4000 + 60 * wave), factor_ * (away ? 3900 : 4000 + 60 * wave),
                                 away ? 40 : 0, away ? 0.0 : 400 + 20 * wave, p99 / 3, p99, p99 * 1.6, p99 * 2.5,
                                 away ? 28 : 2, away ? 64 : 1));
  }

  absl::StatusOr<std::string> Break(const std::string& fault, std::optional<double> seconds,
                                    const std::map<std::string, std::string>&) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (fault != "redis.pause") return absl::InvalidArgumentError("this sample breaks redis.pause only");
    hub_.Publish("fault", absl::StrFormat(R"({"id":"redis.pause#99","fault":"redis.pause","part":"redis","asked_s":%d,)"
                                          R"("applied_s":%d,"seen_s":%d.02,"evidence":"unanswered for 20 ms",)"
                                          R"("heal_asked_s":null,"healed_s":null,"error":"","ends_s":%s})",
                                          now_, now_, now_, seconds ? JsonNumber(now_ + *seconds) : "null"));
    return "redis.pause#99";
  }
  absl::Status Heal(const std::optional<std::string>&) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    Fault("redis.pause#99", now_ - 1, false);
    return absl::OkStatus();
  }
  absl::Status Load(double factor) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    factor_ = factor;
    hub_.SetState("load_factor", JsonNumber(factor));
    return absl::OkStatus();
  }
  absl::Status Down() override { return absl::UnimplementedError("the sample ends with its standard input"); }

 private:
  void Fault(const std::string& id, int asked, bool lasts) {
    hub_.Publish("fault",
                 absl::StrFormat(R"({"id":%s,"fault":"redis.pause","part":"redis","asked_s":%d,"applied_s":%d,)"
                                 R"("seen_s":%d.02,"evidence":"unanswered for 20 ms","heal_asked_s":%s,)"
                                 R"("healed_s":%s,"error":"","ends_s":%d})",
                                 JsonString(id), asked, asked, asked, lasts ? "null" : Concat(asked + 4),
                                 lasts ? "null" : Concat(asked + 4, ".002"), asked + 4));
  }

  Hub& hub_;
  std::mutex mutex_;
  int now_ = 0;
  double factor_ = 1;
};

int Main(int argc, char** argv) {
  bool judged = false;
  int seconds = 20;
  Server::Options options;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--judged") == 0) judged = true;
    if (std::strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) seconds = std::atoi(argv[++i]);
    if (std::strcmp(argv[i], "--port") == 0 && i + 1 < argc) options.port = std::atoi(argv[++i]);
  }
  Hub hub;
  Sample sample(hub);
  sample.Begin(judged);
  for (int i = 0; i < seconds; ++i) sample.Second();
  if (judged) hub.Publish("verdict", kVerdict);
  Server server(hub, judged ? nullptr : &sample, options);
  if (const absl::Status started = server.Start(); !started.ok()) {
    std::fprintf(stderr, "%s\n", std::string(started.message()).c_str());
    return 1;
  }
  std::printf("%s\n", server.url().c_str());
  std::fflush(stdout);
  pollfd input{STDIN_FILENO, POLLIN, 0};
  char ignored[64];
  while (poll(&input, 1, 1000) == 0 || read(STDIN_FILENO, ignored, sizeof(ignored)) > 0) {
    if (!judged) sample.Second();
  }
  return 0;
}

}  // namespace
}  // namespace lab::bench::live

int main(int argc, char** argv) { return lab::bench::live::Main(argc, argv); }
