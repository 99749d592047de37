#include "bench/load/engine.h"

#include <time.h>

#include <algorithm>
#include <utility>

#include "bench/load/codes.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kFarthestStartNs = 60 * kSecond;
constexpr int64_t kAfterStopNs = 500 * kMillisecond;
constexpr int64_t kStarveSliceNs = 100 * kMillisecond;
constexpr int64_t kClosedPauseNs = kMillisecond;  // of a closed client whose call could not be made
// Turns that send begin at least this far apart, farther at high rates, where each sends several arrivals: they share a
// wake-up and a write, and are late by at most this much because of it. Without it a call costs twice the CPU.
constexpr int64_t kSendGapNs = 100'000;
constexpr int64_t kLongestSendGapNs = 250'000;
constexpr int64_t kSendGapPerArrivalNs = 25'000;
constexpr int64_t kShortestSleepNs = 5'000;  // less than a sleep costs: look again instead
// When the next arrival is this near, answers do not end the sleep: they are read after it, and the kernel has noted
// when they came (link.cc). That saves wake-ups, which are what a call costs most. Not longer: of two answers that came
// to one connection within a sleep, both get the time of the later.
constexpr int64_t kDeafSleepNs = 500'000;
constexpr size_t kMostATurn = 256;  // arrivals of a load, before answers are looked at

int64_t UnixNow() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

void SleepFor(int64_t ns) {
  const timespec length{ns / kSecond, ns % kSecond};
  nanosleep(&length, nullptr);
}

}  // namespace

Engine::Engine(Generator::Options options) : options_(std::move(options)) {}

void Engine::Begin() {
  const int64_t monotonic = MonotonicNow();
  const int64_t unix_now = UnixNow();
  started_unix_ns_ = options_.start_unix_ns > 0 ? options_.start_unix_ns : unix_now;
  start_ = monotonic + (started_unix_ns_ - unix_now);
  next_second_ = kSecond;
}

absl::Status Engine::Run() {
  Begin();
  if (-Now() > kFarthestStartNs) return absl::InvalidArgumentError("the start lies more than a minute ahead");
  while (true) {
    int64_t now = Now();
    if (stop_.load(std::memory_order_relaxed)) {
      stop_deadline_ = std::min(stop_deadline_, now + kAfterStopNs);
    } else {
      TakeRateFactor(now);
      SendDue(now);
    }
    Expire(now);
    SendAgain(now);
    Flush();
    TellSecond(now);
    ReopenLinks();
    if (options_.starve > 0) Starve(now);
    poller_.Wait(0);
    now = Now();
    if (Finished(now)) break;
    if (now > last_possible_end_) {
      status_ = absl::InternalError("the load did not end: operations are left that neither ended nor timed out");
      break;
    }
    SleepUntil(NextWake(now), now);
  }
  AbandonInFlight(Now());
  return status_;
}

void Engine::Stop() {
  stop_.store(true);
  poller_.Wake();
}

void Engine::SetRateFactor(double factor) {
  rate_factor_.store(factor);
  poller_.Wake();
}

void Engine::TakeRateFactor(int64_t now) {
  const double factor = rate_factor_.load(std::memory_order_relaxed);
  if (factor == taken_factor_) return;
  taken_factor_ = factor;
  for (ActiveLoad& load : loads_) {
    if (load.endless) load.endless->SetFactor(factor, now);
  }
}

void Engine::SendDue(int64_t now) {
  if (now < next_send_turn_) return;
  int64_t sent = 0;
  bool behind = false;
  for (ActiveLoad& load : loads_) {
    if (load.closed()) {
      SendClosed(load, now);
      continue;
    }
    size_t of_load = 0;
    for (; of_load < kMostATurn; ++of_load) {
      const Arrival* arrival = load.due();
      if (arrival == nullptr || arrival->intended_ns > now) break;
      for (Lane& lane : load.lanes) SendOne(load, lane, arrival->intended_ns, arrival->key, now);
      load.Advance();
    }
    sent += static_cast<int64_t>(of_load);
    behind |= of_load == kMostATurn && load.due() != nullptr;
  }
  // Whoever is behind goes on at once; the gap is for those that are on time.
  if (sent > 0 && !behind)
    next_send_turn_ = now + std::clamp(sent * kSendGapPerArrivalNs, kSendGapNs, kLongestSendGapNs);
}

void Engine::SendClosed(ActiveLoad& load, int64_t now) {
  if (now >= end_) return;
  for (Lane& lane : load.lanes) {
    auto& ready_at = lane.closed->ready_at;
    while (!ready_at.empty() && ready_at.top() <= now) {
      if (ops_ >= options_.max_ops) {
        status_ = absl::ResourceExhaustedError(
            Concat("the closed loop \"", load.spec->name, "\" reached the bound of ", options_.max_ops, " operations"));
        stop_.store(true);
        return;
      }
      const int64_t intended = ready_at.top();
      ready_at.pop();
      SendOne(load, lane, intended, lane.closed->keys.Next(), now);
    }
  }
}

