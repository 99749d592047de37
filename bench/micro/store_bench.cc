// The store layer, without gRPC: what batching the decisions of a turn is worth.
#include <cstdio>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "absl/strings/str_cat.h"
#include "bench/micro/sections.h"
#include "services/ratelimit/decide.h"
#include "services/ratelimit/redis_store.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/random.h"
#include "services/runtime/redis/client.h"
#include "services/runtime/redis/test_server.h"

namespace lab::bench {
namespace {

using ratelimit::Batch;

// One caller of a store: sends a batch, decides from its answer, sends the next.
class Caller {
 public:
  Caller(ratelimit::Store& store, ratelimit::Limit limit, uint32_t groups, uint32_t count, uint32_t keys, uint64_t* decided)
      : store_(store), limit_(limit), groups_(groups), count_(count), keys_(keys), decided_(decided) {}

  void Send() {
    batch_.Clear();
    for (uint32_t i = 0; i < groups_; ++i) {
      batch_.AddGroup().count = count_;
      batch_.AddTerm(absl::StrCat("rl:{bench}:k", random_.Below(keys_)), {.limit = &limit_});
    }
    store_.Run(batch_, [this](absl::Status status) {
      if (!status.ok()) {
        ++failed_;
      } else {
        Decide();
      }
      if (!stopped_) Send();
    });
  }

  void Stop() { stopped_ = true; }
  uint64_t failed() const { return failed_; }

 private:
  void Decide() {
    ratelimit::TermResult result;
    for (const Batch::Group& group : batch_.groups) {
      for (uint32_t i = 0; i < group.count; ++i) {
        ratelimit::DecideRequest(absl::MakeConstSpan(&batch_.terms[group.first], 1),
                                 absl::MakeSpan(&batch_.states[group.first], 1), batch_.now, absl::MakeSpan(&result, 1));
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
  int callers;          // a connection
  uint32_t groups;      // a call
  uint32_t count;       // equal requests a group
  uint32_t keys;
};

// Decisions a second of one form.
double Measure(int redis_port, const ratelimit::Limit& limit, const Form& form, double seconds) {
  async::Loop loop;
  obs::Metrics metrics;
  redis::Options options;
  options.port = redis_port;
  options.deadline = std::chrono::seconds(1);
  uint64_t decided = 0;
  std::vector<std::unique_ptr<redis::Client>> clients;
  std::vector<std::unique_ptr<ratelimit::RedisStore>> stores;
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < form.connections; ++i) {
    clients.push_back(std::make_unique<redis::Client>(loop, options, metrics));
    stores.push_back(std::make_unique<ratelimit::RedisStore>(*clients.back()));
    for (int j = 0; j < form.callers; ++j) {
      callers.push_back(std::make_unique<Caller>(*stores.back(), limit, form.groups, form.count, form.keys, &decided));
    }
  }
  uint64_t at_start = 0;
  boost::asio::steady_timer timer(loop.io());
  timer.expires_after(Millis(100));  // connected by then
  timer.async_wait([&](boost::system::error_code) {
    for (auto& caller : callers) caller->Send();
    timer.expires_after(Millis(200));
    timer.async_wait([&](boost::system::error_code) {
      at_start = decided;
      timer.expires_after(std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds)));
      timer.async_wait([&](boost::system::error_code) { loop.Stop(); });
    });
  });
  loop.Run();
  for (auto& caller : callers) caller->Stop();
  for (auto& client : clients) client->Close();
  loop.Stop();
  loop.Run();  // the last callbacks
  return static_cast<double>(decided - at_start) / seconds;
}

}  // namespace

absl::Status BenchStore(const Setup& setup) {
  redis::TestServer redis;
  const auto limit_of = [](ratelimit::Algorithm algorithm) {
    return *ratelimit::MakeLimit(algorithm, 1'000'000, ratelimit::kSecondUs);
  };
  const Form ten{10, 1, 1, 1, 10'000}, turn{1, 2, 32, 1, 10'000}, ten_hot{10, 1, 1, 1, 1}, hot{1, 2, 1, 32, 1};
  const struct {
    const char* name;
    ratelimit::Limit limit;
    Form base, ours;
    double wanted;
  } cases[] = {{"fixed window, 10,000 keys", limit_of(ratelimit::Algorithm::kFixedWindow), ten, turn, 3},
               {"GCRA, 10,000 keys", limit_of(ratelimit::Algorithm::kGcra), ten, turn, 2},
               {"fixed window, one hot key", limit_of(ratelimit::Algorithm::kFixedWindow), ten_hot, hot, 5}};
  std::printf("\nstore: decisions/s on Redis without gRPC, medians of %d rounds in turn\n", setup.rounds());
  std::printf("  %-28s %18s %18s %8s  %s\n", "", "10 connections x 1", "64 in two calls", "ratio", "wanted");
  for (const auto& one : cases) {
    std::vector<double> base, ours, ratio;
    for (int round = 0; round < setup.rounds(); ++round) {
      base.push_back(Measure(redis.port(), one.limit, one.base, setup.seconds()));
      ours.push_back(Measure(redis.port(), one.limit, one.ours, setup.seconds()));
      if (base.back() <= 0) return absl::UnavailableError("no decision was made on ten connections");
      ratio.push_back(ours.back() / base.back());
    }
    std::printf("  %-28s %18.0f %18.0f %8.1f  >= %.0f %s\n", one.name, Median(base), Median(ours), Median(ratio), one.wanted,
                Median(ratio) >= one.wanted ? "yes" : "NO");
  }
  return absl::OkStatus();
}

}  // namespace lab::bench
