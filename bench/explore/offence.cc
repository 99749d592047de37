#include "bench/explore/offence.h"

#include <algorithm>

#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

using Kind = Offence::Kind;

void AtRestOf(const History& history, std::vector<Offence>& offences) {
  const AtRest& rest = history.rest;
  const auto add = [&](Kind kind, const std::string& where, int replica, bool local, uint64_t version) {
    Offence offence{kind, "", -1, replica, local, version, rest.version, ""};
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
                      ""};
      offence.text = newest->writes ? Concat(reader.actor, " reads v", reader.version, " after ", newest->actor,
                                             " was told that v", newest->version, " is written")
                                    : Concat(reader.actor, " reads v", reader.version, " after ", newest->actor,
                                             " has read v", newest->version);
      offences.push_back(std::move(offence));
    }
    if (reader.version > history.rest.version) {
      offences.push_back({Kind::kNeverCommitted, reader.actor, reader.answered, reader.replica, false, reader.version,
                          history.rest.version,
                          Concat(reader.actor, " reads v", reader.version, ", which was never committed")});
    }
  }
}

// What L2 holds is what whoever asked at that moment would be given. Told once, and not where it stays so.
void SharedOf(const History& history, std::vector<Offence>& offences) {
  const Stored& rest = history.rest.stored;
  if (rest.kind == Stored::Kind::kValue && rest.version != history.rest.version) return;
  for (size_t i = 0; i < history.moves.size(); ++i) {
    const Stored& stored = history.moves[i].stored;
    if (stored.kind != Stored::Kind::kValue) continue;
    for (const Ended& writer : history.ended) {
      if (!writer.writes || !Known(writer) || writer.answered > static_cast<int>(i)) continue;
      if (stored.version >= writer.version) continue;
      offences.push_back({Kind::kReadYourWrites, "", static_cast<int>(i), 0, false, stored.version, writer.version,
                          Concat("for a while L2 serves v", stored.version, " after ", writer.actor, " was told that v",
                                 writer.version, " is written")});
      return;
    }
  }
}

}  // namespace

std::vector<Offence> Offences(const History& history) {
  std::vector<Offence> offences;
  for (const Ended& writer : history.ended) {
    if (!writer.writes || !Known(writer) || writer.applied) continue;
    offences.push_back(
        {Kind::kLostWrite, writer.actor, -1, writer.replica, false, history.rest.version, writer.version,
         Concat(writer.actor, "'s write was acknowledged as v", writer.version, ", the database does not have it")});
  }
  AtRestOf(history, offences);
  DuringOf(history, offences);
  SharedOf(history, offences);
  return offences;
}

}  // namespace lab::bench::explore
