#include "services/runtime/pg/connection.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"

namespace lab::pg {
namespace {

namespace asio = boost::asio;

// How long a server may answer nothing before its connection is replaced: well above statement_timeout, which ends what
// is merely slow.
constexpr Nanos kStallTimeout = Millis(2000);

uint64_t Seed(const void* self) {
  return Mix(static_cast<uint64_t>(Clock::now().time_since_epoch().count()) ^ reinterpret_cast<uintptr_t>(self));
}

bool IsFolder(const std::string& host) { return !host.empty() && host[0] == '/'; }

std::string LastLine(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

Connection::Connection(async::Loop& loop, const Options& options, Listener& listener, Counters counters)
    : loop_(loop),
      options_(options),
      listener_(&listener),
      counters_(counters),
      backoff_(options.reconnect, Seed(this)),
      resolver_(loop.io()),
      descriptor_(loop.io()),
      timer_(loop.io()) {}

Connection::~Connection() { Finish(); }

void Connection::Start() { Connect(); }

void Connection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  listener_ = nullptr;
  ++timer_epoch_;
  timer_.cancel();
  resolver_.Cancel();
  Finish();
  groups_.clear();
}

std::string Connection::Address() const { return Concat(options_.host, ":", options_.port, "/", options_.database); }

// ---- connecting ----

void Connection::Connect() {
  state_ = State::kConnecting;
  late_at_ = Clock::now() + options_.connect_timeout;
  if (IsFolder(options_.host) || async::HostResolver::IsAddress(options_.host)) return ConnectTo(options_.host);
  resolver_.Resolve(options_.host, options_.connect_timeout, [this](absl::StatusOr<std::string> address) {
    if (!address.ok()) return Drop(std::string(address.status().message()));
    ConnectTo(*address);
  });
}

// libpq would resolve a name by a call that blocks, so it is given an address.
void Connection::ConnectTo(const std::string& address) {
  const std::string port = std::to_string(options_.port);
  const int64_t timeout_ms = std::max<int64_t>(1, std::chrono::duration_cast<Millis>(options_.deadline).count());
  std::string session = Concat("-c statement_timeout=", timeout_ms, " -c plan_cache_mode=force_generic_plan");
  if (options_.read_only) session += " -c default_transaction_read_only=on";
  const char* const keys[] = {IsFolder(address) ? "host" : "hostaddr", "port",    "dbname",     "user", "password",
                              "application_name",                       "options", "gssencmode", nullptr};
  const char* const values[] = {address.c_str(),          port.c_str(),    options_.database.c_str(),
                                options_.user.c_str(),    options_.password.c_str(), options_.name.c_str(),
                                session.c_str(),          "disable",       nullptr};
  connection_ = PQconnectStartParams(keys, values, 0);
  ++generation_;
  if (connection_ == nullptr) return Drop("out of memory");
  if (PQstatus(connection_) == CONNECTION_BAD) return Drop(PQerrorMessage(connection_));
  // What the server tells beside its answers is not ours to print.
  PQsetNoticeReceiver(connection_, [](void*, const PGresult*) {}, nullptr);
  ArmTimer(late_at_ - Clock::now(), &Connection::OnLate);
  // As the documentation asks: as if PQconnectPoll had said that it waits to write.
  if (!Adopt()) return;
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                         [self = shared_from_this(), generation = generation_](const boost::system::error_code& error) {
                           if (generation == self->generation_ && !error) self->PollConnecting();
                         });
}

bool Connection::Adopt() {
  if (descriptor_.is_open() && descriptor_.native_handle() == PQsocket(connection_)) return true;
  descriptor_.release();  // libpq closes its sockets
  boost::system::error_code error;
  descriptor_.assign(PQsocket(connection_), error);
  if (error) Drop(error.message());
  return !error;
}

void Connection::PollConnecting() {
  if (state_ != State::kConnecting) return;
  const PostgresPollingStatusType status = PQconnectPoll(connection_);
  if (status == PGRES_POLLING_OK) return Stand();
  if (status == PGRES_POLLING_FAILED) return Drop(PQerrorMessage(connection_));
  if (!Adopt()) return;
  const auto what = status == PGRES_POLLING_READING ? asio::posix::stream_descriptor::wait_read
                                                    : asio::posix::stream_descriptor::wait_write;
  descriptor_.async_wait(
      what, [self = shared_from_this(), generation = generation_](const boost::system::error_code& error) {
        if (generation == self->generation_ && !error) self->PollConnecting();
      });
}

void Connection::Stand() {
  if (!Adopt()) return;
  if (PQsetnonblocking(connection_, 1) != 0 || PQenterPipelineMode(connection_) != 1) {
    return Drop(PQerrorMessage(connection_));
  }
  state_ = State::kReady;
  ++timer_epoch_;
  timer_.cancel();
  ready_at_ = Clock::now();
  if (ever_ready_) counters_.reconnects.Increment();
  if (!ever_ready_ || failure_logged_) {
    obs::Log(obs::Level::kInfo, "pg_connected",
             {{"address", Address()}, {"pool", options_.name}, {"again", ever_ready_}});
  }
  ever_ready_ = true;
  failure_logged_ = false;
  WaitReadable();
  listener_->OnReady();
}

void Connection::OnLate() { Drop("not connected in time"); }

// ---- ending ----

void Connection::Finish() {
  ++generation_;
  waiting_write_ = reserved_ = false;
  prepared_.clear();
  if (descriptor_.is_open()) descriptor_.release();
  if (connection_ != nullptr) PQfinish(std::exchange(connection_, nullptr));
}

// libpq gives no SQLSTATE of a refused connection.
bool Connection::Refused(const std::string& why) const {
  if (connection_ != nullptr && PQconnectionNeedsPassword(connection_) != 0) return true;
  for (const char* sign : {"password authentication failed", "does not exist", "no pg_hba.conf entry"}) {
    if (why.find(sign) != std::string::npos) return state_ == State::kConnecting;
  }
  return false;
}

void Connection::Drop(std::string why) {
  if (state_ == State::kClosed || state_ == State::kIdle) return;
  why = LastLine(std::move(why));
  const bool refused = Refused(why);
  state_ = State::kIdle;
  Finish();
  if (!failure_logged_) {
    failure_logged_ = true;
    obs::Log(obs::Level::kWarn, ready_at_ != Clock::time_point{} ? "pg_connection_lost" : "pg_connect_failed",
             {{"address", Address()}, {"pool", options_.name}, {"reason", why}});
  }
  ArmTimer(backoff_.Next(ready_at_, Clock::now()), &Connection::Connect);
  ready_at_ = {};
  const auto self = shared_from_this();  // a callback may close the client
  if (refused) listener_->OnRefused(absl::FailedPreconditionError(Concat("PostgreSQL refused us: ", why)));
  std::deque<std::unique_ptr<Group>> lost;
  lost.swap(groups_);
  for (std::unique_ptr<Group>& group : lost) {
    if (listener_ != nullptr) listener_->OnLost(std::move(group), why);
  }
}

void Connection::Suspect(Clock::time_point now) {
  if (ready() && !groups_.empty() && now - progress_at_ > kStallTimeout) Drop("no answer for too long");
}

void Connection::ArmTimer(Nanos delay, void (Connection::*then)()) {
  timer_.expires_after(delay);
  auto handler = [self = shared_from_this(), then, epoch = ++timer_epoch_](const boost::system::error_code& error) {
    if (!error && epoch == self->timer_epoch_) (self.get()->*then)();
  };
  timer_.async_wait(std::move(handler));
}

// ---- sending ----

bool Connection::Append(Group& group, Operation& operation, const StoredStep& step) {
  const Statement& statement = step.statement();
  auto known = prepared_.find(&statement);
  if (known == prepared_.end()) {
    known = prepared_.emplace(&statement, Concat("s", ++next_name_)).first;
    if (PQsendPrepare(connection_, known->second.c_str(), statement.text().c_str(), 0, nullptr) != 1) return false;
    group.awaited.push_back({&operation, &statement});
  }
  group.awaited.push_back({&operation, nullptr});
  counters_.statements.Increment();
  return PQsendQueryPrepared(connection_, known->second.c_str(), step.size(), step.Values(values_), nullptr, nullptr,
                             0) == 1;
}

void Connection::Send(std::unique_ptr<Group> group) {
  if (groups_.empty()) progress_at_ = Clock::now();
  groups_.push_back(std::move(group));
  Group& sent = *groups_.back();
  bool whole = true;
  for (Operation* operation : sent.operations) {
    operation->results.clear();
    for (const StoredStep& step : operation->steps) whole = whole && Append(sent, *operation, step);
  }
  counters_.groups.Increment();
  // Half a group cannot be called back: what was sent of it has no Sync and is rolled back with the connection.
  if (!whole || PQpipelineSync(connection_) != 1) return Drop(PQerrorMessage(connection_));
  Flush();
}

void Connection::Flush() {
  if (waiting_write_) return;
  const int left = PQflush(connection_);
  if (left < 0) return Drop(PQerrorMessage(connection_));
  if (left == 0) return;
  waiting_write_ = true;
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                         [self = shared_from_this(), generation = generation_](const boost::system::error_code& error) {
                           if (generation != self->generation_ || error) return;
                           self->waiting_write_ = false;
                           self->Flush();
                         });
}

