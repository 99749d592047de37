#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "bench/report/summary.h"

// What the terminal can do, and the signals that end a run.
namespace lab::bench::cli {

// Of standard output: NO_COLOR (no-color.org) and TERM=dumb switch colour off.
bool IsTerminal(int fd);
int TerminalWidth(int fd);
int TerminalHeight(int fd);
TerminalStyle StyleOf(int fd, bool plain);

// `text` cut to `width` columns; escape sequences take none and are closed at the end.
std::string FitLine(const std::string& text, int width);

// A block of lines at the bottom of the terminal that is drawn again in place. Hides the cursor while it lives; a
// signal or a normal exit brings it back.
class LiveBlock {
 public:
  explicit LiveBlock(int fd);
  ~LiveBlock();
  void Draw(const std::vector<std::string>& lines);
  void Clear();

 private:
  void Write(const std::string& text);
  const int fd_;
  int drawn_ = 0;
};

// SIGINT, SIGTERM and SIGHUP set the flag; a second one ends the program at once with status 70 (its children die with
// it, their state is cleaned up by the next start). Not `restart`: the first one also ends a read that waits, as for an
// answer to a question.
const std::atomic<int>& CatchSignals(bool restart = true);

}  // namespace lab::bench::cli
