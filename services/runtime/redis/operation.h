#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "services/runtime/redis/client.h"

namespace lab::redis {

class Connection;

// An operation from its call until Redis has answered it, which may be after its callback: hiredis holds a pointer to
// it.
struct Operation {
  Client::Callback callback;  // empty once called
  Clock::time_point start;
  Operation* previous = nullptr;  // in the list of those that wait
  Operation* next = nullptr;
  const Script* script = nullptr;  // of a script call
  std::string command;             // of a script call, to send it again; and of what a failpoint holds back
  int resends = 0;
  bool probe = false;  // a PING of the client's own
  // Whether its answer is still to come; else it has come, and a failpoint has held it back or swallowed it.
  enum class Answer { kAwaited, kHeld, kSwallowed };
  Answer answer = Answer::kAwaited;
  std::string name;  // of the command or script; only where there are failpoints
  Connection* connection = nullptr;
};

// Grows to the most operations ever outstanding at once, which max_outstanding bounds.
class OperationPool {
 public:
  Operation* Take() {
    ++taken_;
    if (free_.empty()) return &operations_.emplace_back();
    Operation* operation = free_.back();
    free_.pop_back();
    return operation;
  }
  void Return(Operation* operation) {
    --taken_;
    operation->script = nullptr;
    operation->resends = 0;
    operation->probe = false;
    operation->answer = Operation::Answer::kAwaited;
    if (operation->command.capacity() > kKeptBuffer) operation->command = std::string();
    free_.push_back(operation);
  }
  size_t taken() const { return taken_; }

 private:
  static constexpr size_t kKeptBuffer = 4096;  // bytes of a command's buffer that are kept for the next one

  std::deque<Operation> operations_;
  std::vector<Operation*> free_;
  size_t taken_ = 0;
};

}  // namespace lab::redis
