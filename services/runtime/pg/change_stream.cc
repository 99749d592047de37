#include "services/runtime/pg/change_stream.h"

#include <libpq-fe.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "absl/strings/str_format.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"
#include "services/runtime/pg/connector.h"
#include "services/runtime/pg/operation.h"

namespace lab::pg {
namespace {

using boost::asio::posix::stream_descriptor;

constexpr int64_t kEpochUs = 946'684'800'000'000;  // PostgreSQL counts from 2000-01-01
constexpr size_t kDataHeader = 1 + 8 + 8 + 8;      // of a message 'w'
constexpr size_t kKeepaliveSize = 1 + 8 + 8 + 1;   // of a message 'k'

int64_t NowUnixUs() {
  return std::chrono::duration_cast<Micros>(std::chrono::system_clock::now().time_since_epoch()).count();
}

uint64_t ReadNumber(std::string_view bytes, size_t at) {
  uint64_t number = 0;
  for (size_t i = at; i < at + 8; ++i) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  return number;
}

void AppendNumber(std::string& bytes, uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
}

struct FreeCopied {
  void operator()(char* bytes) const { PQfreemem(bytes); }
};

// A name in SQL. Not for anything with a zero byte, which no name has.
std::string Quoted(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

}  // namespace

struct ChangeStream::Impl : std::enable_shared_from_this<ChangeStream::Impl> {
  // What the next result answers.
  enum class State { kIdle, kConnecting, kMakingSlot, kStarting, kStreaming, kClosed };

  Impl(async::Loop& l, Options o, Listener w, obs::Metrics& m)
      : loop(l),
        options(std::move(o)),
        listener(std::move(w)),
        changes(
            m.AddCounter("pg_changes_total", "Rows that committed transactions have changed, as told by the server")),
        transactions(m.AddCounter("pg_change_transactions_total", "Committed transactions that the server has told")),
        reconnects(m.AddCounter("pg_change_reconnects_total", "Times that the stream stood again after a loss")),
        lag(m.AddGauge("pg_change_lag_seconds", "From the last commit that was told, on the server's clock, to here")),
        backoff(options.reconnect, Mix(reinterpret_cast<uintptr_t>(this))),
        connector(std::make_shared<Connector>(l)),
        descriptor(l.io()),
        timer(l.io()),
        tick_timer(l.io()),
        output(options.most_bytes) {}

  void Connect();
  void Begin();
  void Send(State next, const std::string& sql);
  void Watch();
  void OnReadable();
  bool TakeResult();
  void Stand();
  void TakeCopied();
  bool TakeMessage(std::string_view message);
  void TakeKeepalive(std::string_view message);
  void TakeTransaction();
  void Give(const CommittedTransaction& transaction);
  void Resume();
  bool SendStatus(bool ask);
  void Confirm(bool ask);
  void Tick();
  void Flush();
  void Drop(const absl::Status& why);
  void Close();
  absl::Status Broken() const { return absl::UnavailableError(PQerrorMessage(connection.get())); }

  async::Loop& loop;
  const Options options;
  Listener listener;
  obs::Counter& changes;
  obs::Counter& transactions;
  obs::Counter& reconnects;
  obs::Gauge& lag;
  async::Backoff backoff;
  const std::shared_ptr<Connector> connector;
  stream_descriptor descriptor;
  boost::asio::steady_timer timer, tick_timer;

