#include "bench/cacheapi/rest_reads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/cacheapi/brand_versions.h"
#include "bench/cacheapi/names.h"
#include "bench/cacheapi/replica.h"
#include "bench/cacheapi/stored_scan.h"
#include "bench/load/target.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/time.h"

namespace lab::bench::cacheapi {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr size_t kMostBrands = 100'000;
constexpr std::chrono::seconds kPatience{5}, kSettle{3}, kSettleMost{30}, kTellEach{2};
constexpr Millis kPerRead{100}, kAgain{100}, kLook{20};
constexpr size_t kConnections = 4;  // to each replica

// One thing to ask a replica: a brand as one load asked for it.
struct Item {
  uint32_t key = 0;
  std::string name, request;
};

// One place looked into, and how to look again.
struct Look {
  RestRead read;
  uint32_t key = 0;
  Replica* replica = nullptr;
  const Item* item = nullptr;  // of a replica
  std::string redis_key;       // of Redis
};

bool Differs(const Look& look) { return look.read.version != look.read.there; }

// Under the name of an old version it is right for ever, and nobody asks for it any more.
bool IsLeftBehind(const FreshEntry& entry, uint64_t there) {
  return entry.name.version && entry.version == *entry.name.version && entry.version < there;
}

// How long it is worth to wait for something to become less: until it has not done so for kSettle.
class Shrinking {
 public:
  // Whether to look again at what there is `left` of.
  bool Goes(size_t left) {
    const Clock::time_point now = Clock::now();
    if (left < least_) {
      least_ = left;
      until_ = std::min(end_, now + kSettle);
    }
    return left > 0 && now < until_;
  }

 private:
  const Clock::time_point end_ = Clock::now() + kSettleMost;
  Clock::time_point until_{};
  size_t least_ = static_cast<size_t>(-1);
};

class RestReads {
 public:
  explicit RestReads(const RestRequest& request)
      : request_(request),
        database_(kHost, PortOf("postgres"), {.database = "insights", .application = "at rest"}),
        redis_(kHost, PortOf("redis")) {
    for (const auto& [name, ports] : request.replicas) {
      const auto http = ports.find("http");
      if (http == ports.end()) continue;
      for (size_t i = 0; i < kConnections; ++i) replicas_.emplace_back(name, http->second);
    }
  }

  AtRest Run() {
    if (const absl::Status asked = AwaitApplied(); !asked.ok()) {
      result_.why = Concat("the database does not say what was written: ", asked.message());
      return std::move(result_);
    }
    for (const auto& [key, version] : versions_) {
      looks_.push_back({{"postgres", BrandOf(key), version, version, Answer::kNone}, key, nullptr, nullptr, ""});
    }
    MakeItems();
    end_ = Clock::now() + kPatience + kPerRead * items_.size();
    if (PortOf("redis") > 0) LookIntoRedis();
    AskReplicas();
    Settle();
    for (Look& look : looks_) result_.reads.push_back(std::move(look.read));
    return std::move(result_);
  }

 private:
  int PortOf(const std::string& kind) const {
    const auto found = request_.others.find(kind);
    return found == request_.others.end() ? 0 : found->second.at(kind);
  }
  bool Interrupted() const { return request_.interrupted && request_.interrupted(); }
  bool GoesOn() const { return Clock::now() < end_ && !Interrupted(); }
  void Because(const std::string& why) {
    if (result_.why.empty()) result_.why = why;
  }
  void Tell(const std::string& text) {
    if (!request_.tell || Clock::now() < told_ + kTellEach) return;
    told_ = Clock::now();
    request_.tell(Concat("at rest: ", text));
  }

  absl::Status AwaitApplied();
  absl::Status AskVersions();
  void MakeItems();
  void LookIntoRedis();
  void AddStored(FreshEntry entry);
  void AskReplicas();
  struct Share;
  void AskShare(Share& share, std::atomic<size_t>& asked) const;
  void Settle();
  bool LookAgain(Look& look);

