#include "bench/judge/staleness_oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "bench/judge/share_bound.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// The commits of a key by version, each with the earliest acknowledgement among it and all that came after: by then it
// was certainly there, whoever acknowledged first.
struct Superseding {
  uint64_t version = 0;
  int64_t since = 0;
  uint64_t by = 0;  // the version that was acknowledged then
};

std::vector<CacheCommit> ByVersion(const CacheHistory& history) {
  std::vector<CacheCommit> commits = history.commits;
  std::sort(commits.begin(), commits.end(), [](const auto& a, const auto& b) { return a.version < b.version; });
  return commits;
}

std::vector<Superseding> SupersedingOf(const std::vector<CacheCommit>& by_version) {
  std::vector<Superseding> list(by_version.size());
  Superseding earliest{0, kNever, 0};
  for (size_t i = by_version.size(); i-- > 0;) {
    const CacheCommit& commit = by_version[i];
    if (commit.end <= earliest.since) earliest = {0, commit.end, commit.version};
    list[i] = {commit.version, earliest.since, earliest.by};
  }
  return list;
}

// What is known to have replaced `version`; since kNever when nothing is.
Superseding AfterVersion(const std::vector<Superseding>& list, uint64_t version) {
  const auto next = std::upper_bound(list.begin(), list.end(), version,
                                     [](uint64_t wanted, const Superseding& each) { return wanted < each.version; });
  return next == list.end() ? Superseding{0, kNever, 0} : *next;
}

void Note(CountedOffences& offences, const CacheHistory& history, size_t place, uint64_t expected, int64_t since) {
  const CacheRead& read = history.reads[place];
  ++offences.count;
  if (offences.first && offences.first->sent <= read.sent) return;
  offences.first = CacheOffence{0, history.key, place, read.version, expected, since, read.sent};
}

// Something that a session knows from a moment on: it was told so, or has read it.
struct Knowledge {
  int64_t since = 0;
  uint64_t version = 0;
};
using KnowledgeOf = std::map<uint32_t, std::vector<Knowledge>>;

// Sorted by time; each with the largest version so far.
void Accumulate(KnowledgeOf& sessions) {
  for (auto& [session, known] : sessions) {
    std::sort(known.begin(), known.end(), [](const auto& a, const auto& b) {
      return a.since != b.since ? a.since < b.since : a.version < b.version;
    });
    for (size_t i = 1; i < known.size(); ++i) {
      if (known[i - 1].version > known[i].version) known[i].version = known[i - 1].version;
    }
  }
}

// What the session knew before `sent`; null when nothing.
const Knowledge* Before(const KnowledgeOf& sessions, uint32_t session, int64_t sent) {
  const auto found = sessions.find(session);
  if (found == sessions.end()) return nullptr;
  const std::vector<Knowledge>& known = found->second;
  const auto next = std::lower_bound(known.begin(), known.end(), sent,
                                     [](const Knowledge& each, int64_t wanted) { return each.since < wanted; });
  return next == known.begin() ? nullptr : &*(next - 1);
}

void JudgeSessions(const CacheHistory& history, Staleness& result) {
  KnowledgeOf written, seen;
  for (const CacheCommit& commit : history.commits) {
    if (commit.session != kNoSession) written[commit.session].push_back({commit.end, commit.version});
  }
  for (const CacheRead& read : history.reads) {
    if (read.session != kNoSession) seen[read.session].push_back({read.answered, read.version});
  }
  Accumulate(written);
  Accumulate(seen);
  for (size_t i = 0; i < history.reads.size(); ++i) {
    const CacheRead& read = history.reads[i];
    if (!read.judged || read.session == kNoSession) continue;
    const Knowledge* own = Before(written, read.session, read.sent);
    if (own != nullptr && read.version < own->version) {
      Note(result.read_your_writes, history, i, own->version, own->since);
    }
    const Knowledge* earlier = Before(seen, read.session, read.sent);
    if (earlier != nullptr && read.version < earlier->version) {
      Note(result.monotonic_reads, history, i, earlier->version, earlier->since);
    }
  }
}

// Adds the ages of stale reads.
void JudgeReads(const CacheHistory& history, Staleness& result, std::vector<int64_t>& ages) {
  const std::vector<CacheCommit> commits = ByVersion(history);
  const std::vector<Superseding> superseding = SupersedingOf(commits);
  for (size_t i = 0; i < history.reads.size(); ++i) {
    const CacheRead& read = history.reads[i];
    if (!read.judged) continue;
    ++result.reads;
    const Superseding after = AfterVersion(superseding, read.version);
    if (after.since < read.sent) {
      Note(result.stale, history, i, after.by, after.since);
      ages.push_back(read.sent - after.since);
    }
    const auto own = std::lower_bound(commits.begin(), commits.end(), read.version,
                                      [](const CacheCommit& each, uint64_t wanted) { return each.version < wanted; });
    if (own != commits.end() && own->version == read.version && read.answered < own->begin) {
      Note(result.premature, history, i, 0, own->begin);
    }
  }
}

