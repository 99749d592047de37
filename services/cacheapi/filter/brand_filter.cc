#include "services/cacheapi/filter/brand_filter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "services/cacheapi/filter/scripts.h"

namespace lab::cacheapi {
namespace {

constexpr size_t kPiece = 64 << 10;  // fetched at once

obs::Counter& Asked(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("cacheapi_bloom_asked_total",
                            "Brands that the copy of the filter denied, by what Redis said", {{"outcome", outcome}});
}

std::string Number(uint64_t number) { return std::to_string(number); }

}  // namespace

BrandFilter::Metrics::Metrics(obs::Metrics& m)
    : denied(Asked(m, "denied")),
      admitted(Asked(m, "admitted")),
      unsure(Asked(m, "unsure")),
      false_positives(m.AddCounter("cacheapi_bloom_false_positives_total",
                                   "Brands that passed the filter and that the database does not have")),
      expected(m.AddGauge("cacheapi_bloom_expected_false_positives",
                          "Share of unknown brands that passes, by the bits that are set")),
      whole(m.AddGauge("cacheapi_bloom_whole", "Whether the filter in Redis is whole: 1, or 0 and everything passes")) {
}

// The filter in Redis as it was at `generation`, fetched in pieces.
struct BrandFilter::Download {
  std::string generation;
  size_t bytes = 0;
  size_t hashes = 0;
  std::string got;
};

BrandFilter::BrandFilter(async::Loop& loop, redis::Client& redis, Origin& origin, const Options& options,
                         obs::Metrics& metrics, uint64_t seed)
    : redis_(redis),
      options_(options),
      metrics_(metrics),
      builder_(redis, origin, options.build, metrics, seed),
      timer_(loop.io()),
      check_(kBloomCheckScript, "bloom_check"),
      add_(kBloomAddScript, "bloom_add"),
      look_(kBloomLookScript, "bloom_look"),
      alive_(std::make_shared<bool>(true)) {}

BrandFilter::~BrandFilter() { *alive_ = false; }

void BrandFilter::Start() {
  Look();
  Arm();
}

void BrandFilter::Arm() {
  timer_.expires_after(options_.look);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (!*alive || error) return;
    Look();
    Arm();
  });
}

// ---- what readers and creators ask ----

void BrandFilter::Ask(std::string_view brand, absl::AnyInvocable<void(bool)> done) {
  const BloomHash hash(brand);
  const std::string first = Number(hash.first), step = Number(hash.step);
  const std::array<std::string_view, 2> arguments = {first, step};
  redis_.Eval(check_, kFilterKeys, arguments,
              [this, alive = alive_, hash, done = std::move(done)](absl::StatusOr<redis::Reply> reply) mutable {
                if (!*alive) return;
                const int64_t said = reply.ok() ? reply->integer() : -1;
                (said == 0 ? metrics_.denied : said == 1 ? metrics_.admitted : metrics_.unsure).Increment();
                if (said == 1 && copy_) copy_->Add(hash);
                done(said != 0);
              });
}

void BrandFilter::Add(std::string_view brand, absl::AnyInvocable<void(absl::Status)> done) {
  const BloomHash hash(brand);
  const std::string first = Number(hash.first), step = Number(hash.step);
  const std::array<std::string_view, 2> arguments = {first, step};
  redis_.Eval(add_, kFilterKeys, arguments,
              [this, alive = alive_, hash, done = std::move(done)](const absl::StatusOr<redis::Reply>& reply) mutable {
                if (*alive && reply.ok() && copy_) copy_->Add(hash);
                done(reply.status());
              });
}

// ---- looking after it ----

void BrandFilter::Look() {
  if (busy_) return;
  busy_ = true;
  redis_.Eval(look_, kFilterKeys, {}, [this, alive = alive_](const absl::StatusOr<redis::Reply>& reply) {
    if (!*alive) return;
    busy_ = false;
    TakeLook(reply);
  });
}

void BrandFilter::TakeLook(const absl::StatusOr<redis::Reply>& reply) {
  whole_ = reply.ok() && reply->size() == 5 && (*reply)[0].integer() == 1;
  metrics_.whole.Set(whole_ ? 1 : 0);
  if (!reply.ok()) return;
  if (!whole_ || Millis((*reply)[2].integer()) >= options_.rebuild) {
    busy_ = true;
    return builder_.Build([this, alive = alive_](absl::StatusOr<FilterBuilder::Built> built) {
      if (!*alive) return;
      busy_ = false;
      if (!built.ok()) return;
      whole_ = true;
      metrics_.whole.Set(1);
      Take(std::move(built->filter), std::move(built->generation));
    });
  }
  if ((*reply)[1].text() == generation_) return;
  auto download = std::make_shared<Download>();
  download->generation = std::string((*reply)[1].text());
  download->bytes = static_cast<size_t>((*reply)[3].integer()) / 8;
  download->hashes = static_cast<size_t>((*reply)[4].integer());
  busy_ = true;
  Fetch(std::move(download));
}

// Bits of two generations may mix when it is built anew meanwhile: a copy may be wrong (see the header).
void BrandFilter::Fetch(std::shared_ptr<Download> download) {
  const std::string from = Number(download->got.size()), to = Number(download->got.size() + kPiece - 1);
  const std::array<std::string_view, 4> get = {"GETRANGE", kFilterKeys[1], from, to};
  redis_.Command(get,
                 [this, alive = alive_, download = std::move(download)](absl::StatusOr<redis::Reply> reply) mutable {
                   if (!*alive) return;
                   if (!reply.ok() || reply->text().empty()) {
                     busy_ = false;  // the next look tries again
                     return;
                   }
                   download->got.append(reply->text());
                   if (download->got.size() < download->bytes) return Fetch(std::move(download));
                   busy_ = false;
                   Take(BloomFilter(std::move(download->got), download->hashes), std::move(download->generation));
                 });
}

void BrandFilter::Take(BloomFilter filter, std::string generation) {
  copy_ = std::move(filter);
  generation_ = std::move(generation);
  ++generations_;
  metrics_.expected.Set(copy_->FalsePositivesByBits());
}

}  // namespace lab::cacheapi
