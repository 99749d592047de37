#include "bench/load/link.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "bench/load/codes.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr int64_t kFirstBackoffNs = 10'000'000;
constexpr int64_t kLongestBackoffNs = 100'000'000;
constexpr size_t kReadBytes = 64 << 10;
constexpr int64_t kOldestNoteNs = 1'000'000'000;
constexpr int kReadsATurn = 4;  // then the other connections and the schedule have their turn

int64_t NanosOf(const timespec& time) { return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec; }

// When the last of the bytes of `message` came to this host, as the kernel noted it (SO_TIMESTAMPNS): the answer's time
// then does not contain how long this thread slept or waited for a CPU. Now, where there is no note.
int64_t ArrivalOf(msghdr& message) {
  const int64_t now = MonotonicNow();
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec arrived{}, wall{};
    std::memcpy(&arrived, CMSG_DATA(header), sizeof(arrived));
    clock_gettime(CLOCK_REALTIME, &wall);
    const int64_t ago = NanosOf(wall) - NanosOf(arrived);
    // Outside of this the wall clock was set meanwhile.
    return ago >= 0 && ago < kOldestNoteNs ? now - ago : now;
  }
  return now;
}

}  // namespace

absl::StatusOr<Endpoint> ParseEndpoint(const std::string& text) {
  Endpoint endpoint{text, {}};
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  std::string host = text.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  endpoint.address.sin_family = AF_INET;
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port) || port == 0 || port > 65535 ||
      inet_pton(AF_INET, host.c_str(), &endpoint.address.sin_addr) != 1) {
    return absl::InvalidArgumentError(Concat("\"", text, "\" is no endpoint; write it as 127.0.0.1:8081"));
  }
  endpoint.address.sin_port = htons(static_cast<uint16_t>(port));
  return endpoint;
}

Link::Link(LinkContext& context, const Endpoint& endpoint, Return returns)
    : context_(context), endpoint_(endpoint), returns_(returns) {}

Link::~Link() {
  if (fd_ < 0) return;
  context_.poller.Remove(fd_);
  close(fd_);
}

void Link::Open() {
  retry_at_ = INT64_MAX;
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return Lose(std::strerror(errno), NextBackoff());
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(fd_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
  state_ = State::kConnecting;
  watching_writable_ = true;
  const int result = connect(fd_, reinterpret_cast<const sockaddr*>(&endpoint_.address), sizeof(endpoint_.address));
  const int error = errno;
  if (const absl::Status added = context_.poller.Add(fd_, EPOLLIN | EPOLLOUT, this); !added.ok()) {
    return Lose(std::string(added.message()), NextBackoff());
  }
  if (result == 0) return FinishConnect();
  if (error != EINPROGRESS) Lose(std::strerror(error), NextBackoff());
}

void Link::FinishConnect() {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return Lose(std::strerror(error), NextBackoff());
  state_ = State::kUp;
  if (!WatchWritable(false)) return;
  Opened();
  MarkDirty();
}

void Link::Lose(std::string_view why, int64_t retry_ns) {
  if (context_.problem.ok()) context_.problem = absl::UnavailableError(Concat(endpoint_.name, ": ", why));
  if (fd_ >= 0) {
    context_.poller.Remove(fd_);
    close(fd_);
  }
  fd_ = -1;
  state_ = State::kDown;
  out_.clear();
  written_ = 0;
  const int64_t now = MonotonicNow();
  retry_at_ = returns_by_itself() ? now + retry_ns : INT64_MAX;
  // The sink may reuse a call at once, so the list is taken first.
  const std::vector<Call*> calls = std::exchange(calls_, {});
  for (Call* call : calls) {
    const Ending ending = MayHaveArrived(*call) ? Ending::kLost : Ending::kRefused;
    call->link = nullptr;
    context_.sink.Ended(*call, ending, grpc_code::kUnavailable, "", now);
  }
  Closed();
}

int64_t Link::NextBackoff() {
  backoff_ns_ = std::clamp(backoff_ns_ * 2, kFirstBackoffNs, kLongestBackoffNs);
  return backoff_ns_;
}

void Link::Flush() {
  dirty_ = false;
  if (state_ != State::kUp) return;
  Produce();
  Write();
}

void Link::Write() {
  while (written_ < out_.size()) {
    const ssize_t sent = send(fd_, out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL);
    if (sent > 0) {
      written_ += static_cast<size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      WatchWritable(true);
      return;
    }
    return Lose(std::strerror(errno), NextBackoff());
  }
  out_.clear();
  written_ = 0;
  WatchWritable(false);
}

void Link::Ready(uint32_t events) {
  if (state_ == State::kConnecting) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
    FinishConnect();
  } else {
    if ((events & EPOLLOUT) != 0) MarkDirty();
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) Read();
  }
}

void Link::Read() {
  std::array<char, kReadBytes> buffer;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(timespec))> notes;
  for (int i = 0; i < kReadsATurn; ++i) {
    iovec bytes{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = notes.data();
    message.msg_controllen = notes.size();
    const ssize_t got = recvmsg(fd_, &message, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) return Lose(std::strerror(errno), NextBackoff());
    if (got == 0) return Lose("closed by the other side", NextBackoff());
    const absl::Status received =
        Received(std::string_view(buffer.data(), static_cast<size_t>(got)), ArrivalOf(message));
    if (!received.ok()) {
      const bool orderly = absl::IsCancelled(received);
      return Lose(std::string(received.message()), orderly ? 0 : NextBackoff());
    }
    MarkDirty();
    if (static_cast<size_t>(got) < buffer.size()) return;
  }
}

bool Link::WatchWritable(bool wanted) {
  if (wanted == watching_writable_) return true;
  watching_writable_ = wanted;
  const absl::Status changed = context_.poller.Change(fd_, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, this);
  if (!changed.ok()) Lose(std::string(changed.message()), NextBackoff());
  return changed.ok();
}

void Link::MarkDirty() {
  if (dirty_) return;
  dirty_ = true;
  context_.dirty.push_back(this);
}

void Link::Attach(Call& call) {
  call.link = this;
  call.place = calls_.size();
  calls_.push_back(&call);
}

void Link::Detach(Call& call) {
  calls_[call.place] = calls_.back();
  calls_[call.place]->place = call.place;
  calls_.pop_back();
  call.link = nullptr;
}

}  // namespace lab::bench
