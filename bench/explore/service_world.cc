#include "bench/explore/service_world.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

constexpr uint64_t kBrandsAtOnce = 500;
constexpr std::chrono::seconds kPatience{10};
constexpr Millis kSoon{20};       // within it a move has taken effect, unless it waits for a lock
constexpr Millis kDeadlock{700};  // nobody moves, and somebody waits for a lock
constexpr Micros kLookAgain{200};

int64_t NumberOf(const nlohmann::json& json, const char* key) {
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

struct ServiceWorld::Actor {
  Actor(Cast::Actor s, int number, int port) : spec(std::move(s)), posts(number), line(port) {}
  const Cast::Actor spec;
  const int posts;  // that it writes: each writer another correction
  HttpConnection line;
  bool sent = false, answered = false, dead = false, looked = false;
  int moves = 0;
  Ended ended;
};

ServiceWorld::ServiceWorld(Options options)
    : options_(std::move(options)), stores_(options_.redis_port, options_.postgres_port, options_.login) {
  for (const int port : options_.http_ports) {
    gates_.push_back(std::make_unique<Gate>(port));
    readers_.push_back(std::make_unique<HttpConnection>(port));
  }
  views_.resize(gates_.size());
  int number = 0;
  for (const Cast::Actor& spec : options_.cast.actors) {
    const int port = options_.http_ports.at(static_cast<size_t>(spec.replica));
    actors_.push_back(std::make_unique<Actor>(spec, ++number, port));
  }
}

ServiceWorld::~ServiceWorld() = default;

ServiceWorld::Actor* ServiceWorld::Find(const std::string& name) {
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (actor->spec.name == name) return actor.get();
  }
  return nullptr;
}

GateView& ServiceWorld::ViewOf(const Actor& actor) { return views_[static_cast<size_t>(actor.spec.replica)]; }

// ---- the beginning ----

absl::Status ServiceWorld::NextBrand() {
  if (used_ == brands_) {
    if (absl::Status made = stores_.MakeBrands(options_.prefix, brands_ + 1, kBrandsAtOnce); !made.ok()) return made;
    brands_ += kBrandsAtOnce;
  }
  brand_ = Concat(options_.prefix, ++used_);
  return absl::OkStatus();
}

// A service is ready before it can write: on a brand of its own, until each replica has written.
absl::Status ServiceWorld::WarmUp() {
  if (absl::Status next = NextBrand(); !next.ok()) return next;
  HttpRequest request;
  request.method = "PUT";
  request.path = Concat("/v1/brands/", brand_, "/correction");
  request.body = "{\"posts\":1}";
  const Clock::time_point end = Clock::now() + kPatience;
  for (const std::unique_ptr<HttpConnection>& replica : readers_) {
    for (;;) {
      const absl::StatusOr<HttpReply> reply = replica->Call(request, end);
      if (!reply.ok()) return reply.status();
      if (reply->status == 200) break;
      if (Clock::now() > end) return absl::UnavailableError(Concat("the service does not write: ", reply->body));
      std::this_thread::sleep_for(Millis(10));
    }
  }
  return absl::OkStatus();
}

absl::Status ServiceWorld::Begin() {
  if (used_ == 0) {
    if (absl::Status warm = WarmUp(); !warm.ok()) return warm;
  }
  if (absl::Status next = NextBrand(); !next.ok()) return next;
  evicted_ = expired_ = died_ = false;
  moves_.clear();
  std::fill(views_.begin(), views_.end(), GateView());
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (actor->line.waiting()) actor->line.Close();
    actor->sent = actor->answered = actor->dead = actor->looked = false;
    actor->moves = 0;
    actor->ended = Ended();
    actor->ended.actor = actor->spec.name;
    actor->ended.writes = actor->spec.writes;
    actor->ended.replica = actor->spec.replica;
  }
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (options_.asks && !actor->spec.writes) continue;
    if (absl::Status sent = Send(*actor); !sent.ok()) return sent;
  }
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (!actor->sent) continue;
    if (absl::Status arrived = AwaitArrival(*actor, true); !arrived.ok()) return arrived;
  }
  return absl::OkStatus();
}

