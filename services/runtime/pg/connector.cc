#include "services/runtime/pg/connector.h"

#include <algorithm>
#include <utility>

#include "services/runtime/base/text.h"

namespace lab::pg {
namespace {

using boost::asio::posix::stream_descriptor;

bool IsFolder(const std::string& host) { return !host.empty() && host[0] == '/'; }

// libpq gives no SQLSTATE of a connection that was refused.
bool IsRefusal(PGconn* connection, const std::string& why) {
  if (connection != nullptr && PQconnectionNeedsPassword(connection) != 0) return true;
  constexpr const char* kSigns[] = {"password authentication failed", "does not exist", "no pg_hba.conf entry"};
  return std::any_of(std::begin(kSigns), std::end(kSigns),
                     [&](const char* sign) { return why.find(sign) != std::string::npos; });
}

}  // namespace

std::string Target::text() const { return Concat(host, ":", port, "/", database); }

Connector::Connector(async::Loop& loop) : resolver_(loop.io()), descriptor_(loop.io()), timer_(loop.io()) {}

void Connector::Cancel() {
  ++attempt_;
  callback_ = nullptr;
  timer_.cancel();
  resolver_.Cancel();
  if (descriptor_.is_open()) descriptor_.release();  // libpq closes its sockets
  connection_.reset();
}

void Connector::Connect(const Target& target, Nanos timeout, Callback callback) {
  Cancel();
  target_ = target;
  callback_ = std::move(callback);
  late_at_ = Clock::now() + timeout;
  timer_.expires_at(late_at_);
  timer_.async_wait([self = shared_from_this(), attempt = attempt_](const boost::system::error_code& error) {
    if (!error && attempt == self->attempt_) self->End(absl::DeadlineExceededError("not connected in time"));
  });
  if (IsFolder(target.host) || async::HostResolver::IsAddress(target.host)) return Resolved(target.host);
  resolver_.Resolve(target.host, timeout, [this](absl::StatusOr<std::string> address) {
    address.ok() ? Resolved(*address) : End(address.status());
  });
}

// libpq would resolve a name by a call that blocks, so it is given an address.
void Connector::Resolved(const std::string& address) {
  const std::string port = std::to_string(target_.port);
  const char* const keys[] = {IsFolder(address) ? "host" : "hostaddr",
                              "port",
                              "dbname",
                              "user",
                              "password",
                              "application_name",
                              "options",
                              "gssencmode",
                              target_.replication ? "replication" : nullptr,
                              nullptr};
  const char* const values[] = {address.c_str(),
                                port.c_str(),
                                target_.database.c_str(),
                                target_.user.c_str(),
                                target_.password.c_str(),
                                target_.name.c_str(),
                                target_.settings.c_str(),
                                "disable",
                                "database",
                                nullptr};
  connection_.reset(PQconnectStartParams(keys, values, 0));
  // What the server tells beside its answers is not ours to print.
  if (connection_ != nullptr)
    PQsetNoticeReceiver(
        connection_.get(), [](void*, const PGresult*) {}, nullptr);
  if (connection_ == nullptr || PQstatus(connection_.get()) == CONNECTION_BAD) {
    timer_.expires_after(Nanos(0));  // not inside Connect
    timer_.async_wait([self = shared_from_this(), attempt = attempt_](const boost::system::error_code& error) {
      if (error || attempt != self->attempt_) return;
      self->Fail(self->connection_ == nullptr ? "out of memory" : PQerrorMessage(self->connection_.get()));
    });
    return;
  }
  // As the documentation asks: as if PQconnectPoll had said that it waits to write.
  Watch(stream_descriptor::wait_write);
}

// The socket of libpq may be another one after each poll.
void Connector::Watch(stream_descriptor::wait_type what) {
  const int socket = PQsocket(connection_.get());
  if (!descriptor_.is_open() || descriptor_.native_handle() != socket) {
    if (descriptor_.is_open()) descriptor_.release();
    boost::system::error_code error;
    descriptor_.assign(socket, error);
    if (error) return Fail(error.message());
  }
  descriptor_.async_wait(what, [self = shared_from_this(), attempt = attempt_](const boost::system::error_code& error) {
    if (!error && attempt == self->attempt_) self->Poll();
  });
}

void Connector::Poll() {
  // It may close its socket and open another one: nothing of ours may watch it meanwhile.
  descriptor_.release();
  switch (PQconnectPoll(connection_.get())) {
    case PGRES_POLLING_READING:
      return Watch(stream_descriptor::wait_read);
    case PGRES_POLLING_WRITING:
      return Watch(stream_descriptor::wait_write);
    case PGRES_POLLING_OK:
      if (PQsetnonblocking(connection_.get(), 1) != 0) return Fail(PQerrorMessage(connection_.get()));
      return End(std::move(connection_));
    default:
      return Fail(PQerrorMessage(connection_.get()));
  }
}

void Connector::Fail(std::string why) {
  while (!why.empty() && why.back() == '\n') why.pop_back();
  std::replace(why.begin(), why.end(), '\n', ' ');
  if (IsRefusal(connection_.get(), why)) {
    return End(absl::FailedPreconditionError(Concat("PostgreSQL at ", target_.text(), " refused us: ", why)));
  }
  End(absl::UnavailableError(why));
}

void Connector::End(absl::StatusOr<ConnectionPtr> result) {
  const auto self = shared_from_this();
  Callback callback = std::move(callback_);
  Cancel();
  if (callback) callback(std::move(result));
}

}  // namespace lab::pg
