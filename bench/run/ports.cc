#include "bench/run/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/time.h"

namespace lab::bench {
namespace {

constexpr uint32_t kLowest = 20'000;
constexpr uint32_t kCount = 12'000;

}  // namespace

bool PortIsFree(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return free;
}

absl::StatusOr<int> FreePort() {
  // Runners that start at the same moment begin at different places.
  static std::atomic<uint32_t> next{static_cast<uint32_t>(
      Mix(static_cast<uint64_t>(getpid()) ^ static_cast<uint64_t>(Clock::now().time_since_epoch().count())) % kCount)};
  for (uint32_t tries = 0; tries < kCount; ++tries) {
    const int port = static_cast<int>(kLowest + next.fetch_add(1) % kCount);
    if (PortIsFree(port)) return port;
  }
  return absl::UnavailableError(Concat("no free loopback port from ", kLowest, " to ", kLowest + kCount - 1));
}

}  // namespace lab::bench
