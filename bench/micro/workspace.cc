#include "bench/micro/workspace.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "bench/observe/process_figures.h"
#include "bench/run/run_folder.h"
#include "bench/run/runner.h"

namespace lab::bench {
namespace {

constexpr int kNotCompleted = 70;

sigset_t EndingSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Workspace>> Workspace::Open(const std::string& root) {
  for (const std::string& line : CleanLeftovers(root)) std::fprintf(stderr, "%s\n", line.c_str());
  absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(StateFolder(root));
  if (!journal.ok()) return journal.status();
  return std::unique_ptr<Workspace>(new Workspace(*std::move(journal)));
}

Workspace::Workspace(std::unique_ptr<Journal> journal) : journal_(std::move(journal)) {
  // For what is not started by the spawner: the Redis of a section, and what it writes.
  const std::string mark = marker();
  setenv("LAB_RUN", mark.c_str() + mark.find('=') + 1, 1);
  setenv("TMPDIR", folder().c_str(), 1);
  // Blocked here and so in every thread to come; only the one that waits for them gets them.
  const sigset_t set = EndingSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);  // a closed pager must not leave everything to the next start
  signals_ = std::thread([this] { AwaitSignal(); });
  spawner_ = std::make_unique<Spawner>([this](pid_t pid, const std::string& name) { return Born(pid, name); });
}

Workspace::~Workspace() {
  spawner_.reset();
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  pthread_kill(signals_.native_handle(), SIGTERM);
  signals_.join();
}

absl::Status Workspace::Born(pid_t pid, const std::string& name) {
  if (absl::Status written = journal_->Process(pid, name); !written.ok()) return written;
  if (const auto figures = ReadProcess(pid)) {
    const std::lock_guard lock(mutex_);
    children_.emplace_back(pid, figures->start_ticks);
  }
  return absl::OkStatus();
}

void Workspace::AwaitSignal() {
  const sigset_t set = EndingSignals();
  int signal = 0;
  sigwait(&set, &signal);
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
  }
  // No section is asked: each would need its own way out. Children that no group holds die with this process.
  EndChildren();
  std::error_code ignored;
  std::filesystem::remove_all(folder(), ignored);
  std::fputs("\nlab bench: interrupted\n", stderr);
  _exit(kNotCompleted);
}

void Workspace::EndChildren() {
  const std::lock_guard lock(mutex_);
  for (const auto& [pid, start_ticks] : children_) {
    const auto figures = ReadProcess(pid);
    if (figures && figures->start_ticks == start_ticks) kill(-pid, SIGKILL);
  }
}

}  // namespace lab::bench