// ---- receiving ----

void Connection::WaitReadable() {
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this(), generation = generation_](const boost::system::error_code& error) {
                           if (generation == self->generation_ && !error) self->OnReadable();
                         });
}

void Connection::OnReadable() {
  progress_at_ = Clock::now();
  if (PQconsumeInput(connection_) != 1) {
    const std::string why = PQerrorMessage(connection_);
    Pump();  // what came before the end
    return Drop(why);
  }
  const uint64_t generation = generation_;
  Pump();
  if (generation == generation_) WaitReadable();
}

// A null ends the results of a statement, an extra one stands between an error at commit and its Sync; three in a row
// mean that there is nothing more.
void Connection::Pump() {
  constexpr int kNullsAtEnd = 3;
  const uint64_t generation = generation_;
  int nulls = 0;
  while (generation == generation_ && !groups_.empty() && nulls < kNullsAtEnd && PQisBusy(connection_) == 0) {
    ResultPtr result(PQgetResult(connection_));
    nulls = result == nullptr ? nulls + 1 : 0;
    if (result != nullptr) Take(std::move(result));
  }
}

void Connection::Take(ResultPtr result) {
  Group& group = *groups_.front();
  const ExecStatusType status = PQresultStatus(result.get());
  if (status == PGRES_PIPELINE_SYNC) {
    std::unique_ptr<Group> ended = std::move(groups_.front());
    groups_.pop_front();
    return listener_->OnEnd(*this, std::move(ended));
  }
  if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) return TakeError(std::move(result));
  const bool known = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY ||
                     status == PGRES_PIPELINE_ABORTED;
  // libpq loops for ever over a COPY in pipeline mode.
  if (!known || group.answered == group.awaited.size()) return Drop("a result that was not asked for (COPY?)");
  const Group::Awaited awaited = group.awaited[group.answered++];
  const bool aborted = status == PGRES_PIPELINE_ABORTED;
  if (awaited.prepared == nullptr) {
    if (!aborted) awaited.operation->results.push_back(std::move(result));
  } else if (aborted) {
    prepared_.erase(awaited.prepared);  // what is in flight already fails with 26000, and is sent again (errors.h)
  }
}

void Connection::TakeError(ResultPtr result) {
  Group& group = *groups_.front();
  if (group.answered < group.awaited.size()) {
    const Group::Awaited awaited = group.awaited[group.answered++];
    if (group.error == nullptr) {
      group.culprit = awaited.operation;
      group.unprepared = awaited.prepared;
    }
    if (awaited.prepared != nullptr) prepared_.erase(awaited.prepared);
  }
  if (group.error == nullptr) group.error = std::move(result);
}

}  // namespace lab::pg
