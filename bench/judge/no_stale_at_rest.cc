#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bench/cacheapi/names.h"
#include "bench/cacheapi/written.h"
#include "bench/judge/invariants.h"
#include "bench/judge/judge.h"
#include "bench/judge/records.h"
#include "services/runtime/base/text.h"

// no-stale-at-rest: once nobody writes any more, every key that was written is read through every replica, and looked
// up in what they share: none has another version than the database, and the database has every write that was
// acknowledged. Says nothing unless at least half of the keys were cached before anybody read them: what is not cached
// cannot be stale. That a reading finds cached what the reading before it has loaded does not count.
namespace lab::bench {
namespace {

constexpr char kDatabase[] = "postgres", kShared[] = "redis";

const char* HowOf(Answer how) {
  switch (how) {
    case Answer::kHitLocal:
      return "from L1";
    case Answer::kHitShared:
      return "from L2";
    case Answer::kStale:
      return "kept beyond its time";
    default:
      return "as loaded";
  }
}

// "brand-7 window=24h" of "brand-7 window=24h copy=3" or of "… tenant=a": what is cached at all, or is not.
std::string KeyOf(const RestRead& read) {
  const size_t brand = read.key.find(' ');
  return read.key.substr(0, brand == std::string::npos ? brand : read.key.find(' ', brand + 1));
}

struct Counted {
  std::map<std::string, bool> cached;  // of each key that a replica answered: whether it was cached before
  uint64_t reads = 0;                  // of replicas
  uint64_t keys() const { return cached.size(); }
  uint64_t cached_keys() const {
    return static_cast<uint64_t>(
        std::count_if(cached.begin(), cached.end(), [](const auto& key) { return key.second; }));
  }
};

// The first reading of a replica finds in its L1 what was there before; all of Redis was looked at before that.
Counted CountOf(const AtRest& rest) {
  Counted counted;
  std::set<std::pair<std::string, std::string>> read_before;  // replica and key: by another tenant
  for (const RestRead& read : rest.reads) {
    if (read.place == kDatabase || read.place == kShared) continue;
    ++counted.reads;
    const std::string key = KeyOf(read);
    const bool first = read_before.emplace(read.place, key).second;
    bool& cached = counted.cached[key];
    cached = cached || (first && read.how == Answer::kHitLocal);
  }
  for (const RestRead& read : rest.reads) {
    if (read.place != kShared) continue;
    if (const auto key = counted.cached.find(KeyOf(read)); key != counted.cached.end()) key->second = true;
  }
  return counted;
}

void CheckRead(const RestRead& read, InvariantResult& result) {
  if (read.place == kDatabase || read.version == read.there) return;
  const std::string what = Concat(read.place, ", ", read.key, ": version ", read.version, " ", HowOf(read.how));
  result.Break(read.version < read.there
                   ? Concat(what, ", the database has version ", read.there)
                   : Concat(what, ", which the database does not have: it has version ", read.there));
}

// What the load was told is written, or will be, must be in the database.
void CheckKept(const Trial& trial, InvariantResult& result) {
  std::map<std::string, uint64_t> there;
  for (const RestRead& read : trial.at_rest->reads) {
    if (read.place == kDatabase) there[read.key] = read.version;
  }
  if (there.empty()) return;  // it did not answer: `why` says so
  for (const auto& [key, least] : cacheapi::LeastVersions(trial.ops)) {
    const auto found = there.find(cacheapi::BrandOf(key));
    if (least == 0 || (found != there.end() && found->second >= least)) continue;
    // Of more than can be read nothing follows from one that is not among them.
    if (found == there.end() && trial.at_rest->asked < trial.at_rest->written) continue;
    const uint64_t has = found == there.end() ? 0 : found->second;
    result.Break(Concat(cacheapi::BrandOf(key), ": version ", least,
                        " is there at least by what was acknowledged, the database has only version ", has));
  }
}

// Why nothing can be said of it though nothing is broken; "": something can.
std::string WhyNothing(const AtRest& rest, const Counted& counted) {
  if (rest.written == 0) return "nothing was written";
  if (!rest.why.empty()) return rest.why;
  if (rest.asked < rest.written) return "not all keys were read";
  if (counted.reads == 0) return "no replica answered";
  if (counted.cached_keys() * 2 < counted.keys()) {
    return Concat("only ", counted.cached_keys(), " of ", counted.keys(),
                  " keys were cached before they were read: too few to say anything");
  }
  return "";
}

InvariantResult Check(const Trial& trial, const Lab&, const Selectors&) {
  InvariantResult result;
  if (!trial.at_rest) {
    result.why = "nothing was read at rest";
    return result;
  }
  const AtRest& rest = *trial.at_rest;
  CheckRecords(trial, std::vector<bool>(trial.streams.size(), true), result);
  if (result.broken > 0) {
    result.why = Concat("the record is not whole: ", result.offenders.front());
    return result;
  }
  for (const RestRead& read : rest.reads) CheckRead(read, result);
  CheckKept(trial, result);
  const Counted counted = CountOf(rest);
  if (result.broken > 0) {
    result.state = State::kFail;
  } else if (result.why = WhyNothing(rest, counted); result.why.empty()) {
    result.state = State::kPass;
  }
  const auto number = [](uint64_t count) { return FormatQuantity(static_cast<double>(count), "ops"); };
  result.measured =
      Concat(number(rest.asked), " of ", number(rest.written), " brands that were written, ", number(counted.reads),
             " reads of ", number(counted.keys()), " keys, ", number(counted.cached_keys()), " of them cached before");
  return result;
}

}  // namespace

Invariant NoStaleAtRest() { return {"no-stale-at-rest", {}, &Check}; }

}  // namespace lab::bench
