#include "services/ratelimit/redis_store.h"

#include <algorithm>
#include <array>
#include <utility>

namespace lab::ratelimit {

extern const char kDecideScript[];  // decide.lua, made into a string by the build

namespace {

constexpr uint64_t kMarginMs = 1'000;          // a state outlives its worth by this, for clocks that step back
constexpr uint64_t kReplayMarginMs = 600'000;  // replays run at another pace than the server's clock
constexpr uint64_t kCountsRejected = 6;        // decide.lua's kind of the broken sliding counter
constexpr size_t kNumbersALimit = 5;
constexpr size_t kLimitsAt = 4;  // place of the first limit in the script's array, from 1

uint64_t Kind(const Limit& limit) {
  return limit.count_rejected && limit.algorithm == Algorithm::kSlidingCounter ? kCountsRejected
                                                                               : static_cast<uint64_t>(limit.algorithm);
}

// Numbers a state takes in the reply, by algorithm.
size_t Width(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kGcra:
      return 1;
    case Algorithm::kFixedWindow:
    case Algorithm::kTokenBucket:
      return 2;
    case Algorithm::kSlidingLog:
    case Algorithm::kSlidingCounter:
      break;
  }
  return 3;
}

State ToState(Algorithm algorithm, const double* numbers) {
  const auto integer = [&](size_t i) { return static_cast<int64_t>(numbers[i]); };
  State state;
  switch (algorithm) {
    case Algorithm::kFixedWindow:
      state.fixed_window = {integer(0), integer(1)};
      break;
    case Algorithm::kSlidingLog:
      state.sliding_log = {integer(0), integer(1), integer(2)};
      break;
    case Algorithm::kSlidingCounter:
      state.sliding_counter = {integer(0), integer(1), integer(2)};
      break;
    case Algorithm::kTokenBucket:
      state.token_bucket = {numbers[0], integer(1)};
      break;
    case Algorithm::kGcra:
      state.gcra = {integer(0)};
      break;
  }
  return state;
}

// Fills the batch from the script's numbers; false when they are not the answer to it.
bool ReadReply(const std::vector<double>& numbers, Batch& batch) {
  if (numbers.empty()) return false;
  size_t at = 1;
  batch.now = static_cast<UnixMicros>(numbers[0]);
  batch.states.clear();
  for (const Term& term : batch.terms) {
    const size_t width = Width(term.limit->algorithm);
    if (at + width > numbers.size()) return false;
    batch.states.push_back(ToState(term.limit->algorithm, &numbers[at]));
    at += width;
  }
  return at == numbers.size();
}

}  // namespace

RedisStore::RedisStore(redis::Client& client) : client_(client), script_(kDecideScript, "decide") {}

void RedisStore::Encode(const Batch& batch) {
  limits_.clear();
  for (const Term& term : batch.terms) {
    if (std::find(limits_.rbegin(), limits_.rend(), term.limit) == limits_.rend()) limits_.push_back(term.limit);
  }
  numbers_.Clear();
  numbers_.Add(static_cast<uint64_t>(batch.now));
  numbers_.Add(batch.now == 0 ? kMarginMs : kReplayMarginMs);
  numbers_.Add(limits_.size());
  for (const Limit* limit : limits_) {
    numbers_.Add(Kind(*limit));
    numbers_.Add(static_cast<uint64_t>(limit->window_us));
    numbers_.Add(limit->requests);
    numbers_.Add(limit->burst);
    numbers_.Add(static_cast<uint64_t>(limit->algorithm == Algorithm::kGcra ? limit->interval_ticks : limit->fill_us));
  }
  numbers_.Add(batch.groups.size());
  for (const Batch::Group& group : batch.groups) {
    numbers_.Add(group.count);
    numbers_.Add(group.size);
    for (uint32_t i = group.first; i < group.first + group.size; ++i) {
      const Term& term = batch.terms[i];
      const auto place = static_cast<size_t>(std::find(limits_.begin(), limits_.end(), term.limit) - limits_.begin());
      numbers_.Add(kLimitsAt + kNumbersALimit * place);
      numbers_.Add(term.hits);
      numbers_.Add(term.shadow ? 1 : 0);
    }
  }
}

void RedisStore::Run(Batch& batch, Done done) {
  Encode(batch);
  keys_.clear();
  for (size_t i = 0; i < batch.keys.size(); ++i) keys_.push_back(batch.key(i));
  const std::array<std::string_view, 1> arguments = {numbers_.Finish()};
  client_.Eval(script_, keys_, arguments,
               [this, &batch, done = std::move(done)](absl::StatusOr<redis::Reply> reply) mutable {
                 if (!reply.ok()) return done(reply.status());
                 const bool read = ReadNumbers(reply->text(), reply_) && ReadReply(reply_, batch);
                 done(read ? absl::OkStatus() : absl::InternalError("not a reply of decide.lua"));
               });
}

}  // namespace lab::ratelimit
