#include "services/runtime/pg/operation.h"

namespace lab::pg {

StoredStep::StoredStep(const Statement& statement, absl::Span<const Param> params) : statement_(&statement) {
  places_.reserve(params.size());
  for (const Param& param : params) {
    if (param.is_null()) {
      places_.push_back(kNull);
      continue;
    }
    places_.push_back(text_.size());
    text_.append(param.text());
    text_ += '\0';
  }
}

const char* const* StoredStep::Values(std::vector<const char*>& scratch) const {
  scratch.clear();
  for (const size_t place : places_) scratch.push_back(place == kNull ? nullptr : text_.data() + place);
  return scratch.data();
}

Operation* OperationPool::Take() {
  ++taken_;
  if (free_.empty()) return &operations_.emplace_back();
  Operation* operation = free_.back();
  free_.pop_back();
  return operation;
}

void OperationPool::Return(Operation* operation) {
  --taken_;
  operation->callback = nullptr;
  operation->steps.clear();
  operation->results.clear();
  operation->order.clear();
  operation->resends = 0;
  operation->connection = Operation::kAny;
  operation->place.reset();
  operation->stage = Operation::Stage::kWaiting;
  operation->part = Operation::Part::kWhole;
  operation->alone = operation->probe = false;
  free_.push_back(operation);
}

}  // namespace lab::pg