  const RestRequest& request_;
  Clock::time_point end_{}, told_ = Clock::now();
  PgConnection database_;
  RespConnection redis_;
  std::vector<Replica> replicas_;  // kConnections of each, one after the other
  Versions versions_;              // of all that were written
  std::vector<Item> items_;
  std::vector<Look> looks_;
  AtRest result_;
};

absl::Status RestReads::AskVersions() {
  absl::StatusOr<Versions> written = WrittenBrands(database_, kMostBrands + 1);
  if (!written.ok()) return written.status();
  std::vector<uint32_t> others;
  for (const auto& [key, least] : request_.written) {
    if (written->count(key) == 0) others.push_back(key);
  }
  absl::StatusOr<Versions> rest = VersionsOf(database_, others);
  if (!rest.ok()) return rest.status();
  written->merge(*rest);
  versions_ = *std::move(written);
  return absl::OkStatus();
}

absl::Status RestReads::AwaitApplied() {
  Shrinking missing;
  for (;;) {
    if (absl::Status asked = AskVersions(); !asked.ok()) return asked;
    uint64_t left = 0;  // acknowledged writes that are not there
    for (const auto& [key, least] : request_.written) left += least - std::min(least, versions_[key]);
    if (!missing.Goes(left) || Interrupted()) break;
    Tell(Concat(left, " acknowledged writes are not in the database yet"));
    std::this_thread::sleep_for(kAgain);
  }
  result_.written = versions_.size();
  if (versions_.size() > kMostBrands) {
    Because(Concat("more than ", kMostBrands, " keys were written: not all of them are read"));
    versions_.erase(std::next(versions_.begin(), kMostBrands), versions_.end());
  }
  result_.asked = versions_.size();
  return absl::OkStatus();
}

// Each window and tenant once, whatever else the fields of a load say.
void RestReads::MakeItems() {
  std::set<RequestFields> questions;
  for (const auto& fields : request_.fields) {
    RequestFields question;
    for (const char* name : {"window", "tenant"}) {
      if (const auto given = fields.find(name); given != fields.end()) question[name] = given->second;
    }
    questions.insert(question);
  }
  for (const RequestFields& question : questions) {
    const absl::StatusOr<BodyWriter> writer = PrepareRequests(*FindTarget("cacheapi.get"), question);
    if (!writer.ok()) continue;  // the load was refused with it
    const std::string window = question.contains("window") ? question.at("window") : kDefaultWindow;
    const std::string tenant = question.contains("tenant") ? Concat(" tenant=", question.at("tenant")) : "";
    for (const auto& [key, version] : versions_) {
      if (version == 0) continue;  // it is not there, as the judge is told
      items_.push_back({key, Concat(BrandOf(key), " window=", window, tenant), (*writer)(key)});
    }
  }
}

void RestReads::LookIntoRedis() {
  absl::StatusOr<std::vector<FreshEntry>> entries = ScanFresh(redis_, [this] { return GoesOn(); });
  if (!entries.ok()) return Because(Concat("redis: ", entries.status().message()));
  for (FreshEntry& entry : *entries) AddStored(std::move(entry));
}

void RestReads::AddStored(FreshEntry entry) {
  const std::optional<uint32_t> key = KeyOf(entry.name.brand);
  const auto found = key ? versions_.find(*key) : versions_.end();
  if (found == versions_.end()) return;
  const uint64_t there = found->second;
  if (IsLeftBehind(entry, there)) return;
  std::string name = entry.name.kind == StoredName::Kind::kVersion
                         ? Concat(entry.name.brand, " version")
                         : Concat(entry.name.brand, " window=", entry.name.window);
  if (entry.name.copy) name += Concat(" copy=", *entry.name.copy);
  looks_.push_back({{"redis", std::move(name), there, entry.version, Answer::kHitShared},
                    *key,
                    nullptr,
                    nullptr,
                    std::move(entry.key)});
}

// What one connection asks: each kConnections-th key, all questions of it one after the other.
struct RestReads::Share {
  Replica* replica = nullptr;
  size_t number = 0;
  std::vector<Look> looks;
  std::string why;
  std::thread thread;
};

// On a thread of its own.
void RestReads::AskShare(Share& share, std::atomic<size_t>& asked) const {
  Replica& replica = *share.replica;
  for (const Item& item : items_) {
    if (item.key % kConnections != share.number) continue;
    if (!GoesOn()) {
      share.why =
          Interrupted() ? "interrupted" : Concat("not all keys could be read from ", replica.name(), " in time");
      return;
    }
    const absl::StatusOr<Reading> reading = replica.Get(item.request);
    ++asked;
    if (!reading.ok()) {
      if (share.why.empty()) share.why = Concat(replica.name(), ", ", item.name, ": ", reading.status().message());
      continue;
    }
    share.looks.push_back({{replica.name(), item.name, versions_.at(item.key), reading->version, reading->answer},
                           item.key,
                           &replica,
                           &item,
                           ""});
  }
}

void RestReads::AskReplicas() {
  std::vector<Share> shares(replicas_.size());
  std::atomic<size_t> asked{0}, ended{0};
  for (size_t i = 0; i < shares.size(); ++i) {
    shares[i].replica = &replicas_[i];
    shares[i].number = i % kConnections;
    shares[i].thread = std::thread([this, &share = shares[i], &asked, &ended] {
      AskShare(share, asked);
      ++ended;
    });
  }
  while (ended < shares.size()) {
    Tell(Concat(asked.load(), " of ", items_.size() * shares.size() / kConnections, " reads"));
    std::this_thread::sleep_for(kLook);
  }
  for (Share& share : shares) {
    share.thread.join();
    if (!share.why.empty()) Because(share.why);
    std::move(share.looks.begin(), share.looks.end(), std::back_inserter(looks_));
  }
}

// Reads what differs again until nothing does, or it does not become less any more.
void RestReads::Settle() {
  Shrinking differing;
  for (;;) {
    std::set<uint32_t> keys;
    size_t left = 0;
    for (const Look& look : looks_) {
      if (!Differs(look)) continue;
      ++left;
      keys.insert(look.key);
    }
    if (!differing.Goes(left) || Interrupted()) return;
    Tell(Concat(left, " places differ from the database"));
    std::this_thread::sleep_for(kAgain);
    const absl::StatusOr<Versions> now = VersionsOf(database_, {keys.begin(), keys.end()});
    if (!now.ok()) return Because(Concat("the database: ", now.status().message()));
    for (Look& look : looks_) {
      const auto version = now->find(look.key);
      if (version == now->end()) continue;
      look.read.there = version->second;
      if (look.read.place == "postgres") look.read.version = version->second;
    }
    std::vector<Look> kept;
    for (Look& look : looks_) {
      if (!Differs(look) || LookAgain(look)) kept.push_back(std::move(look));
    }
    looks_ = std::move(kept);
  }
}

// False: there is nothing any more.
bool RestReads::LookAgain(Look& look) {
  if (look.replica != nullptr) {
    const absl::StatusOr<Reading> reading = look.replica->Get(look.item->request);
    if (!reading.ok()) {
      Because(Concat(look.replica->name(), ", ", look.item->name, ": ", reading.status().message()));
      return true;
    }
    look.read.version = reading->version;
    look.read.how = reading->answer;
    return true;
  }
  const absl::StatusOr<std::vector<FreshEntry>> entry = ReadFresh(redis_, {look.redis_key});
  if (!entry.ok()) {
    Because(Concat("redis: ", entry.status().message()));
    return true;
  }
  if (entry->empty() || IsLeftBehind(entry->front(), look.read.there)) return false;
  look.read.version = entry->front().version;
  return true;
}

}  // namespace

AtRest ReadAtRest(const RestRequest& request) { return RestReads(request).Run(); }

}  // namespace lab::bench::cacheapi
