#include "bench/explore/service_world.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "bench/explore/service_actor.h"
#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

constexpr uint64_t kBrandsAtOnce = 500;

void AddOnce(const Move& move, std::vector<Move>& moves) {
  if (std::find(moves.begin(), moves.end(), move) == moves.end()) moves.push_back(move);
}

}  // namespace

ServiceWorld::ServiceWorld(Options options)
    : options_(std::move(options)),
      stores_(options_.redis_port, options_.postgres_port, options_.login),
      feed_(options_.feed) {
  for (const int port : options_.http_ports) {
    gates_.push_back(std::make_unique<Gate>(port));
    readers_.push_back(std::make_unique<HttpConnection>(port));
  }
  views_.resize(gates_.size());
  watched_.assign(gates_.size(), options_.feed != FeedKind::kNone);
  int number = 0;
  for (const Cast::Actor& spec : options_.cast.actors) {
    const int port = options_.http_ports.at(static_cast<size_t>(spec.replica));
    actors_.push_back(std::make_unique<Actor>(spec, ++number, port));
    if (options_.pushes && !spec.writes) watched_[static_cast<size_t>(spec.replica)] = true;
    makes_ = makes_ || spec.makes;
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

// As a schedule has it.
std::string ServiceWorld::NameAt(const std::string& other, size_t replica) const {
  return other == kPush && gates_.size() > 1 ? Concat(other, "@", replica) : other;
}

// ---- the beginning ----

absl::Status ServiceWorld::NextBrand() {
  if (used_ == brands_) {
    if (absl::Status made = stores_.MakeBrands(options_.prefix, brands_ + 1, kBrandsAtOnce); !made.ok()) return made;
    brands_ += kBrandsAtOnce;
  }
  brand_ = Concat(options_.prefix, ++used_);
  return absl::OkStatus();
}

// By nobody of the cast, until it is taken.
absl::Status ServiceWorld::WriteTo(const std::string& brand, HttpConnection& replica) {
  HttpRequest request;
  request.method = "PUT";
  request.path = Concat("/v1/brands/", brand, "/correction");
  request.body = "{\"posts\":1}";
  const Clock::time_point end = Clock::now() + kPatience;
  for (;;) {
    const absl::StatusOr<HttpReply> reply = replica.Call(request, end);
    if (!reply.ok()) return reply.status();
    if (reply->status == 200 || reply->status == 202) return absl::OkStatus();
    if (Clock::now() > end) return absl::UnavailableError(Concat("the service does not write: ", reply->body));
    std::this_thread::sleep_for(Millis(10));
  }
}

// A service is ready before it can write: on a brand of its own, until each replica has written.
absl::Status ServiceWorld::WarmUp() {
  if (absl::Status next = NextBrand(); !next.ok()) return next;
  if (options_.feed == FeedKind::kLog) {
    if (absl::Status watched = Watch(brand_); !watched.ok()) return watched;
  }
  for (const std::unique_ptr<HttpConnection>& replica : readers_) {
    if (absl::Status written = WriteTo(brand_, *replica); !written.ok()) return written;
  }
  return options_.feed == FeedKind::kLog ? WarmUpFeed(brand_) : absl::OkStatus();
}

// The log is read once a commit has come by it, and the place in L2 that follows says that L2 is believed (the first
// reader of a slot empties it).
absl::Status ServiceWorld::WarmUpFeed(const std::string& brand) {
  const Clock::time_point end = Clock::now() + kPatience;
  for (bool told = false; Clock::now() < end;) {
    // What was written before there was a slot is told to nobody.
    if (absl::Status written = told ? absl::OkStatus() : WriteTo(brand, *readers_[0]); !written.ok()) return written;
    std::this_thread::sleep_for(Millis(20));
    const absl::StatusOr<GateView> view = gates_[0]->Look(kSoon);
    if (!view.ok()) return view.status();
    const absl::StatusOr<bool> kept = stores_.LogPlaceIsKept();
    if (!kept.ok()) return kept.status();
    told = told || view->Count(kFeed, "apply") > 0;
    if (told && *kept) return Watch("");
    if (told) {
      if (absl::Status free = Watch(""); !free.ok()) return free;  // so that the place can be kept
    }
  }
  return absl::UnavailableError(Concat("the log does not tell of the write to ", brand));
}

absl::Status ServiceWorld::Watch(const std::string& brand) {
  for (size_t replica = 0; replica < gates_.size(); ++replica) {
    if (!watched_[replica]) continue;
    if (absl::Status watched = gates_[replica]->Watch(brand); !watched.ok()) return watched;
  }
  return absl::OkStatus();
}

absl::Status ServiceWorld::AwaitView(const std::function<bool(const GateView& view)>& there) {
  const Clock::time_point end = Clock::now() + kPatience;
  while (!there(views_[0])) {
    if (Clock::now() > end) return absl::DeadlineExceededError("the feed does not come to where it should be");
    absl::StatusOr<GateView> view = gates_[0]->Look(Millis(1));
    if (!view.ok()) return view.status();
    views_[0] = *std::move(view);
  }
  return absl::OkStatus();
}

// What PostgreSQL tells comes by itself: until all of it has.
absl::Status ServiceWorld::AwaitFeed() {
  if (options_.feed != FeedKind::kLog) return absl::OkStatus();
  return AwaitView([this](const GateView& view) { return view.quiet && view.Count(kFeed, "apply") == feed_.coming(); });
}

absl::Status ServiceWorld::Begin() {
  if (used_ == 0) {
    if (absl::Status warm = WarmUp(); !warm.ok()) return warm;
  }
  if (absl::Status next = NextBrand(); !next.ok()) return next;
  if (makes_) brand_ = Concat(options_.prefix, "new-", ++missing_);
  evicted_ = expired_ = died_ = false;
  moves_.clear();
  feed_.Begin();
  std::fill(views_.begin(), views_.end(), GateView());
  if (absl::Status watched = Watch(brand_); !watched.ok()) return watched;
  if (absl::Status heard = Hear(); !heard.ok()) return heard;
  // Who takes batches has ended its last one.
  if (options_.feed == FeedKind::kOutbox || options_.feed == FeedKind::kQueue) {
    const auto takes = [](const GateView& view) { return view.Count(kFeed, "take") == 1; };
    if (absl::Status there = AwaitView(takes); !there.ok()) return there;
  }
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

// ---- what can be done ----

// It waits for who has the lease, and neither has that one stored nor the lease ended.
bool ServiceWorld::LooksInVain(const Actor& actor) const {
  return actor.looked && !moves_.empty() && moves_.back().leased && moves_.back().stored.kind != Stored::Kind::kValue;
}

// One that is the same, and is named before it, has not begun either.
bool ServiceWorld::IsMirrored(const Actor& actor) const {
  if (options_.cast.mirrored || actor.moves > 0) return false;
  for (const std::unique_ptr<Actor>& other : actors_) {
    if (other.get() == &actor) return false;
    const Cast::Actor &one = other->spec, &two = actor.spec;
    const bool same = one.writes == two.writes && one.makes == two.makes && one.replica == two.replica &&
                      options_.cast.MayDie(one.name, one.writes) == options_.cast.MayDie(two.name, two.writes);
    if (same && other->moves == 0) return true;
  }
  return false;
}

void ServiceWorld::AddEvents(std::vector<Move>& moves) const {
  if (moves_.empty()) return;
  const Seen& last = moves_.back();
  if (options_.cast.evict && !evicted_ && last.stored.kind != Stored::Kind::kNone) moves.push_back({kCache, kEvict});
  if (options_.cast.expire && !expired_ && last.leased) moves.push_back({kCache, kExpire});
}

// Who is no request: feeds and pushes.
void ServiceWorld::AddOthers(std::vector<Move>& moves, std::vector<Move>& deaths) const {
  for (size_t replica = 0; replica < views_.size(); ++replica) {
    for (const auto& [name, step] : views_[replica].held) {
      if (name != kFeed && name != kPush) continue;
      if (step == "take" && !feed_.MayTake()) continue;
      AddOnce({NameAt(name, replica), step}, moves);
      if (step != "take" && !died_ && options_.cast.MayDie(name, false)) AddOnce({name, kDie}, deaths);
    }
  }
}

std::vector<Move> ServiceWorld::Enabled() {
  std::vector<Move> moves, deaths;
  bool waits_in_vain = false;
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (IsMirrored(*actor)) continue;
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
    if (options_.cast.MayDie(actor->spec.name, actor->spec.writes) && actor->moves > 0 && !died_)
      deaths.push_back({actor->spec.name, kDie});
  }
  AddOthers(moves, deaths);
  if (moves.empty()) {
    if (waits_in_vain) moves.push_back({kCache, kExpire});  // every lease ends once
    return moves;
  }
  AddEvents(moves);
  moves.insert(moves.end(), deaths.begin(), deaths.end());
  return moves;
}

// ---- a move ----

// Where it was made; its view is brought up to date.
absl::StatusOr<size_t> ServiceWorld::MoveActor(const Move& move, Actor& actor) {
  const auto replica = static_cast<size_t>(actor.spec.replica);
  const int index = static_cast<int>(moves_.size());
  if (move.step == kAsk) {
    if (absl::Status sent = Send(actor); !sent.ok()) return sent;
    if (absl::Status arrived = AwaitArrival(actor, false); !arrived.ok()) return arrived;
  } else {
    died_ = died_ || move.step == kDie;
    actor.dead = actor.dead || move.step == kDie;
    absl::StatusOr<GateView> view =
        move.step == kDie ? gates_[replica]->Die(move.actor, kSoon) : gates_[replica]->Go(move.actor, kSoon);
    if (!view.ok()) return view.status();
    views_[replica] = *std::move(view);
  }
  if (actor.ended.asked < 0) actor.ended.asked = index;
  if (move.step == kAsk || move.step == "get") actor.ended.looked = index;
  actor.looked = actor.looked || move.step == "get";
  ++actor.moves;
  return replica;
}

// A feed that was not ready to take (it has no turn yet, no connection), or had others to end first, is told again.
absl::StatusOr<size_t> ServiceWorld::MoveOther(const Move& move) {
  const std::string name = move.actor.substr(0, move.actor.find('@'));
  size_t replica = 0;
  while (replica + 1 < views_.size() && NameAt(name, replica) != move.actor) ++replica;
  const Clock::time_point end = Clock::now() + kPatience;
  for (;;) {
    absl::StatusOr<GateView> view =
        move.step == kDie ? gates_[replica]->Die(name, kSoon) : gates_[replica]->Go(name, kSoon);
    const auto moves = [&] { return !view->quiet || (move.step == "take" && view->StepOf(kFeed).empty()); };
    while (view.ok() && moves() && Clock::now() < end) view = gates_[replica]->Look(view->quiet ? Millis(1) : kSoon);
    if (!view.ok()) return view.status();
    views_[replica] = *std::move(view);
    if (move.step != "take" || views_[replica].Count(kFeed, "take") == 0) break;
    if (Clock::now() > end) return absl::DeadlineExceededError("the feed does not take what there is");
    std::this_thread::sleep_for(Millis(1));
  }
  died_ = died_ || move.step == kDie;
  return replica;
}

absl::StatusOr<World::Taken> ServiceWorld::Take(const Move& move) {
  absl::StatusOr<size_t> replica = 0;
  Actor* const actor = Find(move.actor);
  if (move.actor == kCache) {
    const bool evicts = move.step == kEvict;
    (evicts ? evicted_ : expired_) = true;
    if (absl::Status done = evicts ? stores_.Evict(brand_) : stores_.ExpireLease(brand_); !done.ok()) return done;
  } else {
    replica = actor != nullptr ? MoveActor(move, *actor) : MoveOther(move);
  }
  if (!replica.ok()) return replica.status();
  absl::StatusOr<Taken> settled = Settle(*replica);
  const bool own = actor == nullptr || options_.cast.MayDie(move.actor, true);  // the answer is a move of its own
  if (settled.ok() && !own && views_[*replica].StepOf(move.actor) == kAnswer) {
    absl::StatusOr<GateView> view = gates_[*replica]->Go(move.actor, kSoon);
    if (!view.ok()) return view.status();
    views_[*replica] = *std::move(view);
    settled = Settle(*replica);
  }
  if (!settled.ok() || *settled == Taken::kBlocked) return settled;
  if (absl::Status heard = Hear(); !heard.ok()) return heard;
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

// All that Redis has told of the move has arrived, and is held.
absl::Status ServiceWorld::Hear() {
  for (size_t replica = 0; options_.pushes && replica < gates_.size(); ++replica) {
    if (!watched_[replica]) continue;
    absl::StatusOr<GateView> view = gates_[replica]->Hear();
    if (!view.ok()) return view.status();
    views_[replica] = *std::move(view);
  }
  return absl::OkStatus();
}

absl::Status ServiceWorld::See(const Move& move) {
  Seen seen;
  seen.move = move;
  seen.committed = moves_.empty() ? (makes_ ? 0 : 1) : moves_.back().committed;
  const absl::StatusOr<Stores::Cached> cached = stores_.ReadCache(brand_);
  if (!cached.ok()) return cached.status();
  seen.stored = cached->stored;
  seen.leased = cached->leased;
  if (move.step == "commit") {
    const absl::StatusOr<uint64_t> version = stores_.ReadVersion(brand_);
    if (!version.ok()) return version.status();
    seen.committed = *version;
  }
  feed_.Made(move, seen.committed);
  seen.told = feed_.told();
  for (size_t replica = 0; replica < views_.size(); ++replica) {
    if (views_[replica].Count(kPush, "publish") > 0) seen.untold_replicas.push_back(static_cast<int>(replica));
  }
  moves_.push_back(std::move(seen));
  return AwaitFeed();
}

}  // namespace lab::bench::explore
