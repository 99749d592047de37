#include "bench/load/grpc_link.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "bench/load/codes.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr size_t kPrefixBytes = 5;  // compressed flag, length as 32 bits
constexpr size_t kMaxReplyBytes = 1 << 20;
constexpr int32_t kConnectionWindow = 1 << 30;  // so large that no WINDOW_UPDATE is needed in a short run
constexpr uint32_t kStreamWindow = 1 << 20;

nghttp2_nv Field(const std::string_view name, const std::string_view value) {
  // nghttp2 takes mutable pointers and, with these flags, neither copies nor changes what they point to.
  const auto bytes = [](std::string_view text) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

// For answers without a gRPC status (doc/http-grpc-status-mapping.md of gRPC).
int StatusOfHttp(int http_status) {
  switch (http_status) {
    case 400:
      return grpc_code::kInternal;
    case 401:
      return grpc_code::kUnauthenticated;
    case 403:
      return grpc_code::kPermissionDenied;
    case 404:
      return grpc_code::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return grpc_code::kUnavailable;
    default:
      return grpc_code::kUnknown;
  }
}

int NumberOf(const uint8_t* value, size_t size) {
  int number = -1;
  const char* begin = reinterpret_cast<const char*>(value);
  const auto result = std::from_chars(begin, begin + size, number);
  return result.ec == std::errc() && result.ptr == begin + size && number >= 0 ? number : grpc_code::kUnknown;
}

bool Is(std::string_view wanted, const uint8_t* name, size_t size) {
  return size == wanted.size() && std::memcmp(name, wanted.data(), size) == 0;
}

}  // namespace

GrpcHeaders::GrpcHeaders(const std::string& path, const std::string& authority)
    : path_(path), authority_(authority), fields_{Field(":method", "POST"),  Field(":scheme", "http"),
                                                  Field(":path", path_),     Field(":authority", authority_),
                                                  Field("te", "trailers"),   Field("content-type", "application/grpc"),
                                                  Field("user-agent", "lab")} {}

// The callbacks of nghttp2; `user_data` is the link.
struct GrpcLink::Callbacks {
  static Call* CallOf(nghttp2_session* session, int32_t stream) {
    return static_cast<Call*>(nghttp2_session_get_stream_user_data(session, stream));
  }

  static ssize_t ReadRequest(nghttp2_session* session, int32_t stream, uint8_t* buffer, size_t size, uint32_t* flags,
                             nghttp2_data_source*, void*) {
    Call* call = CallOf(session, stream);
    if (call == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // forgotten meanwhile
    const size_t count = std::min(size, call->request.size() - call->written);
    std::memcpy(buffer, call->request.data() + call->written, count);
    call->written += count;
    if (call->written == call->request.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(count);
  }

  static int FrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    if (frame->hd.type == NGHTTP2_HEADERS) static_cast<GrpcLink*>(user_data)->last_stream_sent_ = frame->hd.stream_id;
    return 0;
  }

  static int FrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    auto* link = static_cast<GrpcLink*>(user_data);
    if (frame->hd.type == NGHTTP2_GOAWAY) link->going_away_ = true;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) link->warm_ = true;
    return 0;
  }

  static int Header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                    const uint8_t* value, size_t value_size, uint8_t, void*) {
    const bool http = Is(":status", name, name_size);
    if (!http && !Is("grpc-status", name, name_size)) return 0;
    Call* call = CallOf(session, frame->hd.stream_id);
    if (call != nullptr) (http ? call->http_status : call->grpc_status) = NumberOf(value, value_size);
    return 0;
  }

  static int Data(nghttp2_session* session, uint8_t, int32_t stream, const uint8_t* data, size_t size, void*) {
    Call* call = CallOf(session, stream);
    if (call == nullptr) return 0;
    if (call->reply.size() + size > kMaxReplyBytes) return NGHTTP2_ERR_CALLBACK_FAILURE;
    call->reply.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }

  static int StreamClosed(nghttp2_session* session, int32_t stream, uint32_t error_code, void* user_data) {
    Call* call = CallOf(session, stream);
    if (call != nullptr) static_cast<GrpcLink*>(user_data)->StreamClosed(*call, error_code);
    return 0;
  }

  static const nghttp2_session_callbacks* Get() {
    static const nghttp2_session_callbacks* const all = [] {
      nghttp2_session_callbacks* callbacks = nullptr;
      nghttp2_session_callbacks_new(&callbacks);
      nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, FrameSent);
      nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, FrameReceived);
      nghttp2_session_callbacks_set_on_header_callback(callbacks, Header);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Data);
      nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, StreamClosed);
      return callbacks;
    }();
    return all;
  }
};

