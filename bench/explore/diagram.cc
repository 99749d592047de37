#include "bench/explore/diagram.h"

#include <algorithm>

#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

std::string Text(const Stored& stored) {
  switch (stored.kind) {
    case Stored::Kind::kNone:
      return "-";
    case Stored::Kind::kValue:
      return Concat("v", stored.version);
    case Stored::Kind::kTombstone:
      return Concat("tombstone v", stored.version);
    case Stored::Kind::kOther:
      return "?";
  }
  return "?";
}

// What the move found or did.
std::string Told(const History& history, size_t index) {
  const Seen& seen = history.moves[index];
  const bool first = index == 0;
  const Stored before = first ? Stored() : history.moves[index - 1].stored;
  const bool leased_before = !first && history.moves[index - 1].leased;
  const std::string& step = seen.move.step;
  if (step == "get") {
    if (before.kind == Stored::Kind::kValue) return Concat("get: ", Text(before));
    return leased_before ? "get: wait" : seen.leased ? "get: lease" : "get: miss";
  }
  if (step == "select") return Concat("select: v", seen.committed);
  if (step == "set")
    return seen.stored == before && seen.leased == leased_before ? "set: no effect" : Concat("set ", Text(seen.stored));
  // That of an outbox' batch makes no version.
  const bool makes = first || seen.committed != history.moves[index - 1].committed;
  if (step == "commit") return makes ? Concat("commit v", seen.committed) : step;
  return step == kDie ? "dies" : step;
}

std::string Cell(const History& history, size_t index) {
  std::string text = Told(history, index);
  for (const Ended& ended : history.ended) {
    if (ended.answered != static_cast<int>(index)) continue;
    const std::string who = ended.actor == history.moves[index].move.actor ? "" : Concat(ended.actor, " ");
    text += Concat(" => ", who, ended.ok ? Concat("v", ended.version) : "error");
  }
  return text;
}

void Pad(std::string& line, size_t width) {
  if (line.size() < width) line.append(width - line.size(), ' ');
}

}  // namespace

std::vector<std::string> Diagram(const History& history) {
  std::vector<std::string> actors;
  for (const Ended& ended : history.ended) actors.push_back(ended.actor);
  for (const Seen& seen : history.moves) {
    if (std::find(actors.begin(), actors.end(), seen.move.actor) == actors.end()) actors.push_back(seen.move.actor);
  }
  std::vector<size_t> widths;
  for (const std::string& actor : actors) {
    size_t width = actor.size();
    for (size_t i = 0; i < history.moves.size(); ++i) {
      if (history.moves[i].move.actor == actor) width = std::max(width, Cell(history, i).size());
    }
    widths.push_back(width + 2);
  }
  size_t stored_width = sizeof("L2") + 1;
  for (const Seen& seen : history.moves) {
    stored_width = std::max(stored_width, Text(seen.stored).size() + (seen.leased ? sizeof(", leased") - 1 : 0) + 2);
  }
  const auto line_of = [&](const std::string& number, const std::string& actor, const std::string& cell,
                           const std::string& stored, const std::string& committed) {
    std::string line = number;
    size_t at = 5;
    for (size_t i = 0; i < actors.size(); ++i) {
      Pad(line, at);
      line += actor.empty() ? actors[i] : actors[i] == actor ? cell : "";
      at += widths[i];
    }
    Pad(line, at);
    line += Concat("| ", stored);
    Pad(line, at + 2 + stored_width);
    return line + committed;
  };
  std::vector<std::string> lines = {line_of("", "", "", "L2", "PostgreSQL")};
  for (size_t i = 0; i < history.moves.size(); ++i) {
    const Seen& seen = history.moves[i];
    std::string number = Concat(i + 1);
    number.insert(0, number.size() < 3 ? 3 - number.size() : 0, ' ');
    lines.push_back(line_of(number, seen.move.actor, Cell(history, i),
                            Text(seen.stored) + (seen.leased ? ", leased" : ""), Concat("v", seen.committed)));
  }
  return lines;
}

}  // namespace lab::bench::explore
