#include "services/runtime/async/host_resolver.h"

#include <utility>

#include "services/runtime/base/text.h"

namespace lab::async {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr Nanos kPoll = Millis(2);

}  // namespace

struct HostResolver::Attempt : std::enable_shared_from_this<HostResolver::Attempt> {
  Attempt(asio::io_context& io, Clock::time_point late, Callback told)
      : resolver(io), timer(io), late_at(late), callback(std::move(told)) {}

  void End(absl::StatusOr<std::string> result) {
    timer.cancel();
    resolver.cancel();
    if (Callback told = std::exchange(callback, nullptr)) told(std::move(result));
  }

  void Poll() {
    if (!callback) return;
    if (Clock::now() >= late_at)
      return End(absl::DeadlineExceededError("the name of the host was not resolved in time"));
    timer.expires_after(kPoll);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) self->Poll();
    });
  }

  tcp::resolver resolver;
  asio::steady_timer timer;
  const Clock::time_point late_at;
  Callback callback;  // empty once told, or abandoned
};

HostResolver::HostResolver(asio::io_context& io) : io_(io) {}
HostResolver::~HostResolver() { Cancel(); }

bool HostResolver::IsAddress(const std::string& host) {
  boost::system::error_code error;
  asio::ip::make_address(host, error);
  return !error;
}

void HostResolver::Resolve(const std::string& host, Nanos deadline, Callback callback) {
  Cancel();
  attempt_ = std::make_shared<Attempt>(io_, Clock::now() + deadline, std::move(callback));
  auto resolved = [attempt = attempt_, host](const boost::system::error_code& error,
                                             const tcp::resolver::results_type& results) {
    if (!attempt->callback) return;
    if (error || results.empty()) {
      return attempt->End(absl::UnavailableError(Concat("cannot resolve ", host, ": ", error.message())));
    }
    attempt->End(results.begin()->endpoint().address().to_string());
  };
  attempt_->resolver.async_resolve(host, "", std::move(resolved));
  attempt_->Poll();
}

void HostResolver::Cancel() {
  if (attempt_ == nullptr) return;
  attempt_->callback = nullptr;
  attempt_->timer.cancel();
  attempt_->resolver.cancel();
  attempt_.reset();
}

}  // namespace lab::async
