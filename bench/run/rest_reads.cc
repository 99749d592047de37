#include "bench/run/rest_reads.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "bench/load/http_head.h"
#include "bench/load/target.h"
#include "bench/observe/pg_wire.h"
#include "bench/observe/resp.h"
#include "bench/observe/socket.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr size_t kMostBrands = 2'000;
constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::seconds kSettle{1};
constexpr Millis kAgain{100};
constexpr std::chrono::seconds kAnswer{2};
constexpr char kTarget[] = "cacheapi.get";

struct Brand {
  uint32_t key = 0;
  uint64_t version = 0;
};

// Kept between requests. One thread.
class Replica {
 public:
  Replica(std::string name, int port) : name_(std::move(name)), port_(port) {}
  const std::string& name() const { return name_; }

  absl::StatusOr<Reading> Get(const std::string& request) {
    const bool kept = socket_ != nullptr;
    absl::StatusOr<Reading> reading = Try(request);
    if (!reading.ok()) socket_.reset();
    if (!reading.ok() && kept) reading = Try(request);  // it was closed for idling
    return reading;
  }

 private:
  absl::StatusOr<Reading> Try(const std::string& request) {
    const Clock::time_point deadline = Clock::now() + kAnswer;
    if (socket_ == nullptr) {
      absl::StatusOr<Socket> opened = Socket::Connect(kHost, port_, deadline);
      if (!opened.ok()) return opened.status();
      socket_ = std::make_unique<Socket>(*std::move(opened));
    }
    if (absl::Status sent = socket_->Send(request, deadline); !sent.ok()) return sent;
    std::string bytes;
    for (;;) {
      const absl::StatusOr<std::string> more = socket_->Receive(deadline);
      if (!more.ok()) return more.status();
      if (more->empty()) return absl::UnavailableError("closed before its answer");
      bytes += *more;
      const size_t end = bytes.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const std::string_view head = std::string_view(bytes).substr(0, end);
      const absl::StatusOr<HttpHead> parsed = ParseHttpHead(head);
      if (!parsed.ok()) return parsed.status();
      if (bytes.size() - end - 4 < parsed->body_bytes) continue;
      const std::string_view body = std::string_view(bytes).substr(end + 4, parsed->body_bytes);
      const Reading reading = FindTarget(kTarget)->read({parsed->status, body, head, request, Ask::kRead});
      if (parsed->close) socket_.reset();
      if (reading.outcome == Outcome::kOk && reading.version > 0) return reading;
      return absl::UnavailableError(Concat("answered ", parsed->status));
    }
  }

  const std::string name_;
  const int port_;
  std::unique_ptr<Socket> socket_;
};

// One thing to read: a brand as one load asked for it.
struct Item {
  Brand brand;
  std::string name, request, redis_key;
};

class Reader {
 public:
  explicit Reader(const RestRequest& request)
      : request_(request),
        end_(Clock::now() + kPatience),
        database_(kHost, PortOf("postgres"), {.database = "insights", .application = "at rest"}),
        redis_(kHost, PortOf("redis")) {
    for (const auto& [name, ports] : request.replicas) {
      const auto http = ports.find("http");
      if (http != ports.end()) replicas_.emplace_back(name, http->second);
    }
  }

  AtRest Run() {
    const absl::StatusOr<std::vector<Brand>> brands = Written();
    if (!brands.ok()) {
      result_.why = Concat("the database does not say what was written: ", brands.status().message());
      return result_;
    }
    const std::vector<Item> items = ItemsOf(*brands);
    if (PortOf("redis") > 0) {
      for (const Item& item : items) LookIntoRedis(item);
    }
    for (const Item& item : items) {
      for (Replica& replica : replicas_) Ask(replica, item);
    }
    Settle(items);
    return result_;
  }

 private:
  int PortOf(const std::string& kind) const {
    const auto found = request_.others.find(kind);
    return found == request_.others.end() ? 0 : found->second.at(kind);
  }
  void Because(const std::string& why) {
    if (result_.why.empty()) result_.why = why;
  }
  bool OutOfTime() {
    if (Clock::now() < end_) return false;
    Because(Concat("not all could be read within ", kPatience.count(), " s"));
    return true;
  }