  State state = State::kIdle;
  ConnectionPtr connection;
  uint64_t generation = 0;  // of the connection: handlers of an older one do nothing
  PgOutput output;
  Lsn seen = 0;            // behind the last message
  Lsn told = 0;            // behind the last transaction that the listener was given
  Lsn confirmed = 0;       // behind the last transaction that was taken care of
  bool held_back = false;  // one was not: nothing is confirmed until it comes again
  bool ever = false;
  bool paused = false;
  bool unwatched = false;  // while it is paused: nobody waits for what can be read
  bool waiting_write = false;
  Clock::time_point stood_at{};
  Nanos silent{};  // time of the loop, tick by tick, since the server was heard or began to be asked
};

void ChangeStream::Impl::Connect() {
  state = State::kConnecting;
  Target target{options.host, options.port, options.database, options.user, options.password, options.slot, "", true};
  connector->Connect(target, options.connect_timeout, [this](absl::StatusOr<ConnectionPtr> made) {
    if (!made.ok()) return Drop(made.status());
    connection = *std::move(made);
    ++generation;
    boost::system::error_code error;
    descriptor.assign(PQsocket(connection.get()), error);
    if (error) return Drop(absl::UnavailableError(error.message()));
    Watch();
    if (!options.make_slot) return Begin();
    Send(State::kMakingSlot, Concat("CREATE_REPLICATION_SLOT ", Quoted(options.slot),
                                    options.temporary ? " TEMPORARY" : "", " LOGICAL pgoutput NOEXPORT_SNAPSHOT"));
  });
}

// From what was confirmed last: of that the slot itself keeps the place.
void ChangeStream::Impl::Begin() {
  silent = Nanos(0);
  Tick();
  Send(State::kStarting,
       absl::StrFormat("START_REPLICATION SLOT %s LOGICAL %X/%X (proto_version '1', publication_names '%s')",
                       Quoted(options.slot), confirmed >> 32, confirmed & 0xffffffffu, Quoted(options.publication)));
}

void ChangeStream::Impl::Send(State next, const std::string& sql) {
  state = next;
  if (PQsendQuery(connection.get(), sql.c_str()) != 1) return Drop(Broken());
  Flush();
}

void ChangeStream::Impl::Flush() {
  if (waiting_write) return;
  const int left = PQflush(connection.get());
  if (left < 0) return Drop(Broken());
  if (left == 0) return;
  waiting_write = true;
  descriptor.async_wait(stream_descriptor::wait_write,
                        [self = shared_from_this(), at = generation](const boost::system::error_code& error) {
                          if (error || at != self->generation) return;
                          self->waiting_write = false;
                          self->Flush();
                        });
}

void ChangeStream::Impl::Watch() {
  descriptor.async_wait(stream_descriptor::wait_read,
                        [self = shared_from_this(), at = generation](const boost::system::error_code& error) {
                          if (!error && at == self->generation) self->OnReadable();
                        });
}

void ChangeStream::Impl::OnReadable() {
  const uint64_t at = generation;
  silent = Nanos(0);
  if (PQconsumeInput(connection.get()) != 1) return Drop(Broken());
  while (at == generation && state != State::kStreaming && PQisBusy(connection.get()) == 0 && TakeResult()) {
  }
  if (at == generation && state == State::kStreaming) TakeCopied();
  if (at != generation) return;
  unwatched = paused;
  if (!paused) Watch();
}

// A turn later: it may be called from within what is being told. libpq may have read more than has been told.
void ChangeStream::Impl::Resume() {
  paused = false;
  if (!unwatched) return;
  unwatched = false;
  silent = Nanos(0);
  loop.Post([self = shared_from_this(), at = generation] {
    if (at != self->generation) return;
    self->unwatched = self->paused;
    if (!self->paused) self->OnReadable();
  });
}

// False when there is nothing more to take before the server says something.
bool ChangeStream::Impl::TakeResult() {
  const ResultPtr result(PQgetResult(connection.get()));
  if (result == nullptr) {  // the end of a command
    if (state == State::kMakingSlot) Begin();
    return false;
  }
  const ExecStatusType status = PQresultStatus(result.get());
  const char* const code = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  const bool there = code != nullptr && std::string_view(code) == "42710";  // the slot, from an earlier connection
  if (state == State::kMakingSlot && (status == PGRES_TUPLES_OK || there)) return true;
  if (state == State::kStarting && status == PGRES_COPY_BOTH) {
    Stand();
  } else {
    Drop(absl::FailedPreconditionError(PQresultErrorMessage(result.get())));
  }
  return false;
}

void ChangeStream::Impl::Stand() {
  state = State::kStreaming;
  stood_at = Clock::now();
  held_back = paused = unwatched = false;
  seen = told = 0;
  output = PgOutput(options.most_bytes);
  if (ever) reconnects.Increment();
  ever = true;
  obs::Log(obs::Level::kInfo, "pg_change_stream_stands", {{"slot", options.slot}});
  if (listener.on_connected) listener.on_connected();
}

void ChangeStream::Impl::TakeCopied() {
  const uint64_t at = generation;
  while (at == generation && !paused) {
    char* bytes = nullptr;
    const int size = PQgetCopyData(connection.get(), &bytes, 1);
    const std::unique_ptr<char, FreeCopied> owner(bytes);
    if (size == 0) return;
    if (size < 0) return Drop(size == -1 ? absl::UnavailableError("the server has ended the stream") : Broken());
    if (!TakeMessage(std::string_view(bytes, static_cast<size_t>(size))) && at == generation) {
      return Drop(absl::DataLossError("a message of the stream that is none"));
    }
  }
}

bool ChangeStream::Impl::TakeMessage(std::string_view message) {
  if (!message.empty() && message[0] == 'k' && message.size() >= kKeepaliveSize) {
    TakeKeepalive(message);
    return true;
  }
  if (message.empty() || message[0] != 'w' || message.size() < kDataHeader) return false;
  bool committed = false;
  if (!output.Read(message.substr(kDataHeader), committed).ok()) return false;
  if (committed) TakeTransaction();
  return true;
}

void ChangeStream::Impl::TakeKeepalive(std::string_view message) {
  const uint64_t at = generation;
  seen = std::max(seen, ReadNumber(message, 1));
  // Nothing of ours was in what lies between: confirming it lets the server forget it.
  if (!held_back && !output.open() && seen > told) {
    CommittedTransaction nothing;
    nothing.end = seen;
    if (options.confirm_by_hand) Give(nothing);
    if (at != generation) return;
    if (!options.confirm_by_hand) confirmed = std::max(confirmed, seen);
  }
  const bool answer = message[kKeepaliveSize - 1] != 0;
  if (answer) Confirm(false);
}

void ChangeStream::Impl::TakeTransaction() {
  const CommittedTransaction transaction = std::move(output.transaction());
  transactions.Increment();
  changes.Increment(static_cast<double>(transaction.changes.size()));
  lag.Set(static_cast<double>(NowUnixUs() - transaction.committed_unix_us) / 1e6);
  if (!held_back) Give(transaction);
}

void ChangeStream::Impl::Give(const CommittedTransaction& transaction) {
  const uint64_t at = generation;
  const bool done = listener.on_transaction(transaction);
  if (at != generation) return;
  if (done) {
    told = std::max(told, transaction.end);
    if (!options.confirm_by_hand) confirmed = std::max(confirmed, transaction.end);
  } else {
    held_back = true;
    Drop(absl::UnavailableError("a transaction could not be taken care of"));
  }
}

// Standby status update: what was written, flushed and applied here; all of it is what was confirmed. `ask`: the server
// is to answer at once.
bool ChangeStream::Impl::SendStatus(bool ask) {
  std::string message = "r";
  for (int i = 0; i < 3; ++i) AppendNumber(message, confirmed);
  AppendNumber(message, static_cast<uint64_t>(NowUnixUs() - kEpochUs));
  message += ask ? '\1' : '\0';
  return PQputCopyData(connection.get(), message.data(), static_cast<int>(message.size())) >= 0;
}

void ChangeStream::Impl::Confirm(bool ask) {
  if (!SendStatus(ask)) return Drop(Broken());
  Flush();
}

// The server sends keepalives of its own only to who says nothing, and we do: so it is asked for one.
void ChangeStream::Impl::Tick() {
  tick_timer.expires_after(options.confirm_every);
  tick_timer.async_wait([self = shared_from_this(), at = generation](const boost::system::error_code& error) {
    if (error || at != self->generation) return;
    // Not by the clock: what came while this process stood still is yet to be read.
    if (!self->paused) self->silent += self->options.confirm_every;
    if (self->silent > self->options.silence) {
      return self->Drop(absl::DeadlineExceededError("the server has said nothing for too long"));
    }
    if (self->state == State::kStreaming) self->Confirm(self->silent > self->options.silence / 4);
    if (at == self->generation) self->Tick();
  });
}

void ChangeStream::Impl::Drop(const absl::Status& why) {
  if (state == State::kClosed || state == State::kIdle) return;
  const bool stood = state == State::kStreaming;
  state = State::kIdle;
  ++generation;
  waiting_write = false;
  connector->Cancel();
  if (descriptor.is_open()) descriptor.release();
  connection.reset();
  obs::Log(obs::Level::kWarn, stood ? "pg_change_stream_lost" : "pg_change_stream_failed",
           {{"slot", options.slot}, {"reason", std::string_view(why.message().data(), why.message().size())}});
  timer.expires_after(backoff.Next(stood_at, Clock::now()));
  stood_at = {};
  timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->state == State::kIdle) self->Connect();
  });
  if (listener.on_lost) listener.on_lost(why);
}

