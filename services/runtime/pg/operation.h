#pragma once

#include <libpq-fe.h>

#include <cstddef>
#include <cstdint>
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
  std::string text_;                       // all parameters, each with a NUL behind it
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
  std::string order;                          // within its group
  int resends = 0;
  // Where it is. What waits is known not to have happened: it was never sent, or was rolled back.
  enum class Stage : uint8_t {
    kWaiting,    // to be sent; not any more when its deadline has come
    kDelayed,    // by a failpoint: it is sent even when its caller has been told meanwhile
    kSent,       // the server has yet to answer
    kHeld,       // it has answered, and a failpoint holds that back
    kSwallowed,  // it has answered, and a failpoint has swallowed that: nothing more comes
  };
  Stage stage = Stage::kWaiting;
  // Of a transaction over several turns: which part of it.
  enum class Part : uint8_t { kWhole, kBegin, kStatement, kCommit, kRollback };  // kWhole: of none
  Part part = Part::kWhole;
  bool ends() const { return part == Part::kCommit || part == Part::kRollback; }
  bool alone = false;  // shares its group with none
  bool probe = false;  // the client's own
  // Of a part: the index of its connection and that connection's epoch. A transaction begins on any that is idle, and
  // tells which in `place`.
  static constexpr size_t kAny = static_cast<size_t>(-1);
  size_t connection = kAny;
  uint64_t epoch = 0;
  std::shared_ptr<std::pair<size_t, uint64_t>> place;
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
