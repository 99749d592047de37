#include "bench/explore/offence.h"

#include <algorithm>
#include <optional>

#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

using Kind = Offence::Kind;

void AtRestOf(const History& history, std::vector<Offence>& offences) {
  const AtRest& rest = history.rest;
  const auto add = [&](Kind kind, const std::string& where, int replica, bool local, uint64_t version) {
    Offence offence{kind, "", -1, replica, local, version, rest.version, "", false};
    offence.text = Concat("at rest ", where, " serves v", version, ", the database has v", rest.version);
    if (kind == Kind::kOtherBody) offence.text += ", but what is served is not what the database has";
    offences.push_back(std::move(offence));
  };
  bool shared = false;  // told already
  if (rest.stored.kind == Stored::Kind::kValue && rest.stored.version != rest.version) {
    add(rest.stored.version < rest.version ? Kind::kStaleAtRest : Kind::kNeverCommitted, "L2", 0, false,
        rest.stored.version);
    shared = true;
  }
  for (size_t replica = 0; replica < rest.served.size(); ++replica) {
    const AtRest::Served& served = rest.served[replica];
    if (shared && !served.local && rest.stored.IsValue(served.version)) continue;
    const std::string where = Concat(served.local ? "L1 of " : "", "replica ", replica);
    const int number = static_cast<int>(replica);
    if (served.version < rest.version) add(Kind::kStaleAtRest, where, number, served.local, served.version);
    if (served.version > rest.version) add(Kind::kNeverCommitted, where, number, served.local, served.version);
    if (served.version == rest.version && served.correction != rest.correction) {
      add(Kind::kOtherBody, where, number, served.local, served.version);
    }
  }
}

bool Known(const Ended& ended) { return ended.ok && ended.answered >= 0; }

// Whether what was served as `version` at that move, to one of this replica, was old only because who tells of it had
// not come yet. `local`: it came from within the process.
bool OnItsWay(const History& history, int move, uint64_t version, int replica, bool local) {
  if (move < 0 || move >= static_cast<int>(history.moves.size())) return false;
  const Seen& seen = history.moves[static_cast<size_t>(move)];
  const std::vector<int>& untold = seen.untold_replicas;
  return seen.told <= version || (local && std::find(untold.begin(), untold.end(), replica) != untold.end());
}

bool FromWithin(const Ended& reader) { return reader.how == "hit l1" || reader.how == "coalesced"; }

void DuringOf(const History& history, std::vector<Offence>& offences) {
  for (const Ended& reader : history.ended) {
    if (reader.writes || !Known(reader)) continue;
    const Ended* newest = nullptr;
    for (const Ended& other : history.ended) {
      if (!Known(other) || other.answered >= reader.asked || other.version <= reader.version) continue;
      // What its own client wrote says more than what somebody read.
      if (newest == nullptr || (other.writes && !newest->writes) ||
          (other.writes == newest->writes && other.version > newest->version)) {
        newest = &other;
      }
    }
    if (newest != nullptr) {
      Offence offence{newest->writes ? Kind::kReadYourWrites : Kind::kMonotonicRead,
                      reader.actor,
                      reader.answered,
                      reader.replica,
                      false,
                      reader.version,
                      newest->version,
                      "",
                      OnItsWay(history, reader.looked, reader.version, reader.replica, FromWithin(reader))};
      offence.text = newest->writes ? Concat(reader.actor, " reads v", reader.version, " after ", newest->actor,
                                             " was told that v", newest->version, " is written")
                                    : Concat(reader.actor, " reads v", reader.version, " after ", newest->actor,
                                             " has read v", newest->version);
      offences.push_back(std::move(offence));
    }
    if (reader.version > history.rest.version) {
      offences.push_back({Kind::kNeverCommitted, reader.actor, reader.answered, reader.replica, false, reader.version,
                          history.rest.version,
                          Concat(reader.actor, " reads v", reader.version, ", which was never committed"), false});
    }
  }
}

// What L2 holds is what whoever asked at that moment would be given. Told once, of what is not late rather than of what
// is, and not where it stays so.
void SharedOf(const History& history, std::vector<Offence>& offences) {
  const Stored& rest = history.rest.stored;
  if (rest.kind == Stored::Kind::kValue && rest.version != history.rest.version) return;
  std::optional<Offence> found;
  for (size_t i = 0; i < history.moves.size(); ++i) {
    const Stored& stored = history.moves[i].stored;
    if (stored.kind != Stored::Kind::kValue) continue;
    for (const Ended& writer : history.ended) {
      if (!writer.writes || !Known(writer) || writer.answered > static_cast<int>(i)) continue;
      if (stored.version >= writer.version || (found && !found->late)) continue;
      const int move = static_cast<int>(i);
      const bool late = OnItsWay(history, move, stored.version, 0, false);
      if (found && late) continue;
      found = Offence{Kind::kReadYourWrites,
                      "",
                      move,
                      0,
                      false,
                      stored.version,
                      writer.version,
                      Concat("for a while L2 serves v", stored.version, " after ", writer.actor, " was told that v",
                             writer.version, " is written"),
                      late};
    }
  }
  if (found) offences.push_back(*std::move(found));
}

}  // namespace

std::vector<Offence> Offences(const History& history) {
  std::vector<Offence> offences;
  for (const Ended& writer : history.ended) {
    if (!writer.writes || !Known(writer) || writer.applied) continue;
    offences.push_back(
        {Kind::kLostWrite, writer.actor, -1, writer.replica, false, history.rest.version, writer.version,
         Concat(writer.actor, "'s write was acknowledged as v", writer.version, ", the database does not have it"),
         false});
  }
  AtRestOf(history, offences);
  DuringOf(history, offences);
  SharedOf(history, offences);
  return offences;
}

}  // namespace lab::bench::explore
