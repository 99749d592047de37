#include "bench/cacheapi/brand_versions.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "bench/cacheapi/names.h"
#include "services/runtime/base/text.h"

namespace lab::bench::cacheapi {
namespace {

constexpr std::chrono::seconds kAnswer{5};
constexpr size_t kAtOnce = 1000;

absl::Status Take(const absl::StatusOr<PgReply>& reply, Versions& versions) {
  if (!reply.ok()) return reply.status();
  for (const std::vector<std::string>& row : reply->rows) {
    const std::optional<uint32_t> key = KeyOf(row.at(0));
    uint64_t version = 0;
    if (!key || !absl::SimpleAtoi(row.at(1), &version)) return absl::DataLossError("the version of a brand is none");
    versions[*key] = version;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Versions> WrittenBrands(PgConnection& database, size_t most) {
  Versions versions;
  const absl::Status taken = Take(database.Query(Concat("SELECT brand_id, version FROM brand_state "
                                                        "WHERE version > 1 AND brand_id ~ '^brand-[0-9]{1,9}$' "
                                                        "ORDER BY length(brand_id), brand_id LIMIT ",
                                                        most),
                                                 kAnswer),
                                  versions);
  if (!taken.ok()) return taken;
  return versions;
}

absl::StatusOr<Versions> VersionsOf(PgConnection& database, const std::vector<uint32_t>& keys) {
  Versions versions;
  for (size_t begin = 0; begin < keys.size(); begin += kAtOnce) {
    std::string names;
    for (size_t i = begin; i < std::min(keys.size(), begin + kAtOnce); ++i) {
      versions[keys[i]] = 0;
      names += Concat(names.empty() ? "'" : ", '", BrandOf(keys[i]), "'");
    }
    const absl::Status taken = Take(
        database.Query(Concat("SELECT brand_id, version FROM brand_state WHERE brand_id IN (", names, ")"), kAnswer),
        versions);
    if (!taken.ok()) return taken;
  }
  return versions;
}

}  // namespace lab::bench::cacheapi
