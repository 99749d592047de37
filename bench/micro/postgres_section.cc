// The PostgreSQL adapter: what one Sync for all operations of a turn is worth against one in flight a connection.
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/micro/paired.h"
#include "bench/micro/sections.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/random.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/pg/test_server.h"

namespace lab::bench {
namespace {

constexpr int kRows = 100'000;
constexpr Nanos kPatience = std::chrono::seconds(5);

struct Form {
  bool write;
  int connections, group_max, groups_in_flight;
};

// So many callers of one client, each with one operation outstanding, on a loop of their own.
class Callers {
 public:
  Callers(const pg::TestServer& server, const Form& form, int outstanding)
      : outstanding_(outstanding),
        statement_(form.write ? write_ : read_),
        client_(loop_, Of(server, form), metrics_) {}

  // Operations a second, from a fifth of the time after all connections are up.
  absl::StatusOr<double> Run(double seconds) {
    status_ = absl::UnavailableError("no connection to PostgreSQL in time");
    After(kPatience, [this] { loop_.Stop(); });
    client_.WhenReady([this, seconds](absl::Status status) {
      status_ = std::move(status);
      if (!status_.ok()) return loop_.Stop();
      const Nanos length = std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds));
      for (int i = 0; i < outstanding_; ++i) Send();
      After(length / 5, [this, length] {
        at_start_ = done_;
        After(length, [this] {
          at_end_ = done_;
          ended_ = true;
        });
      });
    });
    loop_.Run();
    timer_.cancel();
    client_.Close();
    loop_.Stop();
    loop_.Run();  // the last callbacks
    if (!status_.ok()) return status_;
    return static_cast<double>(at_end_ - at_start_) / seconds;
  }

 private:
  static pg::Options Of(const pg::TestServer& server, const Form& form) {
    pg::Options options;
    options.port = server.port();
    options.user = server.user();
    options.database = server.database();
    options.connections = form.connections;
    options.group_max = form.group_max;
    options.groups_in_flight = form.groups_in_flight;
    options.deadline = kPatience;
    return options;
  }

  void After(Nanos length, std::function<void()> then) {
    timer_.expires_after(length);
    timer_.async_wait([then = std::move(then)](const boost::system::error_code& error) {
      if (!error) then();
    });
  }

  void Send() {
    const pg::Param params[] = {random_.Below(kRows)};
    ++out_;
    client_.Execute(statement_, params, [this](const absl::StatusOr<pg::Results>& results) {
      --out_;
      ++done_;
      if (!results.ok() && status_.ok()) status_ = results.status();
      if (!ended_ && status_.ok()) return Send();
      if (out_ == 0) loop_.Stop();
    });
  }

  const int outstanding_;
  async::Loop loop_;
  obs::Metrics metrics_;
  boost::asio::steady_timer timer_{loop_.io()};
  Random random_{7};
  const pg::Statement read_{"read", "SELECT n FROM counter WHERE id = $1::int"};
  const pg::Statement write_{"write", "UPDATE counter SET n = n + 1 WHERE id = $1::int"};
  const pg::Statement& statement_;
  pg::Client client_;
  absl::Status status_;
  bool ended_ = false;
  int out_ = 0;
  uint64_t done_ = 0, at_start_ = 0, at_end_ = 0;
};

struct Case {
  const char* name;
  int outstanding;
  Form base, ours;
  double wanted;  // of operations a second, ours / base; 0: none stated
};

absl::Status Compare(const pg::TestServer& server, const Case& one, const Setup& setup) {
  std::vector<double> base, ours;
  const auto measure = [&](const Form& form, std::vector<double>& rates) {
    const absl::StatusOr<double> rate = Callers(server, form, one.outstanding).Run(setup.seconds());
    if (rate.ok()) rates.push_back(*rate);
    return rate.status();
  };
  const absl::Status status = Alternate(
      setup.rounds(), [&] { return measure(one.base, base); }, [&] { return measure(one.ours, ours); });
  if (!status.ok()) return absl::Status(status.code(), absl::StrCat(one.name, ": ", status.message()));
  const Quartiles ratio = QuartilesOf(Ratios(ours, base));
  std::printf("  %-26s %12d %18.0f %16.0f %6.2f %6.2f .. %5.2f", one.name, one.outstanding, Median(base), Median(ours),
              ratio.median, ratio.low, ratio.high);
  if (one.wanted > 0) std::printf("  >= %.4g %s", one.wanted, AtLeast(ratio, one.wanted));
  std::printf("\n");
  std::fflush(stdout);
  return absl::OkStatus();
}

}  // namespace

absl::Status BenchPostgres(const Setup& setup) {
  if (const std::string why = pg::TestServer::WhyNone(); !why.empty()) return absl::NotFoundError(why);
  std::unique_ptr<pg::TestServer> server;
  try {
    server = std::make_unique<pg::TestServer>(std::vector<std::string>{"fsync=on", "shared_buffers=256MB"});
    server->Query("CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50)");
    server->Query(absl::StrCat("INSERT INTO counter SELECT generate_series(0, ", kRows - 1, ")"));
    server->Query("ANALYZE counter");
  } catch (const std::exception& problem) {
    return absl::UnavailableError(absl::StrCat("PostgreSQL: ", problem.what()));
  }
  constexpr Form kReadsAlone{false, 8, 1, 1}, kReads{false, 2, 64, 4}, kWritesAlone{true, 16, 1, 1},
      kWrites{true, 1, 256, 1};
  constexpr Case kCases[] = {{"reads by key", 1, kReadsAlone, kReads, 0},
                             {"reads by key", 64, kReadsAlone, kReads, 3},
                             {"writes of one row", 1, kWritesAlone, kWrites, 0},
                             {"writes of one row", 64, kWritesAlone, kWrites, 3}};
  std::printf(
      "\npostgres: the adapter, closed loop, fsync on; one in flight on each of 8 (reads) or 16 (writes) connections,\n"
      "against one Sync a turn on 2 or 1; client and server share the cores; %d pairs of %.1f s\n",
      setup.rounds(), setup.seconds());
  std::printf("  %-26s %12s %18s %16s %6s %15s  %s\n", "", "outstanding", "one in flight /s", "one Sync a turn",
              "ratio", "quartiles", "wanted");
  for (const Case& one : kCases) {
    if (const absl::Status status = Compare(*server, one, setup); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace lab::bench
