// A closed loop on a server of its own, for profiling by hand: `pg_bench [seconds] [outstanding …]`.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "services/runtime/async/loop.h"
#include "services/runtime/base/random.h"
#include "services/runtime/obs/log.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/pg/test_server.h"

namespace lab::pg {
namespace {

constexpr int kRows = 100'000;

struct Form {
  const char* name;
  bool write;
  int connections, group_max, groups_in_flight;
};
constexpr Form kForms[] = {{"read, one in flight a connection, 8 connections", false, 8, 1, 1},
                           {"read, a Sync each, 2 connections", false, 2, 1, 256},
                           {"read, one Sync a turn, 2 connections", false, 2, 64, 4},
                           {"write, one in flight a connection, 16 connections", true, 16, 1, 1},
                           {"write, one group in flight, 1 connection", true, 1, 256, 1}};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

class Run {
 public:
  Run(const TestServer& server, const Form& form) : form_(form) {
    Options options;
    options.port = server.port();
    options.user = server.user();
    options.database = server.database();
    options.connections = form.connections;
    options.group_max = form.group_max;
    options.groups_in_flight = form.groups_in_flight;
    options.deadline = std::chrono::seconds(5);
    client_.emplace(loop_, options, metrics_);
  }

  void Measure(int outstanding, double seconds) {
    client_->WhenReady([&](const absl::Status& status) {
      if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
      begin_ = Clock::now();
      cpu_ = CpuSeconds();
      end_ = begin_ + std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds));
      for (int i = 0; i < outstanding; ++i) Issue();
    });
    loop_.Run();
    const double took = std::chrono::duration<double>(Clock::now() - begin_).count();
    std::printf("%-52s %5d outstanding %9.0f/s  %5.2f us of CPU  %d failed\n", form_.name, outstanding,
                static_cast<double>(done_) / took, (CpuSeconds() - cpu_) / static_cast<double>(done_) * 1e6, failed_);
    std::fflush(stdout);
    client_->Close();
  }

 private:
  void Issue() {
    const Param params[] = {static_cast<int64_t>(random_.Below(kRows))};
    ++out_;
    client_->Execute(form_.write ? write_ : read_, params, [this](const absl::StatusOr<Results>& results) {
      --out_;
      ++done_;
      failed_ += results.ok() ? 0 : 1;
      if (Clock::now() < end_) return Issue();
      if (out_ == 0) loop_.Stop();
    });
  }

  const Form& form_;
  async::Loop loop_;
  obs::Metrics metrics_;
  std::optional<Client> client_;
  Random random_{7};
  const Statement read_{"read", "SELECT n FROM counter WHERE id = $1::int"};
  const Statement write_{"write", "UPDATE counter SET n = n + 1 WHERE id = $1::int"};
  Clock::time_point begin_, end_;
  double cpu_ = 0;
  int out_ = 0, failed_ = 0;
  uint64_t done_ = 0;
};

}  // namespace
}  // namespace lab::pg

int main(int argc, char** argv) {
  using namespace lab::pg;
  lab::obs::SetLogLevel(lab::obs::Level::kError);
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1;
  std::vector<int> all;
  for (int i = 2; i < argc; ++i) all.push_back(std::atoi(argv[i]));
  if (all.empty()) all = {1, 16, 64, 256};
  TestServer server({"fsync=on", "shared_buffers=256MB"});
  server.Query("CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50)");
  server.Query("INSERT INTO counter SELECT generate_series(0, 99999)");
  server.Query("ANALYZE counter");
  for (const Form& form : kForms) {
    for (const int outstanding : all) Run(server, form).Measure(outstanding, seconds);
  }
  return 0;
}
