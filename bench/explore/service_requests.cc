#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/explore/service_actor.h"
#include "services/runtime/base/text.h"

// ServiceWorld: what actors ask, what they are answered, what is served at rest, and how a schedule is given up.
namespace lab::bench::explore {
namespace {

constexpr Micros kLookAgain{200};
constexpr Millis kDeadlock{700};  // nobody moves, and somebody waits for a lock

int64_t NumberOf(const nlohmann::json& json, const char* key) {
  if (!json.is_object()) return 0;
  const auto found = json.find(key);
  return found != json.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

std::string HowOf(const HttpReply& reply) {
  const auto cache = reply.headers.find("x-cache"), tier = reply.headers.find("x-cache-tier");
  if (cache == reply.headers.end()) return "";
  return tier == reply.headers.end() ? cache->second : Concat(cache->second, " ", tier->second);
}

bool InL1(const HttpReply& reply) {
  const auto tier = reply.headers.find("x-cache-tier");
  return tier != reply.headers.end() && tier->second == "l1";
}

}  // namespace

HttpRequest ServiceWorld::RequestOf(const Actor& actor) const {
  HttpRequest request;
  request.headers = {{"X-Actor", actor.spec.name}};
  if (actor.spec.makes) {
    request.method = "POST";
    request.path = "/v1/brands";
    request.body = Concat("{\"id\":\"", brand_, "\",\"name\":\"", brand_, "\"}");
  } else if (actor.spec.writes) {
    request.method = "PUT";
    request.path = Concat("/v1/brands/", brand_, "/correction");
    request.body = Concat("{\"posts\":", actor.posts, "}");
    request.headers.emplace_back("Idempotency-Key", Concat(brand_, "-", actor.spec.name));
  } else {
    request.path = Concat("/v1/brands/", brand_, "/insights");
  }
  return request;
}

absl::Status ServiceWorld::Send(Actor& actor) {
  actor.sent = true;
  return actor.line.Send(RequestOf(actor), Clock::now() + kPatience);
}

// Until the service has taken the request up: it is under way there, or has been answered.
absl::Status ServiceWorld::AwaitArrival(Actor& actor, bool held) {
  const Clock::time_point end = Clock::now() + kPatience;
  const auto replica = static_cast<size_t>(actor.spec.replica);
  while (Clock::now() < end) {
    absl::StatusOr<GateView> view = gates_[replica]->Look(Millis(0));
    if (!view.ok()) return view.status();
    const bool there =
        held ? !view->StepOf(actor.spec.name).empty() : view->present.count(actor.spec.name) > 0 && view->quiet;
    views_[replica] = *std::move(view);
    if (there) return absl::OkStatus();
    const absl::StatusOr<std::optional<HttpReply>> reply = actor.line.TryReceive(Clock::now() + kLookAgain);
    if (!reply.ok()) return reply.status();
    if (!*reply) continue;
    if (held) {
      return absl::InternalError(
          Concat(actor.spec.name, " is answered ", (*reply)->status, " before its first step: ", (*reply)->body));
    }
    actor.answered = true;
    Answered(actor, **reply, static_cast<int>(moves_.size()));
    return absl::OkStatus();
  }
  return absl::DeadlineExceededError(Concat(actor.spec.name, " does not come to its first step"));
}

// 202: it stands in the queue, and its version will be known when it has been applied. 404: there is no such brand,
// yet.
void ServiceWorld::Answered(Actor& actor, const HttpReply& reply, int move) const {
  const bool none = makes_ && !actor.spec.writes && reply.status == 404;
  actor.ended.ok = none || (reply.status >= 200 && reply.status <= 202);
  actor.ended.answered = move;
  actor.ended.how = actor.ended.ok ? HowOf(reply) : Concat(reply.status, " ", reply.body);
  if (!actor.ended.ok || none) return;
  const nlohmann::json json = nlohmann::json::parse(reply.body, nullptr, false);
  actor.ended.version = static_cast<uint64_t>(NumberOf(json, "version"));
}

// The gate says who has been answered; what the answer is comes by the connection.
absl::Status ServiceWorld::TakeAnswers() {
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (!actor->sent || actor->answered) continue;
    const GateView& view = ViewOf(*actor);
    const auto present = view.present.find(actor->spec.name);
    if (present != view.present.end() && !present->second.answered) continue;
    if (absl::Status taken = TakeAnswer(*actor); !taken.ok()) return taken;
  }
  return absl::OkStatus();
}

absl::Status ServiceWorld::TakeAnswer(Actor& actor) {
  const absl::StatusOr<HttpReply> reply = actor.line.Receive(Clock::now() + kPatience);
  if (!reply.ok()) {
    return absl::Status(reply.status().code(), Concat(actor.spec.name, ": ", reply.status().message()));
  }
  actor.answered = true;
  if (actor.dead) return absl::OkStatus();  // nobody is there to take it
  Answered(actor, *reply, static_cast<int>(moves_.size()) - 1);
  // A death may fail who waits for the dead; nothing else may fail anybody.
  if (actor.ended.ok || died_) return absl::OkStatus();
  return absl::InternalError(Concat(actor.spec.name, " is answered ", actor.ended.how));
}

// ---- the end ----

absl::StatusOr<AtRest::Served> ServiceWorld::Serve(HttpConnection& connection) {
  HttpRequest request;
  request.path = Concat("/v1/brands/", brand_, "/insights");
  const absl::StatusOr<HttpReply> reply = connection.Call(request, Clock::now() + kPatience);
  if (!reply.ok()) return absl::Status(reply.status().code(), Concat("a read at rest: ", reply.status().message()));
  if (makes_ && reply->status == 404) return AtRest::Served{0, 0, InL1(*reply)};
  const nlohmann::json json = nlohmann::json::parse(reply->body, nullptr, false);
  if (reply->status != 200 || !json.is_object()) {
    return absl::InternalError(Concat("a read at rest is answered ", reply->status, " ", reply->body));
  }
  return AtRest::Served{static_cast<uint64_t>(NumberOf(json, "version")), NumberOf(json, "correction"), InL1(*reply)};
}

absl::StatusOr<AtRest> ServiceWorld::ReadAtRest() {
  AtRest rest;
  if (!moves_.empty()) rest.stored = moves_.back().stored;
  // Who reads must not have to wait for the lease of one who has died.
  if (absl::Status ended = stores_.ExpireLease(brand_); !ended.ok()) return ended;
  absl::StatusOr<Stores::Row> row = stores_.ReadRow(brand_);
  if (makes_ && absl::IsNotFound(row.status())) row = Stores::Row();
  if (!row.ok()) return row.status();
  rest.version = row->version;
  rest.correction = row->correction;
  for (const std::unique_ptr<Actor>& actor : actors_) {
    const auto applied = row->requests.find(Concat(brand_, "-", actor->spec.name));
    actor->ended.applied = actor->spec.makes ? row->version > 0 : applied != row->requests.end();
    if (applied != row->requests.end() && actor->ended.ok) actor->ended.version = applied->second;
  }
  for (const std::unique_ptr<HttpConnection>& reader : readers_) {
    const absl::StatusOr<AtRest::Served> served = Serve(*reader);
    if (!served.ok()) return served.status();
    rest.served.push_back(*served);
  }
  return rest;
}

absl::StatusOr<History> ServiceWorld::Finish() {
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (!actor->answered) return absl::InternalError(Concat(actor->spec.name, " is never answered"));
  }
  if (absl::Status free = Watch(""); !free.ok()) return free;  // what is read now is nobody's move
  History history;
  absl::StatusOr<AtRest> rest = ReadAtRest();
  if (!rest.ok()) return rest.status();
  history.rest = *std::move(rest);
  history.moves = moves_;
  for (const std::unique_ptr<Actor>& actor : actors_) history.ended.push_back(actor->ended);
  return history;
}

