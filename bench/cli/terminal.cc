#include "bench/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/runtime/base/json.h"

namespace lab::bench::cli {
namespace {

constexpr char kHideCursor[] = "\x1b[?25l";
constexpr char kShowCursor[] = "\x1b[?25h";

std::atomic<int> interrupted{0};
std::atomic<int> cursor_fd{-1};  // where the cursor is hidden

// Safe in a signal handler.
void RestoreCursor() {
  const int fd = cursor_fd.exchange(-1);
  if (fd >= 0 && write(fd, kShowCursor, sizeof(kShowCursor) - 1) < 0) return;
}

void OnSignal(int signal) {
  if (interrupted.exchange(signal) != 0) {
    RestoreCursor();
    _exit(70);
  }
}

winsize WindowSize(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) return {};
  return size;
}

}  // namespace

bool IsTerminal(int fd) {
  const char* term = std::getenv("TERM");
  return isatty(fd) == 1 && (term == nullptr || std::string(term) != "dumb");
}

int TerminalWidth(int fd) {
  const int width = WindowSize(fd).ws_col;
  if (width > 0) return width;
  int columns = 0;
  const char* given = std::getenv("COLUMNS");
  return given != nullptr && absl::SimpleAtoi(given, &columns) && columns > 0 ? columns : 100;
}

int TerminalHeight(int fd) {
  const int height = WindowSize(fd).ws_row;
  return height > 0 ? height : 24;
}

TerminalStyle StyleOf(int fd, bool plain) {
  const char* no_color = std::getenv("NO_COLOR");
  TerminalStyle style;
  style.color = !plain && IsTerminal(fd) && (no_color == nullptr || *no_color == '\0');
  style.width = TerminalWidth(fd);
  return style;
}

std::string FitLine(const std::string& text, int width) {
  std::string out;
  int columns = 0;
  bool escaped = false;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '\x1b') {
      const size_t end = std::min(text.find('m', i), text.size() - 1);
      out += text.substr(i, end + 1 - i);
      i = end + 1;
      escaped = true;
      continue;
    }
    const size_t length = std::max<size_t>(1, Utf8Length(std::string_view(text).substr(i)));
    if (columns == width) break;
    out += text.substr(i, length);
    i += length;
    ++columns;
  }
  return escaped ? out + "\x1b[0m" : out;
}

LiveBlock::LiveBlock(int fd) : fd_(fd) {
  static const bool registered = std::atexit(RestoreCursor) == 0;
  (void)registered;
  cursor_fd = fd_;
  Write(kHideCursor);
}

LiveBlock::~LiveBlock() { RestoreCursor(); }

void LiveBlock::Draw(const std::vector<std::string>& lines) {
  const int width = TerminalWidth(fd_);
  const size_t height = std::max(3, TerminalHeight(fd_) - 1);
  // The terminal shows the frame at once, where it knows this (synchronized output, mode 2026).
  std::string out = "\x1b[?2026h";
  if (drawn_ > 0) absl::StrAppend(&out, "\x1b[", drawn_, "A");
  out += "\r";
  drawn_ = 0;
  for (const std::string& line : lines) {
    if (static_cast<size_t>(drawn_) >= height) break;
    absl::StrAppend(&out, FitLine(line, width - 1), "\x1b[K\n");
    ++drawn_;
  }
  Write(out + "\x1b[J\x1b[?2026l");
}

void LiveBlock::Clear() {
  if (drawn_ > 0) Write(absl::StrCat("\x1b[", drawn_, "A\r\x1b[J"));
  drawn_ = 0;
}

void LiveBlock::Write(const std::string& text) {
  size_t at = 0;
  while (at < text.size()) {
    const ssize_t written = write(fd_, text.data() + at, text.size() - at);
    if (written <= 0) return;  // a terminal that went away shows nothing; the run goes on
    at += static_cast<size_t>(written);
  }
}

const std::atomic<int>& CatchSignals(bool restart) {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = restart ? SA_RESTART : 0;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);  // a closed pager must not end a run that is to heal its faults first
  return interrupted;
}

}  // namespace lab::bench::cli
