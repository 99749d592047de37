#pragma once

namespace lab::async {

// The operations of a store that wait for their answer, oldest first: the deadline is the same for all of them, so only
// the first one needs a timer. Intrusive: an operation has members `previous` and `next` of its own type, and is in one
// list at most.
template <typename T>
class WaitList {
 public:
  WaitList() = default;
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;

  T* front() const { return head_.next == &head_ ? nullptr : head_.next; }
  void PushBack(T* operation) {
    operation->previous = head_.previous;
    operation->next = &head_;
    head_.previous->next = operation;
    head_.previous = operation;
  }
  static void Remove(T* operation) {
    operation->previous->next = operation->next;
    operation->next->previous = operation->previous;
    operation->previous = operation->next = nullptr;
  }

 private:
  struct Head : T {
    Head() { T::previous = T::next = this; }
  };
  Head head_;
};

}  // namespace lab::async