absl::Status ServiceWorld::Send(Actor& actor) {
  HttpRequest request;
  request.headers = {{"X-Actor", actor.spec.name}};
  if (actor.spec.writes) {
    request.method = "PUT";
    request.path = Concat("/v1/brands/", brand_, "/correction");
    request.body = Concat("{\"posts\":", actor.posts, "}");
    request.headers.emplace_back("Idempotency-Key", Concat(brand_, "-", actor.spec.name));
  } else {
    request.path = Concat("/v1/brands/", brand_, "/insights");
  }
  actor.sent = true;
  return actor.line.Send(request, Clock::now() + kPatience);
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
    actor.ended.ok = (*reply)->status == 200;
    actor.ended.answered = static_cast<int>(moves_.size());
    actor.ended.how = actor.ended.ok ? HowOf(**reply) : (*reply)->body;
    const nlohmann::json json = nlohmann::json::parse((*reply)->body, nullptr, false);
    if (actor.ended.ok && json.is_object()) actor.ended.version = static_cast<uint64_t>(NumberOf(json, "version"));
    return absl::OkStatus();
  }
  return absl::DeadlineExceededError(Concat(actor.spec.name, " does not come to its first step"));
}

// ---- what can be done ----

// It waits for who has the lease, and neither has that one stored nor the lease ended.
bool ServiceWorld::LooksInVain(const Actor& actor) const {
  return actor.looked && !moves_.empty() && moves_.back().leased && moves_.back().stored.kind != Stored::Kind::kValue;
}

void ServiceWorld::AddEvents(std::vector<Move>& moves) const {
  if (moves_.empty()) return;
  const Seen& last = moves_.back();
  if (options_.cast.evict && !evicted_ && last.stored.kind != Stored::Kind::kNone) moves.push_back({kCache, kEvict});
  if (options_.cast.expire && !expired_ && last.leased) moves.push_back({kCache, kExpire});
}

std::vector<Move> ServiceWorld::Enabled() {
  std::vector<Move> moves;
  bool waits_in_vain = false;
  std::vector<Move> deaths;
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (!actor->sent) {
      moves.push_back({actor->spec.name, kAsk});
      continue;
    }
    const std::string step = ViewOf(*actor).StepOf(actor->spec.name);
    if (step.empty()) continue;
    if (step == "get" && LooksInVain(*actor)) {
      waits_in_vain = true;
      continue;
    }
    moves.push_back({actor->spec.name, step});
    if (options_.cast.die && actor->spec.writes && actor->moves > 0 && !died_)
      deaths.push_back({actor->spec.name, kDie});
  }
  // Who is no request: an invalidation that is to be applied.
  for (const GateView& view : views_) {
    for (const auto& [name, step] : view.held) {
      if (Find(name) == nullptr && std::find(moves.begin(), moves.end(), Move{name, step}) == moves.end()) {
        moves.push_back({name, step});
      }
    }
  }
  if (moves.empty()) {
    if (waits_in_vain) moves.push_back({kCache, kExpire});  // every lease ends once
    return moves;
  }
  AddEvents(moves);
  moves.insert(moves.end(), deaths.begin(), deaths.end());
  return moves;
}

// ---- a move ----