constexpr double kNanosPerSecond = 1e9;

}  // namespace

std::string WhatIsWrong(const CacheHistory& history) {
  for (const CacheCommit& commit : history.commits) {
    if (commit.end < commit.begin) return Concat("version ", commit.version, " ends before it begins");
  }
  for (const CacheRead& read : history.reads) {
    if (read.answered < read.sent) return Concat("a read of version ", read.version, " ends before it begins");
  }
  const std::vector<CacheCommit> commits = ByVersion(history);
  for (size_t i = 1; i < commits.size(); ++i) {
    if (commits[i].version == commits[i - 1].version) return Concat("version ", commits[i].version, " is there twice");
  }
  int64_t begun = std::numeric_limits<int64_t>::min();  // the latest begin of a smaller version
  for (const CacheCommit& commit : commits) {
    if (commit.end < begun) return Concat("version ", commit.version, " was there before a smaller one had begun");
    begun = std::max(begun, commit.begin);
  }
  return "";
}

Staleness StalenessOf(const std::vector<CacheHistory>& histories) {
  Staleness result;
  std::vector<int64_t> ages;
  for (const CacheHistory& history : histories) {
    if (const std::string wrong = WhatIsWrong(history); !wrong.empty()) {
      result.unsound.push_back(Concat(history.key, ": ", wrong));
      continue;
    }
    JudgeReads(history, result, ages);
    JudgeSessions(history, result);
  }
  std::sort(ages.begin(), ages.end());
  if (!ages.empty()) result.age_max_s = static_cast<double>(ages.back()) / kNanosPerSecond;
  if (result.reads >= kReadsForP99) {
    // By nearest rank; the fresh ones come first, with 0.
    const auto rank = static_cast<uint64_t>(std::ceil(0.99 * static_cast<double>(result.reads)));
    const uint64_t fresh = result.reads - ages.size();
    result.age_p99_s = rank <= fresh ? 0 : static_cast<double>(ages[rank - fresh - 1]) / kNanosPerSecond;
  }
  return result;
}

std::vector<CacheOffence> StalerThan(const std::vector<CacheHistory>& histories, int64_t bound) {
  std::vector<CacheOffence> offences;
  for (size_t h = 0; h < histories.size(); ++h) {
    const CacheHistory& history = histories[h];
    if (!WhatIsWrong(history).empty()) continue;
    const std::vector<Superseding> superseding = SupersedingOf(ByVersion(history));
    for (size_t i = 0; i < history.reads.size(); ++i) {
      const CacheRead& read = history.reads[i];
      const Superseding after = AfterVersion(superseding, read.version);
      if (!read.judged || after.since >= read.sent || read.sent - after.since <= bound) continue;
      offences.push_back({h, history.key, i, read.version, after.by, after.since, read.sent});
    }
  }
  return offences;
}

InconsistentAfter InconsistentAfterT(const std::vector<CacheHistory>& histories, int64_t after, int64_t within) {
  InconsistentAfter result;
  for (const CacheHistory& history : histories) {
    if (!WhatIsWrong(history).empty()) continue;
    std::vector<size_t> reads;  // judged, by the time they were sent
    for (size_t i = 0; i < history.reads.size(); ++i) {
      if (history.reads[i].judged) reads.push_back(i);
    }
    std::sort(reads.begin(), reads.end(),
              [&](size_t a, size_t b) { return history.reads[a].sent < history.reads[b].sent; });
    std::vector<size_t> oldest(reads.size());  // of this read and all sent later: the one with the smallest version
    for (size_t i = reads.size(); i-- > 0;) {
      const bool last = i + 1 == reads.size();
      oldest[i] =
          last || history.reads[reads[i]].version <= history.reads[oldest[i + 1]].version ? reads[i] : oldest[i + 1];
    }
    for (const CacheCommit& commit : history.commits) {
      const int64_t from = commit.end + after;
      const auto next = std::upper_bound(reads.begin(), reads.end(), from,
                                         [&](int64_t time, size_t read) { return time < history.reads[read].sent; });
      if (next == reads.end()) continue;
      const CacheRead& worst = history.reads[oldest[static_cast<size_t>(next - reads.begin())]];
      const bool inconsistent = worst.version < commit.version;
      if (!inconsistent && history.reads[*next].sent > from + within) continue;
      ++result.probed;
      if (!inconsistent) continue;
      ++result.inconsistent;
      if (result.first && result.first->sent <= worst.sent) continue;
      const size_t place = oldest[static_cast<size_t>(next - reads.begin())];
      result.first = CacheOffence{0, history.key, place, worst.version, commit.version, commit.end, worst.sent};
    }
  }
  if (result.probed > 0) {
    result.share = static_cast<double>(result.inconsistent) / static_cast<double>(result.probed);
  }
  result.at_most = ShareAtMost(result.inconsistent, result.probed);
  return result;
}

}  // namespace lab::bench