GrpcLink::GrpcLink(LinkContext& context, const Endpoint& endpoint, const std::string& path)
    : Link(context, endpoint), headers_(path, endpoint.name) {}

void GrpcLink::Opened() {
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_closed_streams(option, 1);
  // What nghttp2 would check of an answer's headers beyond what is read of them costs 3 % of a call.
  nghttp2_option_set_no_http_messaging(option, 1);
  nghttp2_session* session = nullptr;
  nghttp2_session_client_new2(&session, Callbacks::Get(), this, option);
  nghttp2_option_del(option);
  session_.reset(session);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                             {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow}};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, nullptr);
}

bool GrpcLink::Send(Call& call) {
  const nghttp2_data_provider body = {{.ptr = nullptr}, Callbacks::ReadRequest};
  const int32_t stream =
      nghttp2_submit_request(session_.get(), nullptr, headers_.data(), headers_.size(), &body, &call);
  if (stream < 0) {
    going_away_ = true;
    return false;
  }
  call.stream_id = stream;
  call.written = 0;
  call.http_status = 0;
  call.grpc_status = -1;
  call.reply.clear();
  Attach(call);
  MarkDirty();
  return true;
}

void GrpcLink::Forget(Call& call) {
  nghttp2_session_set_stream_user_data(session_.get(), call.stream_id, nullptr);
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, call.stream_id, NGHTTP2_CANCEL);
  Detach(call);
  MarkDirty();
}

absl::Status GrpcLink::Received(std::string_view bytes, int64_t at) {
  received_at_ = at;
  const ssize_t taken =
      nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (taken < 0) return absl::InternalError(nghttp2_strerror(static_cast<int>(taken)));
  ResetBackoff();
  if (going_away_ && in_flight() == 0) return absl::CancelledError("the other side goes away");
  return absl::OkStatus();
}

void GrpcLink::Produce() {
  const uint8_t* data = nullptr;
  while (true) {
    const ssize_t size = nghttp2_session_mem_send(session_.get(), &data);
    if (size <= 0) return;
    out_.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
}

void GrpcLink::StreamClosed(Call& call, uint32_t error_code) {
  Detach(call);
  if (call.grpc_status < 0 && call.http_status == 0) {
    const bool refused = error_code == NGHTTP2_REFUSED_STREAM;
    context_.sink.Ended(call, refused ? Ending::kRefused : Ending::kLost, grpc_code::kUnavailable, "", received_at_);
    return;
  }
  if (call.grpc_status < 0) {
    // A 200 without a status broke off halfway; what the server did before is not known.
    const bool broke_off = call.http_status == 200;
    const int code = broke_off ? grpc_code::kUnknown : StatusOfHttp(call.http_status);
    context_.sink.Ended(call, broke_off ? Ending::kLost : Ending::kAnswered, code, "", received_at_);
    return;
  }
  std::string_view body;
  if (call.grpc_status == 0) {
    uint32_t size = 0;
    if (call.reply.size() >= kPrefixBytes) std::memcpy(&size, call.reply.data() + 1, sizeof(size));
    const bool whole =
        call.reply.size() >= kPrefixBytes && call.reply[0] == 0 && ntohl(size) == call.reply.size() - kPrefixBytes;
    if (!whole) {
      context_.sink.Ended(call, Ending::kAnswered, grpc_code::kInternal, "", received_at_);
      return;
    }
    body = std::string_view(call.reply).substr(kPrefixBytes);
  }
  context_.sink.Ended(call, Ending::kAnswered, call.grpc_status, body, received_at_);
}

bool GrpcLink::MayHaveArrived(const Call& call) const { return call.stream_id <= last_stream_sent_; }

void GrpcLink::Closed() {
  session_.reset();
  last_stream_sent_ = 0;
  warm_ = false;
  going_away_ = false;
}

}  // namespace lab::bench