absl::StatusOr<World::Taken> ServiceWorld::Take(const Move& move) {
  size_t replica = 0;
  Actor* const actor = Find(move.actor);
  if (actor != nullptr) replica = static_cast<size_t>(actor->spec.replica);
  absl::StatusOr<GateView> view = GateView();
  if (move.actor == kCache) {
    const bool evicts = move.step == kEvict;
    (evicts ? evicted_ : expired_) = true;
    if (absl::Status done = evicts ? stores_.Evict(brand_) : stores_.ExpireLease(brand_); !done.ok()) return done;
    view = views_[replica];
  } else if (move.step == kAsk && actor != nullptr) {
    if (absl::Status sent = Send(*actor); !sent.ok()) return sent;
    actor->ended.asked = static_cast<int>(moves_.size());
    ++actor->moves;
    if (absl::Status arrived = AwaitArrival(*actor, false); !arrived.ok()) return arrived;
    view = views_[replica];
  } else if (move.step == kDie && actor != nullptr) {
    died_ = actor->dead = true;
    view = gates_[replica]->Die(move.actor, kSoon);
  } else {
    for (size_t i = 0; actor == nullptr && i < views_.size(); ++i) {
      if (!views_[i].StepOf(move.actor).empty()) replica = i;
    }
    view = gates_[replica]->Go(move.actor, kSoon);
  }
  if (!view.ok()) return view.status();
  views_[replica] = *std::move(view);
  if (actor != nullptr && move.step != kAsk) {
    if (actor->ended.asked < 0) actor->ended.asked = static_cast<int>(moves_.size());
    actor->looked = actor->looked || move.step == "get";
    ++actor->moves;
  }
  const absl::StatusOr<Taken> settled = Settle(replica);
  if (!settled.ok() || *settled == Taken::kBlocked) return settled;
  if (absl::Status seen = See(move); !seen.ok()) return seen;
  if (absl::Status answers = TakeAnswers(); !answers.ok()) return answers;
  return Taken::kDone;
}

// Until nothing moves there by itself any more.
absl::StatusOr<World::Taken> ServiceWorld::Settle(size_t replica) {
  const Clock::time_point end = Clock::now() + kPatience;
  while (!views_[replica].quiet) {
    const absl::StatusOr<bool> blocks = stores_.SomebodyBlocks();
    if (!blocks.ok()) return blocks.status();
    if (*blocks) return Taken::kBlocked;
    if (Clock::now() > end) return absl::DeadlineExceededError("an actor neither comes to a step nor ends");
    absl::StatusOr<GateView> view = gates_[replica]->Look(kSoon);
    if (!view.ok()) return view.status();
    views_[replica] = *std::move(view);
  }
  return Taken::kDone;
}

absl::Status ServiceWorld::See(const Move& move) {
  Seen seen;
  seen.move = move;
  seen.committed = moves_.empty() ? 1 : moves_.back().committed;
  const absl::StatusOr<Stores::Cached> cached = stores_.ReadCache(brand_);
  if (!cached.ok()) return cached.status();
  seen.stored = cached->stored;
  seen.leased = cached->leased;
  if (move.step == "commit") {
    const absl::StatusOr<uint64_t> version = stores_.ReadVersion(brand_);
    if (!version.ok()) return version.status();
    seen.committed = *version;
  }
  moves_.push_back(std::move(seen));
  return absl::OkStatus();
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
  actor.ended.answered = static_cast<int>(moves_.size()) - 1;
  actor.ended.ok = reply->status == 200;
  actor.ended.how = HowOf(*reply);
  const nlohmann::json json = nlohmann::json::parse(reply->body, nullptr, false);
  if (actor.ended.ok && json.is_object()) actor.ended.version = static_cast<uint64_t>(NumberOf(json, "version"));
  if (!actor.ended.ok) actor.ended.how = Concat(reply->status, " ", reply->body);
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
  const absl::StatusOr<Stores::Row> row = stores_.ReadRow(brand_);
  if (!row.ok()) return row.status();
  rest.version = row->version;
  rest.correction = row->correction;
  for (const std::unique_ptr<Actor>& actor : actors_) {
    const std::string request = Concat(brand_, "-", actor->spec.name);
    actor->ended.applied = std::find(row->requests.begin(), row->requests.end(), request) != row->requests.end();
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
  History history;
  absl::StatusOr<AtRest> rest = ReadAtRest();
  if (!rest.ok()) return rest.status();
  history.rest = *std::move(rest);
  history.moves = moves_;
  for (const std::unique_ptr<Actor>& actor : actors_) history.ended.push_back(actor->ended);
  return history;
}

absl::StatusOr<bool> ServiceWorld::Abandon() {
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
      if (view.ok() && !view->held.empty()) {
        went = true;
        view = gate->Go(view->held.front().first, kSoon);
      }
      if (!view.ok()) return view.status();
      present = present || !view->present.empty();
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
