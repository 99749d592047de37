#pragma once

#include <memory>
#include <utility>

namespace lab::async {

// Keeps callbacks in flight from an object that is gone: a member of it, declared last, so that it goes first. A
// callback that Guard has wrapped does nothing from then on. One thread.
class Alive {
 public:
  Alive() = default;
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;

  // The handler's result is dropped.
  template <typename Handler>
  auto Guard(Handler handler) const {
    return [token = std::weak_ptr<const bool>(token_), handler = std::move(handler)](auto&&... arguments) mutable {
      if (!token.expired()) handler(std::forward<decltype(arguments)>(arguments)...);
    };
  }

 private:
  std::shared_ptr<const bool> token_ = std::make_shared<const bool>(true);  // shared with nobody: others watch it
};

}  // namespace lab::async