void Engine::SendOne(ActiveLoad& load, Lane& lane, int64_t intended, uint32_t key, int64_t now) {
  window_.Offered();
  ++ops_;
  const uint64_t number = load.begun++ / load.lanes.size();  // lanes ask the same
  Question question;
  if (lane.mixture.question) question = lane.mixture.question(Mix(load.questions + number));
  const size_t place = load.ops.Begin();
  Op& op = load.ops[place];
  op.intended_ns = intended;
  op.key = key;
  op.stream = lane.stream;
  op.session = question.session & kMostSessions;
  op.ask = question.ask;
  auto sent = Driver::Sent::kNoRoom;
  const bool too_late = now - intended > load.timeout_ns;
  if (!too_late && load.in_flight.size() < static_cast<size_t>(load.spec->max_in_flight)) {
    Call& call = calls_.Take();
    call.request = question.ask == Ask::kRead ? lane.requests.For(key, &call.own_request)
                                              : SpecialRequest(load, lane, key, question, number, call);
    call.op = place;
    call.stream = lane.stream;
    call.load = load.index;
    call.patience_from = intended;
    sent = load.driver->Send(call);
    if (sent == Driver::Sent::kYes) {
      load.retries.FirstAttempt();
      load.in_flight.Append(call);
      unstamped_.push_back(&call);
      return;
    }
    calls_.Give(call);
  }
  if (sent == Driver::Sent::kNoConnection) {
    op.sent_ns = op.done_ns = now;
    op.outcome = Outcome::kFailed;
    op.code = grpc_code::kUnavailable;
    window_.Ended(op);
  } else {
    ++dropped_;
    window_.Dropped();
  }
  load.ops.End(place);
  ClientIsFree(load, lane.stream, now, false);
}

// Written for this call alone: who asks, or the write's own name, is in it.
std::string_view Engine::SpecialRequest(const ActiveLoad& load, const Lane& lane, uint32_t key,
                                        const Question& question, uint64_t number, Call& call) const {
  const std::string unique = Concat("lab-", load.unique, "-", load.index, "-", lane.stream, "-", number);
  call.own_request = FrameRequest(load.target->protocol, load.target->path, lane.mixture.write(key, question, unique));
  return call.own_request;
}

void Engine::Flush() {
  if (!unstamped_.empty()) {
    const int64_t now = Now();
    for (const Call* call : unstamped_) {
      Op& op = loads_[call->load].ops[call->op];
      op.sent_ns = now;
      lag_.Add(op.lag_ns());
      window_.Sent(op.lag_ns(), now);
    }
    unstamped_.clear();
  }
  for (auto& [name, driver] : drivers_) driver->Flush();
}

void Engine::Expire(int64_t now) {
  for (ActiveLoad& load : loads_) {
    while (Call* call = load.in_flight.first()) {
      if (call->patience_from + load.timeout_ns > now) break;
      // Sent in this very turn: it is stamped first.
      if (!unstamped_.empty()) Flush();
      if (load.in_flight.first() != call) continue;
      load.driver->Forget(*call);
      Complete(*call, now, {Outcome::kUnknown},
               load.target->protocol == Protocol::kGrpc ? grpc_code::kDeadlineExceeded : 0);
    }
  }
}

void Engine::Ended(Call& call, Ending ending, int code, std::string_view body, int64_t at) {
  Reading reading;
  switch (ending) {
    case Ending::kAnswered:
      reading = ReadAnswer(call, code, body);
      break;
    case Ending::kRefused:
      reading.outcome = Outcome::kFailed;
      break;
    case Ending::kLost:
      reading.outcome = Outcome::kUnknown;
      break;
  }
  Complete(call, at - start_, reading, code);
}

Reading Engine::ReadAnswer(const Call& call, int code, std::string_view body) {
  const ActiveLoad& load = loads_[call.load];
  const bool http = load.target->protocol == Protocol::kHttp;
  // A server that answers DEADLINE_EXCEEDED gave up on something that may still happen.
  if (!http && code == grpc_code::kDeadlineExceeded) return {Outcome::kUnknown};
  return load.target->read({code, body, http ? call.head : "", call.request, load.ops[call.op].ask});
}

void Engine::Complete(Call& call, int64_t done, const Reading& reading, int code) {
  ActiveLoad& load = loads_[call.load];
  Op& op = load.ops[call.op];
  op.done_ns = std::max(done, op.sent_ns);
  op.outcome = reading.outcome;
  op.answer = reading.answer;
  op.version = reading.version;
  op.code = static_cast<uint16_t>(code);
  load.in_flight.Remove(call);
  const bool again = op.outcome != Outcome::kOk && op.attempts < load.spec->retries.attempts && !stop_.load() &&
                     load.retries.MayRetry();
  if (again) {
    again_.push_back(&call);
  } else {
    Finish(call);
  }
}

