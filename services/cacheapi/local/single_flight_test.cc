#include "services/cacheapi/local/single_flight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/runtime/base/random.h"

namespace lab::cacheapi {
namespace {

using testing::ElementsAre;
using Role = SingleFlight::Role;
using Outcome = SingleFlight::Outcome;

Value MakeValue(std::string body, uint64_t version = 0) {
  Value value;
  value.body = std::move(body);
  value.version = version;
  return value;
}

struct Request : SingleFlight::Waiter {
  Request() = default;
  explicit Request(std::function<void(const Outcome&)> then) : then_(std::move(then)) {}
  void Done(const Outcome& outcome) override {
    answers.push_back(outcome.ok() ? outcome->body : "failed");
    if (then_) then_(outcome);
  }
  std::vector<std::string> answers;
  std::function<void(const Outcome&)> then_;
};

TEST(SingleFlightTest, OneLoadsAndAllGetIt) {
  SingleFlight flights({});
  Request a, b, c, other;
  SingleFlight::Joined lead = flights.Join("k", a);
  EXPECT_EQ(lead.role, Role::kLeads);
  EXPECT_EQ(flights.Join("k", b).role, Role::kWaits);
  EXPECT_EQ(flights.Join("k", c).role, Role::kWaits);
  SingleFlight::Joined second = flights.Join("other", other);
  EXPECT_EQ(second.role, Role::kLeads);
  EXPECT_EQ(flights.waiters(), 4u);
  lead.lead.Finish(MakeValue("v"));
  EXPECT_THAT(a.answers, ElementsAre("v"));
  EXPECT_THAT(b.answers, ElementsAre("v"));
  EXPECT_THAT(c.answers, ElementsAre("v"));
  EXPECT_TRUE(other.waiting());
  EXPECT_EQ(flights.flights(), 1u);
  EXPECT_EQ(flights.waiters(), 1u);
  Request d;
  EXPECT_EQ(flights.Join("k", d).role, Role::kLeads) << "the flight has ended";
}

// What will do meanwhile ends no flight: one load, however many ask while it lasts.
TEST(SingleFlightTest, AnOfferIsTakenByWhoWaitsAndFoundByWhoComes) {
  SingleFlight flights({});
  Request a, b, c, d;
  SingleFlight::Joined lead = flights.Join("k", a);
  EXPECT_EQ(lead.offered, nullptr);
  EXPECT_EQ(flights.Join("k", b).offered, nullptr);
  lead.lead.Offer(MakeValue("old"));
  EXPECT_THAT(a.answers, ElementsAre("old"));
  EXPECT_THAT(b.answers, ElementsAre("old"));
  EXPECT_TRUE(lead.lead.current());
  EXPECT_EQ(lead.lead.waiters(), 0u);
  const SingleFlight::Joined late = flights.Join("k", c);
  EXPECT_EQ(late.role, Role::kWaits);
  ASSERT_NE(late.offered, nullptr);
  EXPECT_EQ((*late.offered)->body, "old");
  lead.lead.Finish(MakeValue("new"));
  EXPECT_THAT(c.answers, ElementsAre("new")) << "who did not want it";
  EXPECT_THAT(a.answers, ElementsAre("old"));
  EXPECT_EQ(flights.Join("k", d).offered, nullptr) << "of another flight";
}

TEST(SingleFlightTest, NobodyIsOfferedWhatAnInvalidationHasOvertaken) {
  SingleFlight flights({});
  Request a, b;
  SingleFlight::Joined lead = flights.Join("k", a);
  lead.lead.Offer(MakeValue("old"));
  flights.Detach("k");
  EXPECT_EQ(flights.Join("k", b).role, Role::kLeads);
}

TEST(SingleFlightTest, WhoJoinsAgainWhenOfferedIsToldOnce) {
  SingleFlight flights({});
  Request* again = nullptr;
  Request a([&](const Outcome& outcome) {
    if (outcome->body == "old") flights.Join("k", *again);
  });
  again = &a;
  SingleFlight::Joined lead = flights.Join("k", a);
  lead.lead.Offer(MakeValue("old"));
  EXPECT_THAT(a.answers, ElementsAre("old"));
  EXPECT_TRUE(a.waiting());
  lead.lead.Finish(MakeValue("new"));
  EXPECT_THAT(a.answers, ElementsAre("old", "new"));
}

TEST(SingleFlightTest, WhoIsOfferedMayEndTheFlight) {
  SingleFlight flights({});
  SingleFlight::Joined lead;
  Request a([&](const Outcome&) { flights.FailAll(absl::UnavailableError("over")); }), b;
  lead = flights.Join("k", a);
  flights.Join("k", b);
  lead.lead.Offer(MakeValue("old"));
  EXPECT_THAT(a.answers, ElementsAre("old"));
  EXPECT_THAT(b.answers, ElementsAre("old"));
  lead.lead.Offer(MakeValue("older"));
  EXPECT_EQ(flights.flights(), 0u);
  EXPECT_EQ(flights.waiters(), 0u);
}

TEST(SingleFlightTest, AFailureFailsAllOnce) {
  SingleFlight flights({});
  Request a, b;
  SingleFlight::Joined lead = flights.Join("k", a);
  flights.Join("k", b);
  lead.lead.Finish(absl::UnavailableError("no store"));
  EXPECT_THAT(a.answers, ElementsAre("failed"));
  EXPECT_THAT(b.answers, ElementsAre("failed"));
}

TEST(SingleFlightTest, ADroppedLeadFailsThoseWhoWaitAndFreesTheKey) {
  SingleFlight flights({});
  Request a, b;
  {
    const SingleFlight::Joined lead = flights.Join("k", a);
    flights.Join("k", b);
  }
  EXPECT_THAT(a.answers, ElementsAre("failed"));
  EXPECT_THAT(b.answers, ElementsAre("failed"));
  EXPECT_EQ(flights.Join("k", a).role, Role::kLeads);
}

TEST(SingleFlightTest, ALeadMayBeMovedAndFinishesOnce) {
  SingleFlight flights({});
  Request a;
  SingleFlight::Lead kept;
  EXPECT_FALSE(kept);
  {
    SingleFlight::Joined joined = flights.Join("k", a);
    kept = std::move(joined.lead);
  }
  EXPECT_TRUE(a.answers.empty());
  EXPECT_TRUE(kept);
  kept.Finish(MakeValue("v"));
  kept.Finish(MakeValue("w"));
  EXPECT_FALSE(kept);
  EXPECT_THAT(a.answers, ElementsAre("v"));
}

// Race 10: R1 loads v1; W commits v2 and invalidates; R2, who asks after the write, must not be given v1.
TEST(SingleFlightTest, WhoComesAfterAnInvalidationIsNotGivenTheOldLoad) {
  SingleFlight flights({});
  Request before, after, later;
  SingleFlight::Joined old_load = flights.Join("k", before);
  EXPECT_TRUE(old_load.lead.current());
  EXPECT_TRUE(flights.Detach("k"));
  EXPECT_FALSE(flights.Detach("k")) << "nothing is left to detach";
  EXPECT_FALSE(old_load.lead.current()) << "what it brings must not be cached";
  SingleFlight::Joined new_load = flights.Join("k", after);
  EXPECT_EQ(new_load.role, Role::kLeads);
  EXPECT_EQ(flights.Join("k", later).role, Role::kWaits);
  EXPECT_EQ(flights.flights(), 2u);
  old_load.lead.Finish(MakeValue("v1"));
  EXPECT_THAT(before.answers, ElementsAre("v1"));
  EXPECT_TRUE(after.answers.empty());
  Request still;
  EXPECT_EQ(flights.Join("k", still).role, Role::kWaits) << "the end of the old one must not end the new one";
  new_load.lead.Finish(MakeValue("v2"));
  EXPECT_THAT(after.answers, ElementsAre("v2"));
  EXPECT_THAT(later.answers, ElementsAre("v2"));
  EXPECT_THAT(still.answers, ElementsAre("v2"));
}

TEST(SingleFlightTest, DetachAllDetachesEveryKey) {
  SingleFlight flights({});
  Request a, b, c;
  const SingleFlight::Joined first = flights.Join("a", a), second = flights.Join("b", b);
  flights.DetachAll();
  EXPECT_FALSE(first.lead.current());
  EXPECT_FALSE(second.lead.current());
  const SingleFlight::Joined third = flights.Join("a", c);
  EXPECT_EQ(third.role, Role::kLeads);
}

TEST(SingleFlightTest, WhoLeavesIsNotCalled) {
  SingleFlight flights({});
  Request a, b;
  SingleFlight::Joined lead = flights.Join("k", a);
  {
    Request gone;
    flights.Join("k", gone);
    flights.Join("k", b);
  }
  a.Leave();
  a.Leave();
  EXPECT_EQ(flights.waiters(), 1u);
  lead.lead.Finish(MakeValue("v"));
  EXPECT_TRUE(a.answers.empty()) << "its deadline had passed; its load served the other";
  EXPECT_THAT(b.answers, ElementsAre("v"));
}

TEST(SingleFlightTest, IsBounded) {
  SingleFlight flights({.max_flights = 2, .max_waiters = 2});
  Request a, b, c, d, e;
  const SingleFlight::Joined one = flights.Join("a", a), two = flights.Join("b", b);
  EXPECT_EQ(flights.Join("c", c).role, Role::kRefused);
  EXPECT_FALSE(c.waiting());
  EXPECT_EQ(flights.Join("a", c).role, Role::kWaits);
  EXPECT_EQ(flights.Join("a", d).role, Role::kRefused);
  flights.Detach("a");
  EXPECT_EQ(flights.Join("a", e).role, Role::kRefused) << "detached loads count: they use the origin as well";
}

TEST(SingleFlightTest, FailAllFailsThoseWhoWaitAndLaterOutcomesReachNobody) {
  SingleFlight flights({});
  std::vector<std::string> order;
  Request a([&](const Outcome&) { order.push_back("a"); }), b([&](const Outcome&) { order.push_back("b"); });
  Request again([&](const Outcome&) { order.push_back("again"); });
  Request c([&](const Outcome& outcome) {
    order.push_back("c");
    EXPECT_EQ(outcome.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(flights.Join("k", again).role, Role::kLeads) << "dropped at once, so it fails at once";
  });
  SingleFlight::Joined first = flights.Join("k", a);
  flights.Join("k", b);
  flights.Detach("k");
  SingleFlight::Joined second = flights.Join("k", c);
  flights.FailAll(absl::UnavailableError("stopping"));
  EXPECT_THAT(order, ElementsAre("a", "b", "c", "again"));
  first.lead.Finish(MakeValue("v"));
  second.lead.Finish(MakeValue("v"));
  EXPECT_THAT(a.answers, ElementsAre("failed"));
  EXPECT_THAT(c.answers, ElementsAre("failed"));
  EXPECT_EQ(flights.flights(), 0u);
}

TEST(SingleFlightTest, ACallbackMayJoinAgainAndEndOthers) {
  SingleFlight flights({});
  SingleFlight::Joined next;
  auto victim = std::make_unique<Request>();
  Request a([&](const Outcome&) {
    victim.reset();
    if (!next.lead) next = flights.Join("k", a);
  });
  Request b;
  SingleFlight::Joined lead = flights.Join("k", a);
  flights.Join("k", *victim);
  flights.Join("k", b);
  lead.lead.Finish(MakeValue("v1"));
  EXPECT_EQ(next.role, Role::kLeads);
  EXPECT_THAT(b.answers, ElementsAre("v1"));
  next.lead.Finish(MakeValue("v2"));
  EXPECT_THAT(a.answers, ElementsAre("v1", "v2"));
}

// As in the callback of a store that is dropped when everything ends.
TEST(SingleFlightTest, ALeadMayOutliveTheFlights) {
  Request a;
  SingleFlight::Lead kept, finished;
  {
    SingleFlight flights({});
    Request b;
    kept = std::move(flights.Join("k", a).lead);
    finished = std::move(flights.Join("other", b).lead);
  }
  EXPECT_FALSE(kept.current());
  finished.Finish(MakeValue("late"));
  kept = SingleFlight::Lead();
  EXPECT_TRUE(a.answers.empty());
}

TEST(SingleFlightTest, EndsWithoutCallingAnybody) {
  Request a;
  {
    SingleFlight flights({});
    SingleFlight::Joined lead = flights.Join("k", a);
    a.Leave();
    Request b;
    flights.Join("k", b);
    b.Leave();
    lead.lead.Finish(MakeValue("v"));
  }
  EXPECT_TRUE(a.answers.empty());
  EXPECT_FALSE(a.waiting());
}

// Random joins, ends, losses, invalidations: each answered at most once, never with a version older than the last
// invalidation before its request, and with one current load a key at most.
TEST(SingleFlightTest, RandomSchedulesKeepThePromise) {
  struct Load {
    std::string key;
    uint64_t version;
    SingleFlight::Lead lead;
  };
  struct Asked {
    std::string key;
    uint64_t least;
    bool answered = false;
    std::unique_ptr<Request> request;
  };
  uint64_t shared = 0, detached = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Random random(seed);
    SingleFlight flights({.max_flights = 20, .max_waiters = 5});
    std::map<std::string, uint64_t> version;
    std::vector<Load> loads;
    std::vector<std::unique_ptr<Asked>> asked;
    for (int step = 0; step < 2'000; ++step) {
      const std::string key(1, static_cast<char>('a' + random.Below(4)));
      const uint64_t dice = random.Below(10);
      if (dice < 5) {
        auto one = std::make_unique<Asked>();
        Asked* const it = one.get();
        one->key = key;
        one->least = version[key];
        one->request = std::make_unique<Request>([it](const Outcome& outcome) {
          EXPECT_FALSE(it->answered);
          it->answered = true;
          if (outcome.ok()) {
            EXPECT_GE(outcome->version, it->least);
          }
        });
        SingleFlight::Joined joined = flights.Join(key, *one->request);
        shared += joined.role == Role::kWaits ? 1 : 0;
        if (joined.role == Role::kLeads) loads.push_back({key, version[key], std::move(joined.lead)});
        asked.push_back(std::move(one));
      } else if (dice < 7) {
        ++version[key];
        detached += flights.Detach(key) ? 1 : 0;
      } else if (dice == 7 && !asked.empty()) {
        asked[random.Below(asked.size())]->request->Leave();
      } else if (!loads.empty()) {
        std::swap(loads[random.Below(loads.size())], loads.back());
        if (dice == 8) {
          loads.back().lead.Finish(MakeValue("v", loads.back().version));
        }
        loads.pop_back();
      }
    }
    loads.clear();
    EXPECT_EQ(flights.flights(), 0u);
    EXPECT_EQ(flights.waiters(), 0u);
  }
  EXPECT_GT(shared, 1'000u);
  EXPECT_GT(detached, 1'000u);
}

}  // namespace
}  // namespace lab::cacheapi