void ChangeStream::Impl::Close() {
  if (state == State::kClosed) return;
  // As far as the socket takes it. Who has gone wants to hear nothing of what becomes of it.
  if (state == State::kStreaming && SendStatus(false)) PQflush(connection.get());
  state = State::kClosed;
  ++generation;
  timer.cancel();
  tick_timer.cancel();
  connector->Cancel();
  if (descriptor.is_open()) descriptor.release();
  connection.reset();
  listener = {};
}

ChangeStream::ChangeStream(async::Loop& loop, Options options, Listener listener, obs::Metrics& metrics)
    : impl_(std::make_shared<Impl>(loop, std::move(options), std::move(listener), metrics)) {
  impl_->Connect();
}

ChangeStream::~ChangeStream() { Close(); }

bool ChangeStream::connected() const { return impl_->state == Impl::State::kStreaming; }
Lsn ChangeStream::confirmed() const { return impl_->confirmed; }
void ChangeStream::Confirm(Lsn upto) { impl_->confirmed = std::max(impl_->confirmed, upto); }
void ChangeStream::Pause() { impl_->paused = impl_->state == Impl::State::kStreaming; }
void ChangeStream::Resume() { impl_->Resume(); }
void ChangeStream::Close() { impl_->Close(); }

}  // namespace lab::pg
