#include "bench/load/testing/grpc_test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

namespace lab::bench {
namespace {

struct Stream {
  std::string headers, request, reply;
  size_t written = 0;
  int status = 0;
};

nghttp2_nv Field(const char* name, const std::string& value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name)),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), std::strlen(name), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

std::string Framed(const std::string& message) {
  const uint32_t size = htonl(static_cast<uint32_t>(message.size()));
  std::string framed(1, '\0');
  return framed.append(reinterpret_cast<const char*>(&size), sizeof(size)).append(message);
}

void Trailers(nghttp2_session* session, int32_t stream, int status) {
  const std::string text = std::to_string(status);
  const nghttp2_nv trailer = Field("grpc-status", text);
  nghttp2_submit_trailer(session, stream, &trailer, 1);
}

}  // namespace

struct GrpcTestServer::Connection {
  Connection(GrpcTestServer* owner, int descriptor) : server(owner), fd(descriptor) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, Header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, FrameReceived);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, StreamClosed);
    nghttp2_session_server_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, 1 << 30);
  }
  ~Connection() {
    nghttp2_session_del(session);
    close(fd);
  }

  static Connection& Of(void* user_data) { return *static_cast<Connection*>(user_data); }

  static int Header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                    const uint8_t* value, size_t value_size, uint8_t, void* user_data) {
    std::string& headers = Of(user_data).streams[frame->hd.stream_id].headers;
    headers.append(reinterpret_cast<const char*>(name), name_size).append(": ");
    headers.append(reinterpret_cast<const char*>(value), value_size).append("\n");
    return 0;
  }

  static int Data(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* data, size_t size, void* user_data) {
    Of(user_data).streams[stream].request.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }

  static int FrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    const bool data = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (data && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) Of(user_data).Reply(frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_RST_STREAM) ++Of(user_data).server->reset_;
    return 0;
  }

  static int StreamClosed(nghttp2_session*, int32_t stream, uint32_t, void* user_data) {
    Of(user_data).streams.erase(stream);
    return 0;
  }

  static ssize_t ReadReply(nghttp2_session* nghttp2, int32_t id, uint8_t* buffer, size_t size, uint32_t* flags,
                           nghttp2_data_source* source, void*) {
    Stream& stream = *static_cast<Stream*>(source->ptr);
    const size_t count = std::min(size, stream.reply.size() - stream.written);
    std::memcpy(buffer, stream.reply.data() + stream.written, count);
    stream.written += count;
    if (stream.written == stream.reply.size()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      Trailers(nghttp2, id, stream.status);
    }
    return static_cast<ssize_t>(count);
  }

  void Reply(int32_t id) {
    ++server->received_;
    Stream& stream = streams[id];
    const Answer answer =
        server->handler_(stream.request.substr(std::min<size_t>(5, stream.request.size())), stream.headers);
    using Kind = Answer::Kind;
    const std::string code = std::to_string(answer.status);
    const std::string ok = "200", type = "application/grpc";
    switch (answer.kind) {
      case Kind::kSilence:
        return;
      case Kind::kRefuseStream:
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
        return;
      case Kind::kBreakStream:
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
        return;
      case Kind::kTrailersOnly: {
        const nghttp2_nv fields[] = {Field(":status", ok), Field("content-type", type), Field("grpc-status", code)};
        nghttp2_submit_response(session, id, fields, 3, nullptr);
        return;
      }
      case Kind::kHttpStatus: {
        const nghttp2_nv field = Field(":status", code);
        nghttp2_submit_response(session, id, &field, 1, nullptr);
        return;
      }
      case Kind::kMessage:
      case Kind::kGoAway: {
        stream.status = answer.status;
        stream.reply = Framed(answer.message);
        const nghttp2_nv fields[] = {Field(":status", ok), Field("content-type", type)};
        const nghttp2_data_provider body = {{.ptr = &stream}, ReadReply};
        nghttp2_submit_response(session, id, fields, 2, &body);
        if (answer.kind == Kind::kGoAway && !going_away) {
          going_away = true;
          nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR, nullptr, 0);
        }
        return;
      }
    }
  }

  // False when the connection has ended.
  bool Turn() {
    char buffer[64 << 10];
    const ssize_t got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
    if (got > 0 &&
        nghttp2_session_mem_recv(session, reinterpret_cast<uint8_t*>(buffer), static_cast<size_t>(got)) < 0) {
      return false;
    }
    std::string out;
    const uint8_t* data = nullptr;
    for (ssize_t size; (size = nghttp2_session_mem_send(session, &data)) > 0;) {
      out.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    }
    // Blocking: a test's client always reads.
    for (size_t written = 0; written < out.size();) {
      const ssize_t sent = send(fd, out.data() + written, out.size() - written, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      written += static_cast<size_t>(sent);
    }
    // After a GOAWAY the client closes: closing here would throw away what it has not read yet.
    return going_away || nghttp2_session_want_read(session) != 0 || nghttp2_session_want_write(session) != 0;
  }

  GrpcTestServer* server;
  int fd;
  bool going_away = false;
  nghttp2_session* session = nullptr;
  std::map<int32_t, Stream> streams;
};

GrpcTestServer::GrpcTestServer(Handler handler) : handler_(std::move(handler)) { Start(); }

GrpcTestServer::~GrpcTestServer() { Kill(); }

void GrpcTestServer::Start() {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port_));
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 256) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error(std::string("test server: ") + std::strerror(errno));
  }
  port_ = ntohs(address.sin_port);
  stop_ = false;
  thread_ = std::thread([this] { Serve(); });
}

void GrpcTestServer::Kill() {
  if (!thread_.joinable()) return;
  stop_ = true;
  thread_.join();
}

std::string GrpcTestServer::endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

void GrpcTestServer::Serve() {
  std::vector<std::unique_ptr<Connection>> open;
  while (!stop_) {
    std::vector<pollfd> fds = {{listener_, POLLIN, 0}};
    for (const auto& connection : open) fds.push_back({connection->fd, POLLIN, 0});
    poll(fds.data(), fds.size(), 5);
    std::vector<std::unique_ptr<Connection>> kept;
    for (size_t i = 0; i < open.size(); ++i) {
      if (fds[i + 1].revents == 0 || open[i]->Turn()) kept.push_back(std::move(open[i]));
    }
    open = std::move(kept);
    if ((fds[0].revents & POLLIN) == 0) continue;
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ++connections_;
    open.push_back(std::make_unique<Connection>(this, fd));
  }
  close(listener_);
}

}  // namespace lab::bench
