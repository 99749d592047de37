// The cache-aside API over HTTP: a hit as a share of what the same answer costs without it, and the price of a lease.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/micro/closed_loop.h"
#include "bench/micro/paired.h"
#include "bench/micro/sections.h"
#include "bench/run/ports.h"
#include "services/runtime/base/file.h"
#include "services/runtime/pg/test_server.h"

namespace lab::bench {
namespace {

constexpr uint32_t kBrands = 500;
constexpr double kLeaseBound_us = 500;

// The database, with brands as a load names them.
absl::StatusOr<std::unique_ptr<pg::TestServer>> StartDatabase(const Setup& setup) {
  if (const std::string why = pg::TestServer::WhyNone(); !why.empty()) return absl::NotFoundError(why);
  const absl::StatusOr<std::string> schema =
      ReadFile(absl::StrCat(setup.root, "/deploy/sql/insights/001_insights.sql"));
  if (!schema.ok()) return schema.status();
  try {
    auto server = std::make_unique<pg::TestServer>();
    server->Query(*schema);
    server->Query(absl::StrCat("INSERT INTO brand SELECT 'brand-' || n, 'Brand ' || n FROM generate_series(0, ",
                               kBrands - 1, ") AS n"));
    server->Query("INSERT INTO brand_state (brand_id) SELECT id FROM brand");
    server->Query(
        "INSERT INTO post (brand_id, published_at, language, sentiment, likes, author) "
        "SELECT brand.id, now() - interval '1 hour', 'en', 10, n, n FROM brand, generate_series(1, 20) AS n");
    server->Query("ANALYZE brand, brand_state, post");
    return server;
  } catch (const std::exception& problem) {
    return absl::UnavailableError(absl::StrCat("PostgreSQL: ", problem.what()));
  }
}

struct Stores {
  const pg::TestServer& postgres;
  const redis::TestServer& redis;
};

absl::StatusOr<Server> StartCacheApi(const Setup& setup, const Stores& stores, const std::string& name,
                                     std::vector<std::string> settings) {
  const absl::StatusOr<int> http = FreePort(), grpc = FreePort();
  if (!http.ok()) return http.status();
  if (!grpc.ok()) return grpc.status();
  settings.insert(settings.end(), {absl::StrCat("http.port=", *http), absl::StrCat("grpc.port=", *grpc),
                                   absl::StrCat("redis.port=", stores.redis.port()),
                                   absl::StrCat("postgres.port=", stores.postgres.port()),
                                   absl::StrCat("postgres.user=", stores.postgres.user()),
                                   absl::StrCat("postgres.database=", stores.postgres.database()), "log.level=warn"});
  std::vector<std::string> arguments;
  for (const std::string& setting : settings) {
    arguments.push_back("--set");
    arguments.push_back(setting);
  }
  return StartServer(setup, {.name = name,
                             .binary = absl::StrCat(setup.build, "/services/cacheapi/cacheapi"),
                             .arguments = arguments,
                             .port = *http});
}

absl::StatusOr<Server> StartBare(const Setup& setup, const std::string& mode, std::vector<std::string> arguments = {}) {
  const absl::StatusOr<int> port = FreePort();
  if (!port.ok()) return port.status();
  arguments.insert(arguments.begin(), {mode, "--port", absl::StrCat(*port)});
  return StartServer(setup, {.name = absl::StrCat("bare-", mode),
                             .binary = absl::StrCat(setup.build, "/bench/micro/bare_http"),
                             .arguments = arguments,
                             .port = *port});
}

// What the bare form of an L2 hit finds: a value of the same size under the path of the request.
void FillForGet(redis::TestServer& redis) {
  for (uint32_t i = 0; i < kBrands; ++i) {
    redis.Command({"SET", absl::StrCat("/v1/brands/brand-", i, "/insights"),
                   absl::StrCat("{\"brand\":\"brand-", i,
                                "\",\"window\":\"24h\",\"version\":1,\"posts\":20,\"correction\":0,\"authors\":20,"
                                "\"sentiment\":10.00,\"likes_median\":10,\"likes_p99\":20,\"arabic\":0}")});
  }
}

absl::StatusOr<ClosedLoopResult> Measure(const Setup& setup, const Server& server, int outstanding) {
  return MeasureClosedLoop({.address = server.address,
                            .target = "cacheapi.get",
                            .request = {{"window", "24h"}},
                            .server = server.process->pid(),
                            .keys = kBrands,
                            .outstanding = outstanding,
                            .seconds = setup.seconds()});
}

// Two servers in turn; the results of each.
struct Pair {
  std::vector<ClosedLoopResult> base, ours;
};
absl::StatusOr<Pair> MeasurePair(const Setup& setup, const Server& base, const Server& ours, int outstanding) {
  Pair pair;
  for (const Server* server : {&base, &ours}) {  // fills what is to be hit
    if (const auto warm = Measure(setup, *server, outstanding); !warm.ok()) return warm.status();
  }
  const auto take = [&](const Server& server, std::vector<ClosedLoopResult>& results) {
    absl::StatusOr<ClosedLoopResult> result = Measure(setup, server, outstanding);
    if (result.ok()) results.push_back(*result);
    return result.status();
  };
  const absl::Status status = Alternate(
      setup.rounds(), [&] { return take(base, pair.base); }, [&] { return take(ours, pair.ours); });
  if (!status.ok()) return status;
  return pair;
}

absl::Status CompareHits(const Setup& setup, const char* name, const absl::StatusOr<Server>& base,
                         const absl::StatusOr<Server>& ours, double wanted) {
  if (!base.ok()) return base.status();
  if (!ours.ok()) return ours.status();
  constexpr int kOutstanding = 64;
  const absl::StatusOr<Pair> pair = MeasurePair(setup, *base, *ours, kOutstanding);
  if (!pair.ok()) return absl::Status(pair.status().code(), absl::StrCat(name, ": ", pair.status().message()));
  const auto rates = [](const std::vector<ClosedLoopResult>& results) {
    return Column(results, &ClosedLoopResult::calls_per_s);
  };
  const auto cpu = [](const std::vector<ClosedLoopResult>& results) {
    return Median(Column(results, &ClosedLoopResult::server_us));
  };
  const Quartiles share = QuartilesOf(Ratios(rates(pair->ours), rates(pair->base)));
  std::printf("  %-32s %10.0f %10.0f %6.2f %5.2f .. %4.2f %9.2f %9.2f  >= %.2g %s\n", name, Median(rates(pair->base)),
              Median(rates(pair->ours)), share.median, share.low, share.high, cpu(pair->base), cpu(pair->ours), wanted,
              AtLeast(share, wanted));
  std::fflush(stdout);
  return absl::OkStatus();
}

// Every read is a miss: an entry lives for a millisecond.
absl::Status CompareLease(const Setup& setup, const Stores& stores) {
  const std::vector<std::string> common = {"l1.enabled=false", "l2.ttl=1ms", "negative.enabled=false"};
  const auto with = [&](const char* fill) {
    std::vector<std::string> settings = common;
    settings.push_back(absl::StrCat("fill=", fill));
    return StartCacheApi(setup, stores, fill, settings);
  };
  const absl::StatusOr<Server> plain = with("plain"), lease = with("lease");
  if (!plain.ok()) return plain.status();
  if (!lease.ok()) return lease.status();
  const absl::StatusOr<Pair> pair = MeasurePair(setup, *plain, *lease, 2);
  if (!pair.ok()) return pair.status();
  std::vector<double> added;
  for (size_t i = 0; i < std::min(pair->base.size(), pair->ours.size()); ++i) {
    added.push_back(pair->ours[i].p50_us - pair->base[i].p50_us);
  }
  const Quartiles more = QuartilesOf(added);
  std::printf(
      "  a miss, 2 outstanding: median %.0f us plain, %.0f us with a lease; it adds %.0f us, %.0f .. %.0f  "
      "<= %.0f us %s\n",
      Median(Column(pair->base, &ClosedLoopResult::p50_us)), Median(Column(pair->ours, &ClosedLoopResult::p50_us)),
      more.median, more.low, more.high, kLeaseBound_us, AtMost(more, kLeaseBound_us));
  return absl::OkStatus();
}

}  // namespace

absl::Status BenchCache(const Setup& setup) {
  const auto redis = StartRedis();
  if (!redis.ok()) return redis.status();
  const auto postgres = StartDatabase(setup);
  if (!postgres.ok()) return postgres.status();
  const Stores stores{**postgres, **redis};
  FillForGet(**redis);
  std::printf("\ncache: HTTP/1.1, 64 outstanding, closed loop, %u keys; each in %d pairs of %.1f s\n", kBrands,
              setup.rounds(), setup.seconds());
  std::printf("  %-32s %10s %10s %6s %13s %9s %9s  %s\n", "", "bare/s", "ours/s", "share", "quartiles", "bare us",
              "ours us", "wanted");
  if (const absl::Status status =
          CompareHits(setup, "L1 hit / Beast echo", StartBare(setup, "echo"),
                      StartCacheApi(setup, stores, "l1", {"l2.enabled=false", "fill=singleflight"}), 0.8);
      !status.ok()) {
    return status;
  }
  if (const absl::Status status =
          CompareHits(setup, "L2 hit / handler with one GET",
                      StartBare(setup, "get", {"--redis-port", absl::StrCat((*redis)->port())}),
                      StartCacheApi(setup, stores, "l2", {"l1.enabled=false", "l2.ttl=1h"}), 0.8);
      !status.ok()) {
    return status;
  }
  return CompareLease(setup, stores);
}

}  // namespace lab::bench