// Not from within Ended: the connection that has just been lost, or is about to close, would be taken.
void Engine::SendAgain(int64_t now) {
  for (Call* call : again_) {
    ActiveLoad& load = loads_[call->load];
    if (stop_.load() || load.driver->Send(*call) != Driver::Sent::kYes) {
      Finish(*call);
      continue;
    }
    ++load.ops[call->op].attempts;
    call->patience_from = now;
    load.in_flight.Append(*call);
  }
  again_.clear();
}

void Engine::Finish(Call& call) {
  ActiveLoad& load = loads_[call.load];
  const Op& op = load.ops[call.op];
  const uint16_t stream = op.stream;
  const int64_t done = op.done_ns;
  const bool ok = op.outcome == Outcome::kOk;
  window_.Ended(op);
  window_.Left(done);
  load.ops.End(call.op);
  calls_.Give(call);
  ClientIsFree(load, stream, done, ok);
}

void Engine::ClientIsFree(ActiveLoad& load, uint16_t stream, int64_t at, bool ok) {
  if (!load.closed()) return;
  Lane& lane = load.lanes[stream - load.lanes.front().stream];
  lane.closed->ready_at.push(at + std::max(load.spec->think.count(), ok ? 0 : kClosedPauseNs));
}

void Engine::TellSecond(int64_t now) {
  if (now < next_second_) return;
  next_second_ = now - now % kSecond + kSecond;
  const LiveLoad live = window_.Close(now, in_flight());
  if (options_.on_second) options_.on_second(live);
}

void Engine::ReopenLinks() {
  for (auto& [name, driver] : drivers_) {
    if (driver->next_timer() == INT64_MAX) continue;
    driver->OnTimer(MonotonicNow());
  }
}

void Engine::Starve(int64_t now) {
  const double share = std::clamp(options_.starve, 0.0, 1.0);
  if (now - slice_begin_ < static_cast<int64_t>((1 - share) * kStarveSliceNs)) return;
  SleepFor(static_cast<int64_t>(share * kStarveSliceNs));
  slice_begin_ = Now();
}

int64_t Engine::NextArrival(int64_t now) const {
  int64_t next = INT64_MAX;
  for (const ActiveLoad& load : loads_) {
    if (!load.closed()) {
      if (const Arrival* arrival = load.due()) next = std::min(next, arrival->intended_ns);
      continue;
    }
    if (now >= end_) continue;
    for (const Lane& lane : load.lanes) {
      if (!lane.closed->ready_at.empty()) next = std::min(next, lane.closed->ready_at.top());
    }
  }
  return next;
}

int64_t Engine::NextWake(int64_t now) const {
  if (!again_.empty()) return now;
  int64_t wake = std::min(next_second_, stop_deadline_);
  if (now < end_) wake = std::min(wake, end_);
  const int64_t arrival = NextArrival(now);
  if (stop_deadline_ == INT64_MAX && arrival != INT64_MAX) {
    wake = std::min(wake, std::max(arrival, next_send_turn_));
  }
  for (const ActiveLoad& load : loads_) {
    const Call* first = load.in_flight.first();
    if (first != nullptr) wake = std::min(wake, first->patience_from + load.timeout_ns);
  }
  for (const auto& [name, driver] : drivers_) {
    const int64_t timer = driver->next_timer();
    if (timer != INT64_MAX) wake = std::min(wake, timer - start_);
  }
  return wake;
}

void Engine::SleepUntil(int64_t wake, int64_t now) {
  const int64_t length = wake - now;
  if (length < kShortestSleepNs) return;
  // The clients of a closed loop wait for answers.
  const bool closed = std::any_of(loads_.begin(), loads_.end(), [](const ActiveLoad& load) { return load.closed(); });
  if (length > kDeafSleepNs || closed) {
    poller_.Wait(length);
  } else {
    poller_.Sleep(length);
  }
}

bool Engine::Finished(int64_t now) const {
  if (now >= stop_deadline_) return true;
  const bool idle = in_flight() == 0;
  if (stop_deadline_ != INT64_MAX) return idle;
  const bool sent =
      std::all_of(loads_.begin(), loads_.end(), [](const ActiveLoad& load) { return load.due() == nullptr; });
  return idle && sent && now >= end_;
}

size_t Engine::in_flight() const {
  size_t sum = again_.size();
  for (const ActiveLoad& load : loads_) sum += load.in_flight.size();
  return sum;
}

void Engine::AbandonInFlight(int64_t now) {
  stop_.store(true);  // nothing is sent again
  SendAgain(now);
  for (ActiveLoad& load : loads_) {
    while (Call* call = load.in_flight.first()) {
      load.driver->Forget(*call);
      Complete(*call, now, {Outcome::kUnknown}, 0);
    }
  }
}

std::vector<Op> Engine::TakeOps() {
  std::vector<Op> all;
  for (ActiveLoad& load : loads_) {
    std::vector<Op> ops = load.ops.Take();
    if (all.empty()) {
      all = std::move(ops);
    } else {
      all.insert(all.end(), ops.begin(), ops.end());
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const Op& a, const Op& b) { return a.intended_ns < b.intended_ns; });
  return all;
}

}  // namespace lab::bench
