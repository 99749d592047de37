// The store layer, without gRPC: what batching the decisions of a turn is worth, and what failpoints cost.
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/micro/paired.h"
#include "bench/micro/sections.h"
#include "services/ratelimit/decide.h"
#include "services/ratelimit/redis_store.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/random.h"
#include "services/runtime/failpoint/controller.h"
#include "services/runtime/redis/client.h"

namespace lab::bench {
namespace {

using ratelimit::Batch;

// One caller of a store: sends a batch, decides from its answer, sends the next.
class Caller {
 public:
  Caller(ratelimit::Store& store, ratelimit::Limit limit, uint32_t groups, uint32_t count, uint32_t keys,
         uint64_t* decided)
      : store_(store), limit_(limit), groups_(groups), count_(count), keys_(keys), decided_(decided) {}

  void Send() {
    batch_.Clear();
    for (uint32_t i = 0; i < groups_; ++i) {
      batch_.AddGroup().count = count_;
      batch_.AddTerm(absl::StrCat("rl:{bench}:k", random_.Below(keys_)), {.limit = &limit_});
    }
    store_.Run(batch_, [this](absl::Status status) {
      if (stopped_) return;
      if (status.ok()) {
        Decide();
      } else {
        ++failed_;
      }
      Send();
    });
  }

  void Stop() { stopped_ = true; }
  uint64_t failed() const { return failed_; }  // calls that no decision came of, until Stop

 private:
  void Decide() {
    ratelimit::TermResult result;
    for (const Batch::Group& group : batch_.groups) {
      for (uint32_t i = 0; i < group.count; ++i) {
        ratelimit::DecideRequest(absl::MakeConstSpan(&batch_.terms[group.first], 1),
                                 absl::MakeSpan(&batch_.states[group.first], 1), batch_.now,
                                 absl::MakeSpan(&result, 1));
        ++*decided_;
      }
    }
  }

  ratelimit::Store& store_;
  ratelimit::Limit limit_;
  uint32_t groups_, count_, keys_;
  uint64_t* decided_;
  uint64_t failed_ = 0;
  bool stopped_ = false;
  Batch batch_;
  Random random_{7};
};

struct Form {
  int connections;
  int callers;      // a connection
  uint32_t groups;  // a call
  uint32_t count;   // equal requests a group
  uint32_t keys;
  bool failpoints = false;  // there, and none armed
};

// One form at work: its connections, stores and callers on a loop of their own.
class Trial {
 public:
  Trial(int redis_port, const ratelimit::Limit& limit, const Form& form) {
    redis::Options options;
    options.port = redis_port;
    options.deadline = std::chrono::seconds(1);
    for (int i = 0; i < form.connections; ++i) {
      clients_.push_back(
          std::make_unique<redis::Client>(loop_, options, metrics_, form.failpoints ? &failpoints_ : nullptr));
      stores_.push_back(std::make_unique<ratelimit::RedisStore>(*clients_.back()));
      for (int j = 0; j < form.callers; ++j) {
        callers_.push_back(
            std::make_unique<Caller>(*stores_.back(), limit, form.groups, form.count, form.keys, &decided_));
      }
    }
  }

  // Decisions a second, from 0.2 s after all connections are up.
  absl::StatusOr<double> Run(double seconds) {
    status_ = absl::UnavailableError("no connection to Redis within 5 s");
    timer_.expires_after(std::chrono::seconds(5));
    timer_.async_wait([this](boost::system::error_code error) {
      if (!error) loop_.Stop();
    });
    for (auto& client : clients_) {
      client->WhenReady([this, seconds](absl::Status status) { Connected(std::move(status), seconds); });
    }
    loop_.Run();
    uint64_t failed = 0;
    for (auto& caller : callers_) {
      caller->Stop();
      failed += caller->failed();
    }
    for (auto& client : clients_) client->Close();
    loop_.Stop();
    loop_.Run();  // the last callbacks
    if (!status_.ok()) return status_;
    if (failed > 0) return absl::InternalError(absl::StrCat(failed, " calls of the store failed"));
    return static_cast<double>(decided_ - at_start_) / seconds;
  }

