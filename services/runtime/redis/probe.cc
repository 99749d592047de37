#include "services/runtime/redis/probe.h"

#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"

namespace lab::redis {

absl::Status Probe(const Options& options, Nanos patience, std::string_view effect) {
  async::Loop loop;
  obs::Metrics unread;
  Client client(loop, options, unread);
  absl::Status ready = absl::UnavailableError("it does not answer");
  client.WhenReady([&](absl::Status status) {
    ready = std::move(status);
    loop.Stop();
  });
  boost::asio::steady_timer timer(loop.io(), patience);
  timer.async_wait([&](const boost::system::error_code& error) {
    if (!error) loop.Stop();
  });
  loop.Run();
  absl::Status found = std::move(ready);  // Close reports ABORTED to who still waits
  client.Close();
  if (found.ok() || absl::IsFailedPrecondition(found)) return found;
  obs::Log(obs::Level::kWarn, "redis_absent",
           {{"address", Concat(options.host, ":", options.port)}, {"effect", effect}});
  return found;
}

}  // namespace lab::redis