  absl::StatusOr<std::vector<Brand>> Written() {
    const absl::StatusOr<PgReply> reply = database_.Query(
        "SELECT substr(brand_id, 7), version FROM brand_state WHERE version > 1 AND brand_id ~ '^brand-[0-9]{1,9}$' "
        "ORDER BY length(brand_id), brand_id",
        kAnswer);
    if (!reply.ok()) return reply.status();
    std::vector<Brand> all, sample;
    for (const std::vector<std::string>& row : reply->rows) {
      Brand brand;
      if (absl::SimpleAtoi(row.at(0), &brand.key) && absl::SimpleAtoi(row.at(1), &brand.version)) all.push_back(brand);
    }
    result_.written = all.size();
    const size_t most = std::min(all.size(), kMostBrands);
    for (size_t i = 0; i < most; ++i) sample.push_back(all[i * all.size() / most]);
    result_.asked = sample.size();
    return sample;
  }

  // Each window and tenant once, whatever else the fields of a load say.
  std::vector<Item> ItemsOf(const std::vector<Brand>& brands) const {
    std::set<RequestFields> questions;
    for (const auto& fields : request_.fields) {
      RequestFields question;
      for (const char* name : {"window", "tenant"}) {
        if (const auto given = fields.find(name); given != fields.end()) question[name] = given->second;
      }
      questions.insert(question);
    }
    std::vector<Item> items;
    for (const RequestFields& question : questions) {
      const absl::StatusOr<BodyWriter> writer = PrepareRequests(*FindTarget(kTarget), question);
      if (!writer.ok()) continue;  // the load was refused with it
      const std::string window = question.contains("window") ? question.at("window") : "24h";
      for (const Brand& brand : brands) {
        items.push_back({brand, Concat("brand-", brand.key, " window=", window), (*writer)(brand.key),
                         Concat("insights:{brand-", brand.key, "}:w=", window)});
      }
    }
    return items;
  }

  void LookIntoRedis(const Item& item) {
    if (OutOfTime()) return;
    const absl::StatusOr<RespValue> stored = redis_.Command({"GET", item.redis_key}, kAnswer);
    if (!stored.ok()) return Because(Concat("redis: ", stored.status().message()));
    uint64_t version = 0;
    int64_t fresh_until = 0;
    if (stored->kind != RespValue::Kind::kText || !ReadEntryHead(stored->text, &version, &fresh_until)) return;
    const int64_t now_ms =
        std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch()).count();
    if (fresh_until <= now_ms) return;  // nobody takes it for the present
    result_.reads.push_back({"redis", item.name, item.brand.version, version, Answer::kHitShared});
  }

  void Ask(Replica& replica, const Item& item) {
    if (OutOfTime()) return;
    const absl::StatusOr<Reading> reading = replica.Get(item.request);
    if (!reading.ok()) return Because(Concat(replica.name(), ", ", item.name, ": ", reading.status().message()));
    result_.reads.push_back({replica.name(), item.name, item.brand.version, reading->version, reading->answer});
  }

  // Reads the stale ones again until none is, or the time is over.
  void Settle(const std::vector<Item>& items) {
    const Clock::time_point settled = Clock::now() + kSettle;
    const auto stale = [](const RestRead& read) { return read.version < read.there; };
    while (std::any_of(result_.reads.begin(), result_.reads.end(), stale) && Clock::now() < settled) {
      std::this_thread::sleep_for(kAgain);
      AtRest before = std::exchange(result_, AtRest{});
      result_.written = before.written;
      result_.asked = before.asked;
      result_.why = before.why;
      end_ = std::max(end_, settled + kAnswer);
      for (const RestRead& read : before.reads) {
        if (!stale(read)) {
          result_.reads.push_back(read);
          continue;
        }
        const auto item =
            std::find_if(items.begin(), items.end(), [&](const Item& each) { return each.name == read.key; });
        if (read.place == "redis") {
          LookIntoRedis(*item);
          continue;
        }
        for (Replica& replica : replicas_) {
          if (replica.name() == read.place) Ask(replica, *item);
        }
      }
    }
  }

  const RestRequest& request_;
  Clock::time_point end_;
  PgConnection database_;
  RespConnection redis_;
  std::vector<Replica> replicas_;
  AtRest result_;
};

}  // namespace

bool ReadEntryHead(std::string_view bytes, uint64_t* version, int64_t* fresh_until_ms) {
  constexpr size_t kHeader = 48, kVersionAt = 4, kFreshUntilAt = 20;
  if (bytes.size() < kHeader || bytes.substr(0, 3) != std::string_view("LC\1", 3)) return false;
  // Little-endian, as the host is that keeps it in its memory.
  std::memcpy(version, bytes.data() + kVersionAt, sizeof(*version));
  std::memcpy(fresh_until_ms, bytes.data() + kFreshUntilAt, sizeof(*fresh_until_ms));
  return true;
}

AtRest ReadCacheAtRest(const RestRequest& request) { return Reader(request).Run(); }

}  // namespace lab::bench
