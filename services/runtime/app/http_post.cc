#include "services/runtime/app/http_post.h"

#include <netdb.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "services/runtime/base/text.h"

namespace lab::app {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// Blocks for as long as the resolver of the system does.
std::vector<tcp::endpoint> LookUp(const std::string& host, int port, std::string& error) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::vector<tcp::endpoint> endpoints;
  if (const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); code != 0) {
    error = Concat("cannot resolve ", host, ": ", gai_strerror(code));
    return endpoints;
  }
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    tcp::endpoint endpoint;
    if (each->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), each->ai_addr, each->ai_addrlen);
    endpoint.resize(each->ai_addrlen);
    endpoints.push_back(endpoint);
  }
  freeaddrinfo(found);
  return endpoints;
}

}  // namespace

// Outlives the post and even the loop while the resolver hangs; `post` says under the lock whether they are still
// there.
struct HttpPost::Lookup {
  std::mutex mutex;
  std::shared_ptr<HttpPost> post;
};

HttpPost::HttpPost(async::Loop& loop, std::string host, int port, Done done)
    : loop_(loop), host_(std::move(host)), port_(port), done_(std::move(done)), socket_(loop.io()), timer_(loop.io()) {
  parser_.header_limit(16 << 10);
}

void HttpPost::Start(std::string_view path, std::string_view body, Clock::time_point deadline) {
  const std::string host = host_.find(':') == std::string::npos ? host_ : Concat("[", host_, "]");
  request_ = Concat("POST ", path, " HTTP/1.1\r\nHost: ", host, ":", port_,
                    "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ", body.size(),
                    "\r\n\r\n", body);
  EndAt(deadline);
  Resolve();
}

void HttpPost::EndAt(Clock::time_point deadline) {
  timer_.expires_at(deadline);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
    if (!cancelled) self->Finish(0, "timed out");
  });
}

void HttpPost::Shorten(Clock::time_point deadline) {
  if (deadline < timer_.expiry()) EndAt(deadline);
}

void HttpPost::Cancel() {
  done_ = nullptr;
  Finish(0, "");
}

void HttpPost::Resolve() {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host_, error);
  if (!error) {
    Connect({tcp::endpoint(address, static_cast<uint16_t>(port_))});
    return;
  }
  lookup_ = std::make_shared<Lookup>();
  lookup_->post = shared_from_this();
  std::thread([lookup = lookup_, host = host_, port = port_] {
    std::string failure;
    std::vector<tcp::endpoint> endpoints = LookUp(host, port, failure);
    const std::lock_guard lock(lookup->mutex);
    if (lookup->post == nullptr) return;
    lookup->post->loop_.Post([lookup, endpoints = std::move(endpoints), failure] {
      std::shared_ptr<HttpPost> post;
      {
        const std::lock_guard still(lookup->mutex);
        post = lookup->post;
      }
      if (post == nullptr) return;
      if (endpoints.empty()) {
        post->Finish(0, failure);
      } else {
        post->Connect(endpoints);
      }
    });
  }).detach();
}

void HttpPost::Connect(const std::vector<tcp::endpoint>& endpoints) {
  endpoints_ = endpoints;
  asio::async_connect(socket_, endpoints_,
                      [self = shared_from_this()](const boost::system::error_code& error, const tcp::endpoint&) {
                        if (error) {
                          self->Finish(0, Concat("cannot connect: ", error.message()));
                        } else {
                          self->Write();
                        }
                      });
}

void HttpPost::Write() {
  asio::async_write(socket_, asio::buffer(request_),
                    [self = shared_from_this()](const boost::system::error_code& error, size_t) {
                      // A server may answer and close before it has read everything; its answer says why.
                      if (error == asio::error::operation_aborted) {
                        self->Finish(0, "cancelled");
                      } else {
                        self->Read();
                      }
                    });
}

void HttpPost::Read() {
  socket_.async_read_some(asio::buffer(chunk_),
                          [self = shared_from_this()](const boost::system::error_code& error, size_t bytes) {
                            if (error) {
                              self->Finish(0, Concat("no answer: ", error.message()));
                              return;
                            }
                            self->input_.append(self->chunk_.data(), bytes);
                            boost::beast::error_code wrong;
                            const size_t parsed = self->parser_.put(asio::buffer(self->input_), wrong);
                            self->input_.erase(0, parsed);
                            if (self->parser_.is_header_done()) {
                              self->Finish(static_cast<int>(self->parser_.get().result_int()), "");
                            } else if (wrong && wrong != boost::beast::http::error::need_more) {
                              self->Finish(0, Concat("not HTTP: ", wrong.message()));
                            } else {
                              self->Read();
                            }
                          });
}

void HttpPost::Finish(int status, const std::string& error) {
  const std::shared_ptr<HttpPost> self = shared_from_this();
  if (lookup_ != nullptr) {
    const std::lock_guard lock(lookup_->mutex);
    lookup_->post = nullptr;
  }
  boost::system::error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  if (const Done done = std::exchange(done_, nullptr)) done(status, error);
}

}  // namespace lab::app
