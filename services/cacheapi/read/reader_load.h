#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "services/cacheapi/read/reader.h"

// The inside of Reader, for reader.cc and reader_modes.cc only.
namespace lab::cacheapi {

struct Reader::Metrics {
  explicit Metrics(obs::Metrics& m);
  std::array<obs::Counter*, 7> answers;  // by Via
  obs::Counter &stored, &refused, &failed, &lease_waits, &abandoned;
  std::array<obs::Counter*, 2> refreshes;
};

// One that waits for a load.
struct Reader::Request : SingleFlight::Waiter {
  Request(Reader& r, std::string_view b, std::string k, Reader::Done d)
      : reader(r), brand(b), key(std::move(k)), done(std::move(d)), timer(r.parts_.loop.io()) {}
  void Done(const SingleFlight::Outcome& outcome) override {
    // Somebody else's load may end with what is stale.
    const bool stale =
        outcome.ok() && outcome->fresh_until != Clock::time_point{} && outcome->fresh_until <= Clock::now();
    Tell(outcome, via == Via::kCoalesced && stale ? Via::kStale : via);
  }
  void Tell(const SingleFlight::Outcome& outcome, Via how);

  Reader& reader;
  const std::string brand, key;
  Reader::Done done;  // empty once told
  Via via = Via::kCoalesced;
  bool counted = true;  // false of a refresh
  boost::asio::steady_timer timer;
  std::string actor;  // for the gate
  StepGate::Presence presence;
  std::weak_ptr<Load> load;         // that it began
  std::shared_ptr<Request> shared;  // itself, while it waits
};

// One way through L2 and the database.
struct Reader::Load {
  explicit Load(async::Loop& loop) : timer(loop.io()) {}
  // Who began it is not left waiting when it goes without an end (its actor has died).
  ~Load() {
    const std::shared_ptr<Request> waiting = ended || lead ? nullptr : first.lock();
    if (waiting != nullptr) waiting->Tell(absl::AbortedError("the load was given up"), Via::kError);
  }

  std::string brand, key, actor;
  std::string stored;  // its name in L2: the key, or one made of it (version, copy)
  Window window = kDefaultWindow;
  Clock::time_point deadline{};
  bool refresh = false;          // before its time, or of what is stale
  bool beside = false;           // of no user
  FillToken fill;                // of L1
  SingleFlight::Lead lead;       // of who wait; empty without single flight, or once they have been told
  std::weak_ptr<Request> first;  // who began it
  SharedCache::Token lease;
  std::optional<uint64_t> version;   // with versioned keys: that L2 was asked for
  SharedCache::Token version_lease;  // with versioned keys: the duty to say which there is
  FillToken version_fill;            // the same, from before anything was read: of what this process goes by
  std::optional<Value> stale;
  bool shared_failed = false;
  bool offered = false;  // all who waited have been given something; it goes on for who comes later
  bool ended = false;
  int waits = 0;
  boost::asio::steady_timer timer;
  StepGate::Presence presence;
};

}  // namespace lab::cacheapi
