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

std::string OneLine(absl::string_view message) {
  std::string text(message);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

Target TargetOf(const Options& options) {
  const int64_t timeout_ms = std::max<int64_t>(1, std::chrono::duration_cast<Millis>(options.deadline).count());
  std::string settings = Concat("-c statement_timeout=", timeout_ms, " -c plan_cache_mode=force_generic_plan");
  if (options.read_only) settings += " -c default_transaction_read_only=on";
  return {options.host, options.port, options.database, options.user, options.password, options.name, settings, false};
}

}  // namespace

Connection::Connection(async::Loop& loop, const Options& options, Listener& listener, Counters counters)
    : loop_(loop),
      options_(options),
      listener_(&listener),
      counters_(counters),
      target_(TargetOf(options)),
      backoff_(options.reconnect, Seed(this)),
      connector_(std::make_shared<Connector>(loop)),
      descriptor_(loop.io()),
      timer_(loop.io()) {}

Connection::~Connection() { Finish(); }

void Connection::Start() { Connect(); }

void Connection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  listener_ = nullptr;
  timer_.cancel();
  Finish();
  groups_.clear();
}

// ---- connecting ----

void Connection::Connect() {
  state_ = State::kConnecting;
  connector_->Connect(target_, options_.connect_timeout, [this](absl::StatusOr<ConnectionPtr> connection) {
    if (!connection.ok()) return Drop(connection.status());
    connection_ = *std::move(connection);
    Stand();
  });
}

void Connection::Stand() {
  ++generation_;
  boost::system::error_code error;
  descriptor_.assign(PQsocket(connection_.get()), error);
  if (error) return Drop(absl::UnavailableError(error.message()));
  if (PQenterPipelineMode(connection_.get()) != 1) return Drop(Broken());
  state_ = State::kReady;
  ready_at_ = Clock::now();
  if (ever_ready_) counters_.reconnects.Increment();
  if (!ever_ready_ || failure_logged_) {
    obs::Log(obs::Level::kInfo, "pg_connected",
             {{"address", target_.text()}, {"pool", options_.name}, {"again", ever_ready_}});
  }
  ever_ready_ = true;
  failure_logged_ = false;
  WaitReadable();
  listener_->OnReady();
}

// ---- ending ----

void Connection::Finish() {
  ++generation_;
  connector_->Cancel();
  waiting_write_ = reserved_ = false;
  prepared_.clear();
  if (descriptor_.is_open()) descriptor_.release();
  connection_.reset();
}

absl::Status Connection::Broken() const { return absl::UnavailableError(PQerrorMessage(connection_.get())); }

void Connection::Drop(const absl::Status& why) {
  if (state_ == State::kClosed || state_ == State::kIdle) return;
  state_ = State::kIdle;
  const std::string text = OneLine(why.message());
  Finish();
  if (!failure_logged_) {
    failure_logged_ = true;
    obs::Log(obs::Level::kWarn, ready_at_ != Clock::time_point{} ? "pg_connection_lost" : "pg_connect_failed",
             {{"address", target_.text()}, {"pool", options_.name}, {"reason", text}});
  }
  ConnectLater();
  const auto self = shared_from_this();  // a callback may close the client
  if (absl::IsFailedPrecondition(why)) listener_->OnRefused(why);
  std::deque<std::unique_ptr<Group>> lost;
  lost.swap(groups_);
  for (std::unique_ptr<Group>& group : lost) {
    if (listener_ != nullptr) listener_->OnLost(std::move(group), text);
  }
}

void Connection::ConnectLater() {
  timer_.expires_after(backoff_.Next(ready_at_, Clock::now()));
  ready_at_ = {};
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->state_ == State::kIdle) self->Connect();
  });
}

void Connection::Suspect(Clock::time_point now) {
  if (ready() && !groups_.empty() && now - progress_at_ > kStallTimeout)
    Drop(absl::UnavailableError("no answer for too long"));
}

// ---- sending ----

bool Connection::Append(Group& group, Operation& operation, const StoredStep& step) {
  const Statement& statement = step.statement();
  auto known = prepared_.find(&statement);
  if (known == prepared_.end()) {
    known = prepared_.emplace(&statement, Concat("s", ++next_name_)).first;
    if (PQsendPrepare(connection_.get(), known->second.c_str(), statement.text().c_str(), 0, nullptr) != 1)
      return false;
    group.awaited.push_back({&operation, &statement});
  }
  group.awaited.push_back({&operation, nullptr});
  counters_.statements.Increment();
  return PQsendQueryPrepared(connection_.get(), known->second.c_str(), step.size(), step.Values(values_), nullptr,
                             nullptr, 0) == 1;
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
  if (!whole || PQpipelineSync(connection_.get()) != 1) return Drop(Broken());
  Flush();
}

void Connection::Flush() {
  if (waiting_write_) return;
  const int left = PQflush(connection_.get());
  if (left < 0) return Drop(Broken());
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
  if (PQconsumeInput(connection_.get()) != 1) {
    const absl::Status why = Broken();
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
  while (generation == generation_ && !groups_.empty() && nulls < kNullsAtEnd && PQisBusy(connection_.get()) == 0) {
    ResultPtr result(PQgetResult(connection_.get()));
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
  if (!known || group.answered == group.awaited.size()) {
    return Drop(absl::UnavailableError("a result that was not asked for (COPY?)"));
  }
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
