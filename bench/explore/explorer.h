#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/explore/search.h"
#include "bench/model/exploration.h"

namespace lab::bench::explore {

// The system under test of one variant, in which casts are explored one after the other.
struct Explored {
  std::vector<Cast> casts;  // the smaller ones first, so that the shortest schedules are the simplest
  std::function<std::unique_ptr<World>(const Cast& cast)> world;
  bool by_version = false;                            // whether stores are compared by version (race.h)
  std::function<bool()> go_on = [] { return true; };  // asked before each schedule
  std::function<void(const CastExplored&)> tell = [](const auto&) {};  // after each cast
};

// All schedules of all casts. What keeps it from being whole is its `problem`.
Exploration Explore(const Explored& explored);

// One schedule, and what is wrong with it. FAILED_PRECONDITION, ABORTED: it cannot be carried out, and why (search.h).
absl::StatusOr<Exploration> ReplayOne(const Explored& explored, const Schedule& schedule);

}  // namespace lab::bench::explore
