#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/cacheapi/model/window.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/pg/client.h"

namespace lab::cacheapi {

// An insight as the database has it in one snapshot: the aggregate and the version that it is of.
struct Insight {
  bool exists = false;  // else the brand is unknown, and the rest is empty
  uint64_t version = 0;
  std::string body;      // JSON
  Nanos took{0};         // to compute, the wait for a connection left out
  Nanos changed_ago{0};  // since the version was made
};

// What an analyst sets right by hand.
struct Correction {
  std::string brand;
  int64_t posts = 0;  // added to the counts of every window
  std::string note;
  std::string request_id;  // the write's own: sent again, it changes nothing and is answered as the first time
  bool remove = false;     // takes the correction of the brand away
};

// PostgreSQL as the cache sees it. Reads go through a pool whose size is the origin's capacity: statements of one
// connection run one after the other, so each connection has one at a time. Writes that share a transaction lock their
// brands in the order of these, in all processes: so they wait for each other, and never in a circle. Errors are those
// of pg::Client.
//   cacheapi_origin_reads_total{outcome=found|unknown|error}, cacheapi_origin_read_duration_seconds,
//   cacheapi_origin_writes_total{outcome=ok|unknown|error}
class Origin {
 public:
  struct Options {
    // Slept by the database in each read, with its connection: makes the origin as slow as a lab wants it.
    Nanos delay{0};
    // Each write leaves a row for a relay. Without one nobody would take the rows away.
    bool outbox = true;
  };

  Origin(pg::Client& reads, pg::Client& writes, Options options, obs::Metrics& metrics);

  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<Insight>)>;
  void Read(std::string_view brand, Window window, ReadDone done);

  // The same as a transaction sees it, with what it has written itself.
  void ReadIn(pg::Transaction& transaction, std::string_view brand, Window window, ReadDone done);

  // The version that the write made. NOT_FOUND: there is no such brand; ALREADY_EXISTS: the request id is of another
  // write, or the request has been given up too often (request_ids.h) and needs another id.
  using WriteDone = absl::AnyInvocable<void(absl::StatusOr<uint64_t>)>;
  void Write(const Correction& correction, WriteDone done);
  // The same within a transaction, which is not committed by it, and must live until `done`. UNAVAILABLE also where it
  // is not known what became of the statement: without the COMMIT it has not happened.
  void WriteIn(pg::Transaction& transaction, const Correction& correction, WriteDone done);
  // Several, all of them or none, those of a brand in their order; each with what became of it, as of Write, but that
  // ALREADY_EXISTS may only mean that it must be written by itself. At most kMostTogether.
  using WriteAllDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<absl::StatusOr<uint64_t>>>)>;
  void WriteAll(absl::Span<const Correction> corrections, WriteAllDone done);
  static constexpr size_t kMostTogether = pg::Client::kMaxSteps;
  void Begin(absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<pg::Transaction>>)> done) {
    writes_.Begin(std::move(done));
  }

  bool outbox() const { return options_.outbox; }

  // All brands there are, for a filter and a warm-up; in pages by name, the next one behind `after`.
  void Brands(std::string_view after, int most,
              absl::AnyInvocable<void(absl::StatusOr<std::vector<std::string>>)> done);

 private:
  struct Metrics {
    explicit Metrics(obs::Metrics& metrics);
    obs::Counter &found, &unknown, &read_errors, &written, &write_unknown, &write_errors;
    obs::Histogram& duration;
  };
  pg::Client::Callback Taking(std::string_view brand, Window window, ReadDone done);
  std::array<pg::Param, 6> ParamsOf(const Correction& correction) const;
  struct Attempt;
  void Try(Attempt attempt, WriteDone done);
  absl::StatusOr<uint64_t> Written(const absl::StatusOr<pg::Results>& results);
  absl::StatusOr<uint64_t> WrittenRow(const pg::Result& row);

  pg::Client& reads_;
  pg::Client& writes_;
  const Options options_;
  Metrics metrics_;
  const pg::Statement read_, write_, brands_;
};

}  // namespace lab::cacheapi