// ---- after a move that blocked ----

absl::StatusOr<bool> ServiceWorld::Abandon() {
  if (absl::Status free = Watch(""); !free.ok()) return free;
  bool deadlock = false;
  const Clock::time_point end = Clock::now() + kPatience;
  Clock::time_point moved = Clock::now();
  for (bool present = true; present;) {
    if (Clock::now() > end) return absl::DeadlineExceededError("who blocked does not come to an end");
    present = false;
    bool went = false;
    if (absl::Status ended = stores_.ExpireLease(brand_); !ended.ok()) return ended;  // nobody waits for one
    for (const std::unique_ptr<Gate>& gate : gates_) {
      absl::StatusOr<GateView> view = gate->Look(Millis(0));
      if (!view.ok()) return view.status();
      const auto held =
          std::find_if(view->held.begin(), view->held.end(), [](const auto& one) { return one.second != "take"; });
      if (held != view->held.end()) {
        went = true;
        view = gate->Go(held->first, kSoon);
        if (!view.ok()) return view.status();
      }
      present = present || went || !view->present.empty();
    }
    if (went) moved = Clock::now();
    if (!went && present && Clock::now() - moved > kDeadlock) {
      const absl::StatusOr<bool> waits = stores_.SomebodyWaits();
      if (!waits.ok()) return waits.status();
      deadlock = deadlock || *waits;
    }
    if (!went && present) std::this_thread::sleep_for(Millis(1));
  }
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (actor->line.waiting()) (void)actor->line.Receive(end);
  }
  return deadlock;
}

}  // namespace lab::bench::explore