 private:
  void Connected(absl::Status status, double seconds) {
    if (!status.ok()) {
      status_ = std::move(status);
      loop_.Stop();
      return;
    }
    if (++connected_ < clients_.size()) return;
    status_ = absl::OkStatus();
    for (auto& caller : callers_) caller->Send();
    timer_.expires_after(Millis(200));
    timer_.async_wait([this, seconds](boost::system::error_code) {
      at_start_ = decided_;
      timer_.expires_after(std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds)));
      timer_.async_wait([this](boost::system::error_code) { loop_.Stop(); });
    });
  }

  async::Loop loop_;
  obs::Metrics metrics_;
  failpoint::Controller failpoints_{loop_, metrics_, 1};
  boost::asio::steady_timer timer_{loop_.io()};
  std::vector<std::unique_ptr<redis::Client>> clients_;
  std::vector<std::unique_ptr<ratelimit::RedisStore>> stores_;
  std::vector<std::unique_ptr<Caller>> callers_;
  size_t connected_ = 0;
  uint64_t decided_ = 0, at_start_ = 0;
  absl::Status status_;
};

absl::Status Measure(int redis_port, const ratelimit::Limit& limit, const Form& form, double seconds,
                     std::vector<double>* rates) {
  const absl::StatusOr<double> rate = Trial(redis_port, limit, form).Run(seconds);
  if (!rate.ok()) return rate.status();
  if (*rate <= 0) return absl::UnavailableError("no decision was made");
  rates->push_back(*rate);
  return absl::OkStatus();
}

struct Case {
  const char* name;
  ratelimit::Limit limit;
  Form base, ours;
  double wanted;  // of decisions a second, ours / base
};

void PrintHead(const char* base, const char* ours) {
  std::printf("  %-28s %18s %18s %6s %15s  %s\n", "", base, ours, "ratio", "quartiles", "wanted");
}

absl::Status Compare(int redis_port, const Case& one, const Setup& setup) {
  std::vector<double> base, ours;
  const auto measure = [&](const Form& form, std::vector<double>* rates) {
    return Measure(redis_port, one.limit, form, setup.seconds(), rates);
  };
  const absl::Status status = Alternate(
      setup.rounds(), [&] { return measure(one.base, &base); }, [&] { return measure(one.ours, &ours); });
  if (!status.ok()) return absl::Status(status.code(), absl::StrCat(one.name, ": ", status.message()));
  const Quartiles ratio = QuartilesOf(Ratios(ours, base));
  std::printf("  %-28s %18.0f %18.0f %6.2f %6.2f .. %5.2f  >= %.4g %s\n", one.name, Median(base), Median(ours),
              ratio.median, ratio.low, ratio.high, one.wanted, AtLeast(ratio, one.wanted));
  std::fflush(stdout);
  return absl::OkStatus();
}

}  // namespace

absl::Status BenchStore(const Setup& setup) {
  const auto redis = StartRedis();
  if (!redis.ok()) return redis.status();
  const auto limit_of = [](ratelimit::Algorithm algorithm) {
    return *ratelimit::MakeLimit(algorithm, 1'000'000, ratelimit::kSecondUs);
  };
  const Form ten{10, 1, 1, 1, 10'000}, turn{1, 2, 32, 1, 10'000}, ten_hot{10, 1, 1, 1, 1}, hot{1, 2, 1, 32, 1};
  const Case cases[] = {{"fixed window, 10,000 keys", limit_of(ratelimit::Algorithm::kFixedWindow), ten, turn, 3},
                        {"GCRA, 10,000 keys", limit_of(ratelimit::Algorithm::kGcra), ten, turn, 2},
                        {"fixed window, one hot key", limit_of(ratelimit::Algorithm::kFixedWindow), ten_hot, hot, 5}};
  std::printf("\nstore: decisions/s on Redis without gRPC; %d pairs of %.1f s each\n", setup.rounds(), setup.seconds());
  PrintHead("10 connections x 1", "64 in two calls");
  for (const Case& one : cases) {
    if (absl::Status status = Compare((*redis)->port(), one, setup); !status.ok()) return status;
  }
  // Absent they cost one branch an operation, which is less than this shows.
  const Form tight{1, 64, 1, 1, 10'000}, present{1, 64, 1, 1, 10'000, true};
  PrintHead("no failpoints", "there, none armed");
  return Compare((*redis)->port(),
                 {"fixed window, 64 calls", limit_of(ratelimit::Algorithm::kFixedWindow), tight, present, 0.95}, setup);
}

}  // namespace lab::bench
