#pragma once

#include <libpq-fe.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "services/runtime/async/wait_list.h"
#include "services/runtime/pg/client.h"

namespace lab::pg {

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultPtr = std::unique_ptr<PGresult, ClearResult>;

// A statement of an operation with its parameters, kept to be sent again.
class StoredStep {
 public:
  StoredStep(const Statement& statement, absl::Span<const Param> params);
  const Statement& statement() const { return *statement_; }
  int size() const { return static_cast<int>(places_.size()); }
  // As libpq wants them: null-terminated; valid until the next call with the same vector.
  const char* const* Values(std::vector<const char*>& scratch) const;

 private:
  static constexpr size_t kNull = static_cast<size_t>(-1);
  const Statement* statement_;
  std::string text_;            // all parameters, each with a NUL behind it
  absl::InlinedVector<size_t, 4> places_;  // of each in `text_`
};

// Most operations have one statement.
using Steps = absl::InlinedVector<StoredStep, 1>;

// From its call until the server has answered it, which may be after its callback.
struct Operation {
  Client::Callback callback;  // empty once called
  Clock::time_point start;
  Operation* previous = nullptr;  // in the list of those that wait
  Operation* next = nullptr;
  Steps steps;
  absl::InlinedVector<ResultPtr, 1> results;  // one a step, as they come
  int resends = 0;
  bool sent = false;      // at least once
  bool alone = false;     // shares its group with none
  bool delayed = false;   // by a failpoint: it is sent even when its caller has been told meanwhile
  bool probe = false;     // the client's own
  // Of a transaction: the index of its connection and that connection's epoch.
  static constexpr size_t kAny = static_cast<size_t>(-1);
  size_t connection = kAny;
  uint64_t epoch = 0;
  bool begins = false;    // a transaction: it takes any connection that is idle, and tells which in `place`
  std::shared_ptr<std::pair<size_t, uint64_t>> place;
  bool held = false;      // a failpoint holds its answer back
  bool swallowed = false; // a failpoint has swallowed it
};

// Grows to the most operations ever outstanding at once, which max_outstanding bounds.
class OperationPool {
 public:
  Operation* Take();
  void Return(Operation* operation);
  size_t taken() const { return taken_; }

 private:
  std::deque<Operation> operations_;
  std::vector<Operation*> free_;
  size_t taken_ = 0;
};

}  // namespace lab::pg
