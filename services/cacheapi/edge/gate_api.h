#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "services/cacheapi/gate/step_gate.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/http/server.h"

namespace lab::cacheapi {

// How the race explorer drives the gate (bench/explore). Only with `gate.enabled`; then no deadline of a request
// counts.
//   GET  /gate                 how things stand
//   POST /gate/go?actor=R1     R1 takes the step before which it is held; 404 when it is not held
//   POST /gate/die?actor=R1    R1 dies there: no further step; its transaction is rolled back, its lease stays
//   POST /gate/watch?brand=b   feeds and pushes are held from now on in what concerns this brand (step_gate.h)
//   POST /gate/hear            answers once what Redis had told before has been heard
// Each answers as soon as nothing moves by itself any more, or after `wait_ms=` (0 … 10,000; of GET 0, else 1,000):
//   {"quiet": true, "held": [{"actor": "R1", "step": "select"}],
//    "present": [{"actor": "R1", "waits": false, "answered": false}]}
// held: who is to be told to go on. present: who has something under way; waits: for another's load. An actor that is
// present and neither moves by itself: it waits for a store, or for a row that another one has locked.
class GateApi {
 public:
  // Calls its argument when everything has been heard that Redis had told before.
  using Hear = std::function<void(absl::AnyInvocable<void()> done)>;
  GateApi(
      StepGate& gate, async::Loop& loop, Hear hear = [](absl::AnyInvocable<void()> done) { done(); });
  ~GateApi();
  GateApi(const GateApi&) = delete;
  GateApi& operator=(const GateApi&) = delete;
  void Register(http::Server& server);

 private:
  struct Waiting {
    Waiting(http::Server::Respond r, async::Loop& loop) : respond(std::move(r)), timer(loop.io()) {}
    http::Server::Respond respond;  // empty once answered
    boost::asio::steady_timer timer;
  };
  void Wait(const http::Request& request, int default_wait_ms, http::Server::Respond respond);
  void Look();    // once in a turn, however often the gate changes
  void Settle();  // answers all if it is quiet
  void Answer(Waiting& one);
  std::string Describe() const;

  StepGate& gate_;
  async::Loop& loop_;
  const Hear hear_;
  std::list<std::shared_ptr<Waiting>> waiting_;  // shared with the handlers of their timers
  bool looking_ = false;
  std::shared_ptr<bool> alive_;  // shared with handlers in flight
};

}  // namespace lab::cacheapi
