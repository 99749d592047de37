#pragma once

#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "bench/live/control.h"
#include "bench/live/hub.h"
#include "services/runtime/base/time.h"

namespace lab::bench::live {

class Pages;

// Shows a hub in a browser on this machine, and passes on what is asked for by hand. On a thread of its own, on
// loopback only. What it answers:
//
//   GET  /           the page, with the token that the POSTs below need
//   GET  /api/state  the hub's state document
//   GET  /events     the hub's events as server-sent events (WHATWG HTML, 9.2): all that are kept, or those behind
//                    Last-Event-ID; "reset" first when some of those are gone. Then what happens, as it happens.
//   POST /api/break  {"fault": "redis.pause", "for_s": 5, "options": {}} → {"id": …}; without for_s until healed
//   POST /api/heal   {"fault": "redis.pause#1"}, or {} for everything
//   POST /api/load   {"factor": 2}
//   POST /api/down   {}
//
// Against other pages in the same browser: a Host that is not this server's own (DNS rebinding) and an Origin that is
// not its own are refused, POSTs need the header X-Lab-Token and JSON, and nothing may be framed, stored or read from
// elsewhere. Against other users of this machine there is no protection beyond the token being random: whoever can
// connect to loopback can read the page.
class Server {
 public:
  struct Options {
    int port = 0;                                    // 0: a free one
    int max_clients = 16;                            // that read events; one more is answered 503
    Nanos heartbeat = std::chrono::seconds(10);      // a comment, so that a lost client is noticed
    Nanos stalled_after = std::chrono::seconds(10);  // a client that takes nothing for so long is closed
  };
  // `control` is null where nothing may be done by hand: a judged run. Both must outlive the server.
  Server(Hub& hub, Control* control, Options options);
  // Gives clients what was published, as far as they take it within half a second, breaks off what is open and waits
  // for a call of `control` that is under way.
  ~Server();

  // Once. UNAVAILABLE with the port when it cannot listen.
  absl::Status Start();
  int port() const;
  const std::string& token() const;
  std::string url() const;  // "http://127.0.0.1:4711/"

 private:
  std::unique_ptr<Pages> pages_;  // on the loop's thread once that runs
  std::thread thread_;
};

// Why nothing can be broken in a judged run; the page shows it beside its buttons.
inline constexpr char kJudged[] =
    "this run is judged, so nothing is broken by hand: ./lab up keeps a lab running for that";

}  // namespace lab::bench::live
